"""The candidate that could be the best: upper confidence bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.bandit import BanditSampler
from taurank.trainables.supernet.samplers.options import check_number


class UcbSampler(BanditSampler):
    """Trains the candidate with the highest upper bound of its accuracy.

    bound = mean + exploration * sqrt(2 ln N / n), with n the predictions of the candidate so far and N those of all,
    both discounted. With ``discount`` 1 and ``exploration`` 1 it is UCB1 where each image is one play.

    The images of a batch are seen with the same weights, which the bound does not know, and as long as there are fewer
    steps than candidates this is uniform sampling without repeats. Good candidates get more steps than others, so their
    inherited weights are better trained: read the scores beside the updates.

    Sources: Auer et al. 2002, Finite-time analysis of the multiarmed bandit problem; Garivier & Moulines 2008,
    arXiv 0805.3415 (discounted).

    Args:
        paths: the candidates.
        discount: factor of all counts in each round, in (0, 1]; by default they halve every 4 (candidates) rounds.
        exploration: factor of the bonus, at least 0; 0 takes the highest mean.
    """

    def __init__(self, paths: Paths, *, discount: float | None = None, exploration: float = 1.0) -> None:
        super().__init__(paths, discount=discount)
        check_number("exploration", exploration, lowest=0)
        self.exploration = exploration

    def index(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """Upper bounds of the accuracies."""
        right, wrong = self.beliefs()
        seen = right + wrong
        bounds: NDArray[np.float64] = right / seen + self.exploration * np.sqrt(2 * np.log(seen.sum()) / seen)
        return bounds
