"""Base class of bandits over candidates, with discounted counts of correct predictions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.options import check_share
from taurank.trainables.supernet.samplers.sampler import Group, Judge, Outcome, PathSampler

_HALF_LIFE = 4
"""Rounds for each candidate after which a prediction counts half, by default."""

_PRIOR_IMAGES = 2.0
"""Predictions that the prior is worth: those of an average candidate."""


class BanditSampler(PathSampler):
    """One candidate a step: one that was never drawn, in random order, and later the one with the highest ``index``.

    The reward is the share of correct predictions on the training batch before the step. Rewards rise as the weights
    are trained, so a mean over all rounds is too low for candidates that were drawn early. Here all counts are
    multiplied by ``discount`` in every round, and a candidate that was not drawn for long is thought of as average.

    Args:
        paths: the candidates.
        discount: factor of all counts in each round, in (0, 1]; 1 forgets nothing. By default counts halve every
            4 (candidates) rounds.
    """

    def __init__(self, paths: Paths, *, discount: float | None = None) -> None:
        super().__init__(paths)
        if discount is None:
            discount = 0.5 ** (1 / (_HALF_LIFE * len(paths)))
        check_share("discount", discount, zero=False)
        self.discount = discount
        self._place = {code: place for place, code in enumerate(paths.codes)}
        self._drawn = np.zeros(len(paths), dtype=bool)
        self._correct = np.zeros(len(paths))  # discounted
        self._images = np.zeros(len(paths))

    @abstractmethod
    def index(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """Index of the candidates, (candidates,); the highest is drawn. All have been drawn before."""

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """A candidate without a turn so far, or else the one with the highest index."""
        new = np.flatnonzero(~self._drawn)
        place = int(generator.choice(new)) if len(new) else int(np.argmax(self.index(generator)))
        return Group((self.paths.codes[place],))

    def learn(self, outcomes: Sequence[Outcome], judge: Judge) -> None:
        """Counts the predictions towards the candidate's; reading them makes a GPU wait in each step."""
        (outcome,) = outcomes
        place = self._place[outcome.path]
        self._drawn[place] = True
        self._correct *= self.discount
        self._images *= self.discount
        self._correct[place] += float(outcome.correct)
        self._images[place] += outcome.images

    def beliefs(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Right and wrong predictions of each candidate, discounted, with the prior's: two of an average candidate."""
        average = self._correct.sum() / self._images.sum()
        right = self._correct + _PRIOR_IMAGES * average
        wrong = self._images - self._correct + _PRIOR_IMAGES * (1 - average)
        return right, wrong

    def scores(self, codes: Sequence[str]) -> NDArray[np.float64] | None:
        """Posterior mean of the share of correct predictions, in [0, 1]; None before the first round."""
        if not self._drawn.any():
            return None
        right, wrong = self.beliefs()
        means: NDArray[np.float64] = right / (right + wrong)
        return means[[self._place[code] for code in codes]]

    def state_dict(self) -> dict[str, Any]:
        """Counts."""
        return {"drawn": self._drawn.tolist(), "correct": self._correct.tolist(), "images": self._images.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Counts as they were."""
        self._drawn = np.array(state["drawn"], dtype=bool)
        self._correct = np.array(state["correct"], dtype=np.float64)
        self._images = np.array(state["images"], dtype=np.float64)
