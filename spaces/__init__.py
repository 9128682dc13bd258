"""Search spaces. Names are imported on first use; torch is imported with the first network."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.spaces.architecture import Architecture, Distinct, Family, SearchSpace, SpaceError
    from taurank.spaces.cells import DARTS, PNAS
    from taurank.spaces.choice_space import ChoiceSpace
    from taurank.spaces.decision_space import DecisionSpace
    from taurank.spaces.mnist_blocks import MnistBlocks
    from taurank.spaces.mobile import FBNet, MnasNet, NASBenchMacro, ProxylessNAS
    from taurank.spaces.model_options import ModelOptions
    from taurank.spaces.nasbench201 import NASBench201
    from taurank.spaces.once_for_all import OnceForAll, OnceForAllResNet50
    from taurank.spaces.own_candidates import OwnCandidates, candidate_code, candidate_of
    from taurank.spaces.own_code import import_own
    from taurank.spaces.registry import get_space, list_spaces, register_space
    from taurank.spaces.restricted import RestrictedSpace
    from taurank.spaces.size import Size, measure_size
    from taurank.spaces.small_convnets import SmallConvnets
    from taurank.spaces.structure import Structure, describe_structure
    from taurank.spaces.user_cache import cache_folder
    from taurank.spaces.zoo import KeptSizes, Zoo, import_torchvision

__all__ = [
    "DARTS",
    "PNAS",
    "Architecture",
    "ChoiceSpace",
    "DecisionSpace",
    "Distinct",
    "FBNet",
    "Family",
    "KeptSizes",
    "MnasNet",
    "MnistBlocks",
    "ModelOptions",
    "NASBench201",
    "NASBenchMacro",
    "OnceForAll",
    "OnceForAllResNet50",
    "OwnCandidates",
    "ProxylessNAS",
    "RestrictedSpace",
    "SearchSpace",
    "Size",
    "SmallConvnets",
    "SpaceError",
    "Structure",
    "Zoo",
    "cache_folder",
    "candidate_code",
    "candidate_of",
    "describe_structure",
    "get_space",
    "import_own",
    "import_torchvision",
    "list_spaces",
    "measure_size",
    "register_space",
]

__getattr__ = lazy_names(__name__)
