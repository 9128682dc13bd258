"""Logits of the options of each decision, learned by gradient descent on held-back images."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.options import check_count, check_number
from taurank.trainables.supernet.samplers.sampler import Judge, PathSampler


class LogitSampler(PathSampler):
    """Base class of samplers that learn logits A: Adam, betas (.5, .999), weight decay 1e-3, as in DARTS and GDAS.

    Scores are separable, sum over decisions of log softmax(A)[option]: they cost nothing, but see no interplay between
    decisions. Each step of Adam moves a logit by about the learning rate: after 1,000 steps at the sources', softmax(A)
    is still near uniform, and the order of the scores contains little more than the signs of the gradients.

    Args:
        paths: the candidates; the options that occur among them have logits.
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

    def learn_logits(self, judge: Judge, path: str, weights: Sequence[Tensor]) -> None:
        """Takes a step of the logits, which the weights were computed from."""
        self._optimizer.zero_grad(set_to_none=True)
        judge.backpropagate(path, weights)
        if self.logits.grad is not None and bool(self.logits.grad.isfinite().all()):  # one NaN would stay for good
            self._optimizer.step()

    @property
    def log_probabilities(self) -> Tensor:
        """Log softmax(A), (decisions, options of the widest); minus infinity for options that no candidate has."""
        return (self.logits + self._closed).log_softmax(1)

    def cut(self, table: Tensor) -> list[Tensor]:
        """Cuts (decisions, options of the widest) to the options (options,) of each decision."""
        return [table[decision, :width] for decision, width in enumerate(self.paths.options)]

    def scores(self, codes: Sequence[str]) -> NDArray[np.float64]:
        """Log probability of each path; minus infinity for one with an option that no candidate has."""
        table = self.log_probabilities.detach().double().numpy()
        choices = np.array([self.paths.choices(code) for code in codes])
        scores: NDArray[np.float64] = table[np.arange(len(table)), choices].sum(1)
        return scores

    def option_scores(self) -> NDArray[np.float64]:
        """Log softmax(A)."""
        table = self.log_probabilities.detach().double().numpy()
        return np.where(np.isfinite(table), table, np.nan)

    def state_dict(self) -> dict[str, Any]:
        """Logits, and the state of their optimiser."""
        return {"logits": self.logits.detach().clone(), "optimizer": deepcopy(self._optimizer.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Logits and optimiser as they were."""
        with torch.no_grad():
            self.logits.copy_(state["logits"])
        self._optimizer.load_state_dict(deepcopy(state["optimizer"]))
