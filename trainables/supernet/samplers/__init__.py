"""Path samplers: which paths each step of a supernet trains."""

from trainables.supernet.samplers.epsilon_greedy import EpsilonGreedySampler
from trainables.supernet.samplers.fair import FairSampler
from trainables.supernet.samplers.greedy import GreedySampler
from trainables.supernet.samplers.gumbel import GumbelSampler
from trainables.supernet.samplers.mixture import MixtureSampler
from trainables.supernet.samplers.multi_agent import MultiAgentSampler
from trainables.supernet.samplers.progressive import ProgressiveSampler
from trainables.supernet.samplers.registry import list_samplers, make_sampler
from trainables.supernet.samplers.sampler import Group, Judge, Outcome, PathSampler
from trainables.supernet.samplers.sandwich import SandwichSampler
from trainables.supernet.samplers.shrinking import ShrinkingSampler
from trainables.supernet.samplers.thompson import ThompsonSampler
from trainables.supernet.samplers.ucb import UcbSampler
from trainables.supernet.samplers.uniform import UniformSampler

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
]
