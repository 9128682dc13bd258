"""Supernets: one training with shared weights that scores every candidate."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.trainables.supernet.batch_norm import batch_statistics, recalibrate
    from taurank.trainables.supernet.config import BatchNorm, SupernetConfig
    from taurank.trainables.supernet.layerwise import LayerwiseSupernet
    from taurank.trainables.supernet.mnist_blocks import MnistBlocksSupernet
    from taurank.trainables.supernet.nasbench201 import NasBench201Supernet
    from taurank.trainables.supernet.network import Supernet
    from taurank.trainables.supernet.once_for_all import OnceForAllSupernet
    from taurank.trainables.supernet.once_for_all_resnet50 import OnceForAllResNet50Supernet
    from taurank.trainables.supernet.paths import Paths
    from taurank.trainables.supernet.registry import can_mix, list_supernets, make_supernet
    from taurank.trainables.supernet.samplers import PathSampler, list_samplers, make_sampler, sampler_class
    from taurank.trainables.supernet.scoring import PathScoring
    from taurank.trainables.supernet.training import PathScore, SupernetTraining, extract, score_paths

__all__ = [
    "BatchNorm",
    "LayerwiseSupernet",
    "MnistBlocksSupernet",
    "NasBench201Supernet",
    "OnceForAllResNet50Supernet",
    "OnceForAllSupernet",
    "PathSampler",
    "PathScore",
    "PathScoring",
    "Paths",
    "Supernet",
    "SupernetConfig",
    "SupernetTraining",
    "batch_statistics",
    "can_mix",
    "extract",
    "list_samplers",
    "list_supernets",
    "make_sampler",
    "make_supernet",
    "recalibrate",
    "sampler_class",
    "score_paths",
]

__getattr__ = lazy_names(__name__)
