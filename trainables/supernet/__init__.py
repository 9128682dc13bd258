"""Supernets: one training with shared weights that scores every candidate."""

from trainables.supernet.calibration import recalibrate
from trainables.supernet.config import SupernetConfig
from trainables.supernet.networks import Supernet, list_supernets, make_supernet
from trainables.supernet.samplers import EpsilonGreedySampler, PathSampler, UniformSampler, make_sampler
from trainables.supernet.training import PathScore, SupernetTraining, extract

__all__ = [
    "EpsilonGreedySampler",
    "PathSampler",
    "PathScore",
    "Supernet",
    "SupernetConfig",
    "SupernetTraining",
    "UniformSampler",
    "extract",
    "list_supernets",
    "make_sampler",
    "make_supernet",
    "recalibrate",
]
