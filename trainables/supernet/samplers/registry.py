"""Path samplers by name."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from taurank.spaces.named_classes import NamedClasses
from taurank.spaces.names import hint_or

if TYPE_CHECKING:
    from taurank.trainables.supernet.paths import Paths
    from taurank.trainables.supernet.samplers.sampler import PathSampler

_SAMPLERS: NamedClasses[PathSampler] = NamedClasses(
    "sampler",
    ValueError,
    {
        "uniform": "taurank.trainables.supernet.samplers.uniform:UniformSampler",
        "fair": "taurank.trainables.supernet.samplers.fair:FairSampler",
        "sandwich": "taurank.trainables.supernet.samplers.sandwich:SandwichSampler",
        "epsilon-greedy": "taurank.trainables.supernet.samplers.epsilon_greedy:EpsilonGreedySampler",
        "ucb": "taurank.trainables.supernet.samplers.ucb:UcbSampler",
        "thompson": "taurank.trainables.supernet.samplers.thompson:ThompsonSampler",
        "greedy": "taurank.trainables.supernet.samplers.greedy:GreedySampler",
        "gumbel": "taurank.trainables.supernet.samplers.gumbel:GumbelSampler",
        "mixture": "taurank.trainables.supernet.samplers.mixture:MixtureSampler",
        "multi-agent": "taurank.trainables.supernet.samplers.multi_agent:MultiAgentSampler",
        "shrinking": "taurank.trainables.supernet.samplers.shrinking:ShrinkingSampler",
        "progressive": "taurank.trainables.supernet.samplers.progressive:ProgressiveSampler",
    },
)


def list_samplers() -> list[str]:
    """Names that ``make_sampler`` knows."""
    return _SAMPLERS.names()


def sampler_class(name: str) -> type[PathSampler]:
    """The class of a sampler, which documents its options.

    Raises:
        ValueError: unknown name.
    """
    return _SAMPLERS.find(name)


def make_sampler(name: str, paths: Paths, **options: Any) -> PathSampler:
    """Makes a sampler by name; its class documents its options.

    Raises:
        ValueError: unknown name or option, or a value outside its range.
    """
    sampler = sampler_class(name)
    allowed = [parameter for parameter in inspect.signature(sampler).parameters if parameter != "paths"]
    known = f"allowed: {', '.join(allowed) or 'none'}"
    for option in options:
        if option not in allowed:
            raise ValueError(f"unknown option {option!r} of sampler {name!r}; {hint_or(option, allowed, known)}")
    return sampler(paths, **options)
