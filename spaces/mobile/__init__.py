"""Layer-wise spaces of mobile networks: ProxylessNAS, FBNet, MnasNet, NAS-Bench-Macro."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.spaces.mobile.blocks import (
        MobileBlock,
        SqueezeExcite,
        conv_bn,
        initialise,
        make_activation,
        squeezed,
    )
    from taurank.spaces.mobile.fbnet import FBNet
    from taurank.spaces.mobile.mnasnet import MnasNet
    from taurank.spaces.mobile.nasbench_macro import NASBenchMacro
    from taurank.spaces.mobile.proxyless import ProxylessNAS
    from taurank.spaces.mobile.shapes import ACTIVATIONS, DIVISOR, round_channels

__all__ = [
    "ACTIVATIONS",
    "DIVISOR",
    "FBNet",
    "MnasNet",
    "MobileBlock",
    "NASBenchMacro",
    "ProxylessNAS",
    "SqueezeExcite",
    "conv_bn",
    "initialise",
    "make_activation",
    "round_channels",
    "squeezed",
]

__getattr__ = lazy_names(__name__)
