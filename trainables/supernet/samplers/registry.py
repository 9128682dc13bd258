"""Path samplers by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.epsilon_greedy import EpsilonGreedySampler
from taurank.trainables.supernet.samplers.fair import FairSampler
from taurank.trainables.supernet.samplers.greedy import GreedySampler
from taurank.trainables.supernet.samplers.gumbel import GumbelSampler
from taurank.trainables.supernet.samplers.mixture import MixtureSampler
from taurank.trainables.supernet.samplers.multi_agent import MultiAgentSampler
from taurank.trainables.supernet.samplers.progressive import ProgressiveSampler
from taurank.trainables.supernet.samplers.sampler import PathSampler
from taurank.trainables.supernet.samplers.sandwich import SandwichSampler
from taurank.trainables.supernet.samplers.shrinking import ShrinkingSampler
from taurank.trainables.supernet.samplers.thompson import ThompsonSampler
from taurank.trainables.supernet.samplers.ucb import UcbSampler
from taurank.trainables.supernet.samplers.uniform import UniformSampler

_SAMPLERS: Mapping[str, type[PathSampler]] = {
    "uniform": UniformSampler,
    "fair": FairSampler,
    "sandwich": SandwichSampler,
    "epsilon-greedy": EpsilonGreedySampler,
    "ucb": UcbSampler,
    "thompson": ThompsonSampler,
    "greedy": GreedySampler,
    "gumbel": GumbelSampler,
    "mixture": MixtureSampler,
    "multi-agent": MultiAgentSampler,
    "shrinking": ShrinkingSampler,
    "progressive": ProgressiveSampler,
}


def list_samplers() -> list[str]:
    """Names that ``make_sampler`` knows."""
    return list(_SAMPLERS)


def make_sampler(name: str, paths: Paths, **options: Any) -> PathSampler:
    """A sampler by name; its class says what its options do.

    Raises:
        ValueError: unknown name or option, or a value outside its range.
    """
    if name not in _SAMPLERS:
        raise ValueError(f"unknown sampler {name!r}; {_hint(name, list_samplers())}")
    sampler = _SAMPLERS[name]
    allowed = [parameter for parameter in inspect.signature(sampler).parameters if parameter != "paths"]
    for option in options:
        if option not in allowed:
            raise ValueError(f"unknown option {option!r} of sampler {name!r}; {_hint(option, allowed)}")
    return sampler(paths, **options)


def _hint(wrong: str, allowed: list[str]) -> str:
    close = get_close_matches(wrong, allowed, n=1)
    return f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(allowed) or 'none'}"
