"""Search spaces: what can be built. Importing the package registers every space."""

from spaces.architecture import Architecture, Distinct, SearchSpace, SpaceError
from spaces.choice_space import ChoiceSpace
from spaces.darts import DARTS
from spaces.fbnet import FBNet
from spaces.mnasnet import MnasNet
from spaces.mnist_blocks import MnistBlocks
from spaces.nasbench201 import NASBench201
from spaces.nasbench_macro import NASBenchMacro
from spaces.once_for_all import OnceForAll
from spaces.once_for_all_resnet50 import OnceForAllResNet50
from spaces.pnas import PNAS
from spaces.proxyless import ProxylessNAS
from spaces.registry import get_space, list_spaces, register_space
from spaces.restricted import RestrictedSpace
from spaces.size import Size, measure_size
from spaces.structure import Family, Structure, describe_structure
from spaces.torchvision_import import import_torchvision
from spaces.zoo import Zoo

__all__ = [
    "DARTS",
    "PNAS",
    "Architecture",
    "ChoiceSpace",
    "Distinct",
    "FBNet",
    "Family",
    "MnasNet",
    "MnistBlocks",
    "NASBench201",
    "NASBenchMacro",
    "OnceForAll",
    "OnceForAllResNet50",
    "ProxylessNAS",
    "RestrictedSpace",
    "SearchSpace",
    "Size",
    "SpaceError",
    "Structure",
    "Zoo",
    "describe_structure",
    "get_space",
    "import_torchvision",
    "list_spaces",
    "measure_size",
    "register_space",
]
