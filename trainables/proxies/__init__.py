"""Training-free proxies: scores of untrained networks from one batch of images or none."""

from trainables.proxies.az_nas import AzExpressivity, AzProgressivity, AzTrainability
from trainables.proxies.batch import ProxyBatch, batch_size, draw_batch
from trainables.proxies.epe_nas import EpeNas
from trainables.proxies.fisher import Fisher
from trainables.proxies.flops import Flops
from trainables.proxies.fusion import SETS, log_rank_sum
from trainables.proxies.grad_norm import GradNorm
from trainables.proxies.gradsign import GradSign
from trainables.proxies.grasp import Grasp
from trainables.proxies.jacob_cov import JacobCov
from trainables.proxies.l2_norm import L2Norm
from trainables.proxies.linear_regions import LinearRegions
from trainables.proxies.meco import Meco, MecoOpt
from trainables.proxies.ntk_condition import NtkCondition
from trainables.proxies.nwot import Nwot
from trainables.proxies.params import Params
from trainables.proxies.plain import Plain
from trainables.proxies.probe import Probe, SharedPass
from trainables.proxies.proxy import (
    Correlation,
    Measured,
    Proxy,
    ProxyError,
    VoidScoreError,
    get_proxy,
    list_proxies,
    register_proxy,
    summary_of,
)
from trainables.proxies.scoring import ProxyScore, score_initialisations, score_network
from trainables.proxies.snip import Snip
from trainables.proxies.swap import Swap, size_regularised
from trainables.proxies.synflow import Synflow
from trainables.proxies.trainable_layers import TrainableLayers
from trainables.proxies.vkdnw import Vkdnw
from trainables.proxies.zen import Zen
from trainables.proxies.zico import Zico

__all__ = [
    "SETS",
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
    "ProxyError",
    "ProxyScore",
    "SharedPass",
    "Snip",
    "Swap",
    "Synflow",
    "TrainableLayers",
    "Vkdnw",
    "VoidScoreError",
    "Zen",
    "Zico",
    "batch_size",
    "draw_batch",
    "get_proxy",
    "list_proxies",
    "log_rank_sum",
    "register_proxy",
    "score_initialisations",
    "score_network",
    "size_regularised",
    "summary_of",
]
