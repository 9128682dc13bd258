"""Training-free proxies: scores of untrained networks from one batch of images or none."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.trainables.proxies.averaged_network import AveragedNetwork
    from taurank.trainables.proxies.az_nas import AzExpressivity, AzProgressivity, AzTrainability
    from taurank.trainables.proxies.batch import ProxyBatch, draw_batch
    from taurank.trainables.proxies.chunk import (
        ProxyScoring,
        ScoreRow,
        score_architecture,
        score_rows,
    )
    from taurank.trainables.proxies.config import ProxyConfig, batch_size, score_cost
    from taurank.trainables.proxies.description import ProxyDescription, describe_proxy
    from taurank.trainables.proxies.epe_nas import EpeNas
    from taurank.trainables.proxies.fisher import Fisher
    from taurank.trainables.proxies.flops import Flops
    from taurank.trainables.proxies.fusion import SETS, log_rank_sum
    from taurank.trainables.proxies.grad_norm import GradNorm
    from taurank.trainables.proxies.gradsign import GradSign
    from taurank.trainables.proxies.grasp import Grasp
    from taurank.trainables.proxies.jacob_cov import JacobCov
    from taurank.trainables.proxies.l2_norm import L2Norm
    from taurank.trainables.proxies.linear_regions import LinearRegions
    from taurank.trainables.proxies.meco import Meco, MecoOpt
    from taurank.trainables.proxies.ntk_condition import NtkCondition
    from taurank.trainables.proxies.nwot import Nwot
    from taurank.trainables.proxies.params import Params
    from taurank.trainables.proxies.plain import Plain
    from taurank.trainables.proxies.probe import Probe, SharedPass, VoidScoreError
    from taurank.trainables.proxies.proxy import (
        Correlation,
        Measured,
        Proxy,
        ProxyError,
        check_proxy,
        get_proxy,
        list_proxies,
        register_proxy,
    )
    from taurank.trainables.proxies.pruning import (
        Active,
        Measure,
        PruningConfig,
        SteppedPruning,
        prune_by_importance,
    )
    from taurank.trainables.proxies.scoring import ProxyScore, score_initialisations, score_network
    from taurank.trainables.proxies.snip import Snip
    from taurank.trainables.proxies.swap import Swap, size_regularised
    from taurank.trainables.proxies.synflow import Synflow
    from taurank.trainables.proxies.trainable_layers import TrainableLayers
    from taurank.trainables.proxies.vkdnw import Vkdnw
    from taurank.trainables.proxies.zen import Zen
    from taurank.trainables.proxies.zico import Zico

__all__ = [
    "SETS",
    "Active",
    "AveragedNetwork",
    "AzExpressivity",
    "AzProgressivity",
    "AzTrainability",
    "Correlation",
    "EpeNas",
    "Fisher",
    "Flops",
    "GradNorm",
    "GradSign",
    "Grasp",
    "JacobCov",
    "L2Norm",
    "LinearRegions",
    "Measure",
    "Measured",
    "Meco",
    "MecoOpt",
    "NtkCondition",
    "Nwot",
    "Params",
    "Plain",
    "Probe",
    "Proxy",
    "ProxyBatch",
    "ProxyConfig",
    "ProxyDescription",
    "ProxyError",
    "ProxyScore",
    "ProxyScoring",
    "PruningConfig",
    "ScoreRow",
    "SharedPass",
    "Snip",
    "SteppedPruning",
    "Swap",
    "Synflow",
    "TrainableLayers",
    "Vkdnw",
    "VoidScoreError",
    "Zen",
    "Zico",
    "batch_size",
    "check_proxy",
    "describe_proxy",
    "draw_batch",
    "get_proxy",
    "list_proxies",
    "log_rank_sum",
    "prune_by_importance",
    "register_proxy",
    "score_architecture",
    "score_cost",
    "score_initialisations",
    "score_network",
    "score_rows",
    "size_regularised",
]

__getattr__ = lazy_names(__name__)
