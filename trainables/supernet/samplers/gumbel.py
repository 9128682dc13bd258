"""A distribution over the options of each decision, learned from single paths by gradient descent."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from taurank.trainables.supernet.samplers.logits import LogitSampler
from taurank.trainables.supernet.samplers.sampler import Group, Judge

_HOTTEST, _COLDEST = 10.0, 0.1


class GumbelSampler(LogitSampler):
    """Gradient-based search with a differentiable sampler: one path a step, and one step of the logits A before it.

    For each decision, with g = -log(Exp(1)) and a temperature T that falls linearly from 10 to .1:

        p = softmax((log_softmax(A) + g) / T),   option = argmax p,   w = one-hot(option) - stop(p) + p

    A path is drawn so for the weights, and another for the logits: the loss of the latter on held-back images is
    differentiated through w. Each option gets a gradient though only one is computed (`Supernet.gated`). The options
    taken are distributed as softmax(A), whatever the temperature. `LogitSampler` documents how the logits are learned,
    what its arguments are, and what the scores can tell.

    Source: Dong & Yang 2019, GDAS, arXiv 1910.04465, section 3; github.com/D-X-Y/AutoDL-Projects.
    """

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """Takes a step of the logits, then draws the path for the weights."""
        temperature = _HOTTEST + (_COLDEST - _HOTTEST) * progress
        choices, gates = self.sample(generator, temperature)
        self.learn_logits(judge, self.paths.code(choices), gates)
        choices, _ = self.sample(generator, temperature)
        return Group((self.paths.code(choices),))

    def sample(self, generator: np.random.Generator, temperature: float) -> tuple[list[int], list[Tensor]]:
        """Options drawn, and for each decision the weights (options,) of its options, with gradients to the logits."""
        noise = np.full(tuple(self.logits.shape), np.inf)
        while not np.isfinite(noise).all():
            noise = -np.log(generator.exponential(size=noise.shape))
        soft = ((self.log_probabilities + torch.from_numpy(noise).float()) / temperature).softmax(1)
        taken = soft.argmax(1, keepdim=True)
        hard = torch.zeros_like(soft).scatter_(1, taken, 1.0)
        return taken[:, 0].tolist(), self.cut(hard - soft.detach() + soft)
