"""Supernets: one training with shared weights that scores every candidate."""

from trainables.supernet.batch_norm import batch_statistics, recalibrate
from trainables.supernet.config import SupernetConfig
from trainables.supernet.layerwise import LayerwiseSupernet
from trainables.supernet.mnist_blocks import MnistBlocksSupernet
from trainables.supernet.nasbench201 import NasBench201Supernet
from trainables.supernet.network import Supernet, can_mix, list_supernets, make_supernet
from trainables.supernet.once_for_all import OnceForAllSupernet
from trainables.supernet.once_for_all_resnet50 import OnceForAllResNet50Supernet
from trainables.supernet.paths import Paths
from trainables.supernet.samplers import PathSampler, list_samplers, make_sampler
from trainables.supernet.staged import StagedSupernet
from trainables.supernet.training import PathScore, SupernetTraining, extract, score_paths

__all__ = [
    "LayerwiseSupernet",
    "MnistBlocksSupernet",
    "NasBench201Supernet",
    "OnceForAllResNet50Supernet",
    "OnceForAllSupernet",
    "PathSampler",
    "PathScore",
    "Paths",
    "StagedSupernet",
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
    "score_paths",
]
