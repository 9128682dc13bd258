"""Path samplers: which paths each step of a supernet trains."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.trainables.supernet.samplers.epsilon_greedy import EpsilonGreedySampler
    from taurank.trainables.supernet.samplers.fair import FairSampler
    from taurank.trainables.supernet.samplers.greedy import GreedySampler
    from taurank.trainables.supernet.samplers.gumbel import GumbelSampler
    from taurank.trainables.supernet.samplers.mixture import MixtureSampler
    from taurank.trainables.supernet.samplers.multi_agent import MultiAgentSampler
    from taurank.trainables.supernet.samplers.progressive import ProgressiveSampler
    from taurank.trainables.supernet.samplers.registry import list_samplers, make_sampler, sampler_class
    from taurank.trainables.supernet.samplers.sampler import Group, Judge, Outcome, PathSampler
    from taurank.trainables.supernet.samplers.sandwich import SandwichSampler
    from taurank.trainables.supernet.samplers.shrinking import ShrinkingSampler
    from taurank.trainables.supernet.samplers.thompson import ThompsonSampler
    from taurank.trainables.supernet.samplers.ucb import UcbSampler
    from taurank.trainables.supernet.samplers.uniform import UniformSampler

__all__ = [
    "EpsilonGreedySampler",
    "FairSampler",
    "GreedySampler",
    "Group",
    "GumbelSampler",
    "Judge",
    "MixtureSampler",
    "MultiAgentSampler",
    "Outcome",
    "PathSampler",
    "ProgressiveSampler",
    "SandwichSampler",
    "ShrinkingSampler",
    "ThompsonSampler",
    "UcbSampler",
    "UniformSampler",
    "list_samplers",
    "make_sampler",
    "sampler_class",
]

__getattr__ = lazy_names(__name__)
