"""A distribution over the options of each decision, learned by gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.supernet.paths import Paths
from trainables.supernet.samplers.options import check_count, check_number
from trainables.supernet.samplers.sampler import Group, Judge, PathSampler

_HOTTEST, _COLDEST = 10.0, 0.1


class GumbelSampler(PathSampler):
    """Gradient-based search with a differentiable sampler: one path a step, and one step of the logits A before it.

    For each decision, with g = -log(Exp(1)) and a temperature T that falls linearly from 10 to .1:

        p = softmax((log_softmax(A) + g) / T),   option = argmax p,   w = one-hot(option) - stop(p) + p

    A path is drawn so for the weights, and another for the logits: the loss of the latter on held-back images is
    differentiated through w. Each option gets a gradient though only one is computed (`Supernet.gated`). Adam, betas
    (.5, .999), weight decay 1e-3. The options taken are distributed as softmax(A), whatever the temperature.

    Scores are separable, sum over decisions of log softmax(A)[option]: they cost nothing, but see no interplay between
    decisions. Each step of Adam moves a logit by about the learning rate: after 1,000 steps at the source's, softmax(A)
    is still near uniform, and the order of the scores tells little more than the signs of the gradients.

    Source: Dong & Yang 2019, GDAS, arXiv 1910.04465, section 3; github.com/D-X-Y/AutoDL-Projects.

    Args:
        paths: the candidates; the options that occur among them are drawn.
        learning_rate: of the logits, above 0.
        seed: of the logits' first values, 1e-3 N(0, 1); 0 or more.

    Raises:
        ValueError: the space has no fixed decisions, or a value outside its range.
    """

    judging_share = 0.5
    by_decision = True

    def __init__(self, paths: Paths, *, learning_rate: float = 3e-4, seed: int = 0) -> None:
        super().__init__(paths)
        check_number("learning_rate", learning_rate, above=0)
        check_count("seed", seed, lowest=0)
        shape = len(paths.options), max(paths.options)
        self.logits = torch.from_numpy(1e-3 * np.random.default_rng(seed).standard_normal(shape)).float()
        self.logits.requires_grad_()
        self._closed = torch.full(shape, -torch.inf)  # of options that are not drawn, added to the logits
        for decision, options in enumerate(paths.allowed):
            self._closed[decision, list(options)] = 0.0
        self._optimizer = torch.optim.Adam([self.logits], lr=learning_rate, betas=(0.5, 0.999), weight_decay=1e-3)

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """Takes a step of the logits, then draws the path for the weights."""
        temperature = _HOTTEST + (_COLDEST - _HOTTEST) * progress
        choices, gates = self.sample(generator, temperature)
        self._optimizer.zero_grad(set_to_none=True)
        judge.backpropagate(self.paths.code(choices), gates)
        if self.logits.grad is not None and bool(self.logits.grad.isfinite().all()):  # one NaN would stay for good
            self._optimizer.step()
        choices, _ = self.sample(generator, temperature)
        return Group((self.paths.code(choices),))

    def sample(self, generator: np.random.Generator, temperature: float) -> tuple[list[int], list[Tensor]]:
        """Options drawn, and for each decision the weights (options,) of its options, with gradients to the logits."""
        noise = np.full(tuple(self.logits.shape), np.inf)
        while not np.isfinite(noise).all():
            noise = -np.log(generator.exponential(size=noise.shape))
        soft = ((self._log_probabilities() + torch.from_numpy(noise).float()) / temperature).softmax(1)
        taken = soft.argmax(1, keepdim=True)
        hard = torch.zeros_like(soft).scatter_(1, taken, 1.0)
        gates = hard - soft.detach() + soft
        widths = self.paths.options
        return taken[:, 0].tolist(), [gates[decision, :width] for decision, width in enumerate(widths)]

    def _log_probabilities(self) -> Tensor:
        return (self.logits + self._closed).log_softmax(1)  # (decisions, options of the widest)

    def scores(self, codes: Sequence[str]) -> NDArray[np.float64]:
        """Log probability of each path; minus infinity for one with an option that no candidate has."""
        table = self._log_probabilities().detach().double().numpy()
        choices = np.array([self.paths.choices(code) for code in codes])
        scores: NDArray[np.float64] = table[np.arange(len(table)), choices].sum(1)
        return scores

    def state_dict(self) -> dict[str, Any]:
        """Logits, and the state of their optimiser."""
        return {"logits": self.logits.detach().clone(), "optimizer": deepcopy(self._optimizer.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Logits and optimiser as they were."""
        with torch.no_grad():
            self.logits.copy_(state["logits"])
        self._optimizer.load_state_dict(deepcopy(state["optimizer"]))
