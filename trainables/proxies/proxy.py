"""Interface of training-free proxies, and their registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from taurank.spaces.named_classes import NamedClasses

if TYPE_CHECKING:
    from taurank.trainables.proxies.probe import Part, Probe

Need = Literal["labels", "rectifiers", "batch-norm", "blocks", "thin network"]
"""Requirements on a network or a batch: labels; units with a bend at zero (ReLU, GELU, SiLU, hard-swish ...); batch
normalisation; three blocks one after another; a space that makes thin networks."""


class ProxyError(ValueError):
    """An unknown proxy, or invalid arguments."""


@dataclass(frozen=True)
class Correlation:
    """Rank correlation of a proxy with accuracy after full training, as published.

    Attributes:
        kendall: Kendall's tau; None if it was not given.
        spearman: Spearman's rho.
        where: Benchmark, data set and table that it stands in.
    """

    kendall: float | None
    spearman: float | None
    where: str


@dataclass(frozen=True)
class Measured:
    """Result of a proxy.

    Attributes:
        value: Finite; whether higher or lower is better is the proxy's `direction`.
        coverage: Share of what the proxy is about (weights, units, channels, layers) that it could read, in [0, 1].
    """

    value: float
    coverage: float = 1.0


class Proxy(ABC):
    """Scores one untrained network on one batch.

    Attributes:
        name: Registered name; evidence has it as `proxy:NAME`.
        direction: 1 where higher promises better, -1 where lower does.
        source: Paper with section or equation.
        needs: What network and batch must have.
        parts: Parts of the shared pass that it reads; empty for a proxy with a pass of its own.
        passes: What a score costs, in training steps (forward and backward) on the batch, as measured.
        published: Reference correlation; None if there is none on a common benchmark.
    """

    name: ClassVar[str]
    direction: ClassVar[Literal[1, -1]] = 1
    source: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset()
    parts: ClassVar[frozenset[Part]] = frozenset()
    passes: ClassVar[float] = 1.5
    published: ClassVar[Correlation | None] = None

    @abstractmethod
    def score(self, probe: Probe) -> Measured:
        """Scores the network of the probe.

        Raises:
            VoidScoreError: There is no meaningful score.
        """


PROXIES: NamedClasses[Proxy] = NamedClasses(
    "proxy",
    ProxyError,
    {
        "az_expressivity": "taurank.trainables.proxies.az_nas:AzExpressivity",
        "az_progressivity": "taurank.trainables.proxies.az_nas:AzProgressivity",
        "az_trainability": "taurank.trainables.proxies.az_nas:AzTrainability",
        "epe_nas": "taurank.trainables.proxies.epe_nas:EpeNas",
        "fisher": "taurank.trainables.proxies.fisher:Fisher",
        "flops": "taurank.trainables.proxies.flops:Flops",
        "grad_norm": "taurank.trainables.proxies.grad_norm:GradNorm",
        "gradsign": "taurank.trainables.proxies.gradsign:GradSign",
        "grasp": "taurank.trainables.proxies.grasp:Grasp",
        "jacob_cov": "taurank.trainables.proxies.jacob_cov:JacobCov",
        "l2_norm": "taurank.trainables.proxies.l2_norm:L2Norm",
        "linear_regions": "taurank.trainables.proxies.linear_regions:LinearRegions",
        "meco": "taurank.trainables.proxies.meco:Meco",
        "meco_opt": "taurank.trainables.proxies.meco:MecoOpt",
        "ntk_condition": "taurank.trainables.proxies.ntk_condition:NtkCondition",
        "nwot": "taurank.trainables.proxies.nwot:Nwot",
        "params": "taurank.trainables.proxies.params:Params",
        "plain": "taurank.trainables.proxies.plain:Plain",
        "snip": "taurank.trainables.proxies.snip:Snip",
        "swap": "taurank.trainables.proxies.swap:Swap",
        "synflow": "taurank.trainables.proxies.synflow:Synflow",
        "trainable_layers": "taurank.trainables.proxies.trainable_layers:TrainableLayers",
        "vkdnw": "taurank.trainables.proxies.vkdnw:Vkdnw",
        "zen": "taurank.trainables.proxies.zen:Zen",
        "zico": "taurank.trainables.proxies.zico:Zico",
    },
)
register_proxy = PROXIES.register
check_proxy = PROXIES.check
get_proxy = PROXIES.make
list_proxies = PROXIES.names
