"""Search spaces: what can be built. Importing the package registers every space."""

from spaces.architecture import Architecture, Distinct, SearchSpace, SpaceError
from spaces.mnist_blocks import MnistBlocks
from spaces.nasbench201 import NASBench201
from spaces.nasbench_macro import NASBenchMacro
from spaces.once_for_all import OnceForAll
from spaces.registry import get_space, list_spaces, register_space
from spaces.size import Size, measure_size
from spaces.torchvision_import import import_torchvision

__all__ = [
    "Architecture",
    "Distinct",
    "MnistBlocks",
    "NASBench201",
    "NASBenchMacro",
    "OnceForAll",
    "SearchSpace",
    "Size",
    "SpaceError",
    "get_space",
    "import_torchvision",
    "list_spaces",
    "measure_size",
    "register_space",
]
