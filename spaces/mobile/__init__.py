"""Layer-wise spaces of mobile networks: ProxylessNAS, FBNet, MnasNet, NAS-Bench-Macro."""

from taurank.spaces.mobile.blocks import (
    ACTIVATIONS,
    DIVISOR,
    MobileBlock,
    SqueezeExcite,
    conv_bn,
    initialise,
    round_channels,
    squeezed,
)
from taurank.spaces.mobile.fbnet import FBNet
from taurank.spaces.mobile.mnasnet import MnasNet
from taurank.spaces.mobile.nasbench_macro import NASBenchMacro
from taurank.spaces.mobile.proxyless import ProxylessNAS

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
    "round_channels",
    "squeezed",
]
