"""Each candidate as often as it is believed to be the best: Thompson sampling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from taurank.trainables.supernet.samplers.bandit import BanditSampler


class ThompsonSampler(BanditSampler):
    """Draws an accuracy for each candidate from what is believed of it, and trains the one with the highest.

    The belief is Beta(right, wrong) over the share of correct predictions: discounted counts, and as a prior two
    predictions of an average candidate. In the source the prior is uniform; a candidate that was not drawn for long
    would then be thought of as right half of the time, whatever the others are.

    The images of a batch are seen with the same weights, so the belief is narrower than it should be. Good candidates
    get more steps than others, so their inherited weights are better trained: read the scores beside the updates.

    Sources: Thompson 1933; Raj & Kalyani 2017, Taming non-stationary bandits, arXiv 1707.09727 (discounted).

    Args:
        paths: the candidates.
        discount: factor of all counts in each round, in (0, 1]; by default they halve every 4 (candidates) rounds.
    """

    def index(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """An accuracy drawn for each candidate."""
        right, wrong = self.beliefs()
        tiny = np.finfo(np.float64).tiny  # as long as all predictions are right, none is wrong
        return generator.beta(np.maximum(right, tiny), np.maximum(wrong, tiny))
