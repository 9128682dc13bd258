"""The elastic spaces of Once-for-All: MobileNetV3, ProxylessNAS and ResNet-50."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.spaces.once_for_all.code import format_code, largest, parse_code
    from taurank.spaces.once_for_all.design import middle_channels
    from taurank.spaces.once_for_all.network import OnceForAllNetwork, build_network, resize
    from taurank.spaces.once_for_all.resnet50 import OnceForAllResNet50
    from taurank.spaces.once_for_all.space import Kind, OnceForAll

__all__ = [
    "Kind",
    "OnceForAll",
    "OnceForAllNetwork",
    "OnceForAllResNet50",
    "build_network",
    "format_code",
    "largest",
    "middle_channels",
    "parse_code",
    "resize",
]

__getattr__ = lazy_names(__name__)
