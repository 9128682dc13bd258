"""Additive models of a drifting reward, for samplers that learn from single rounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_RIDGE = 1e-3


class AdditiveModel:
    """Ridge regression of a reward on the options taken: intercept + sum over decisions of the option's effect.

    The intercept bears no penalty, so that the effects of each decision add up to 0. An option that was never taken has
    effect 0. What options do together is not seen: such as an operation of a cell behind another that passes nothing.

    Args:
        options: number of options of each decision.
    """

    def __init__(self, options: Sequence[int]) -> None:
        self._starts = np.cumsum([0, *options])
        columns = int(self._starts[-1]) + 1  # the last is the intercept's
        self._gram = np.zeros((columns, columns))
        self._moments = np.zeros(columns)
        self._effects: NDArray[np.float64] | None = np.zeros(columns - 1)

    def add(self, choices: Sequence[int], reward: float) -> None:
        """One more round."""
        taken = np.append(self._starts[:-1] + np.asarray(choices), len(self._gram) - 1)
        self._gram[np.ix_(taken, taken)] += 1
        self._moments[taken] += reward
        self._effects = None

    def effects(self, decision: int) -> NDArray[np.float64]:
        """Effects of the options of one decision, (options,), in units of the reward."""
        return self._solved()[self._starts[decision] : self._starts[decision + 1]]

    def predict(self, choices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Differences of paths from the average, (paths,), by their choices (paths, decisions)."""
        differences: NDArray[np.float64] = self._solved()[self._starts[:-1] + choices].sum(1)
        return differences

    def _solved(self) -> NDArray[np.float64]:
        if self._effects is None:
            penalty = np.full(len(self._gram), _RIDGE)
            penalty[-1] = 0.0
            self._effects = np.linalg.solve(self._gram + np.diag(penalty), self._moments)[:-1].astype(np.float64)
        return self._effects

    def state_dict(self) -> dict[str, Any]:
        """Sums over the rounds."""
        return {"gram": self._gram.tolist(), "moments": self._moments.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sums as they were."""
        self._gram, self._moments = np.array(state["gram"]), np.array(state["moments"])
        self._effects = None if self._gram[-1, -1] else np.zeros(len(self._gram) - 1)


class CandidateMeans:
    """Additive model of a space without decisions: one effect for each candidate.

    Args:
        candidates: their number.
    """

    def __init__(self, candidates: int) -> None:
        self._counts, self._sums = np.zeros(candidates), np.zeros(candidates)

    def add(self, choices: Sequence[int], reward: float) -> None:
        """One more round of the candidate at position ``choices[0]``."""
        self._counts[choices[0]] += 1
        self._sums[choices[0]] += reward

    def predict(self, choices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Differences of candidates from the average, (candidates,); 0 without a round."""
        average = self._sums.sum() / max(self._counts.sum(), 1)
        effects: NDArray[np.float64] = (self._sums - average * self._counts) / (self._counts + _RIDGE)
        return effects[choices[:, 0]]

    def state_dict(self) -> dict[str, Any]:
        """Sums over the rounds."""
        return {"counts": self._counts.tolist(), "sums": self._sums.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Sums as they were."""
        self._counts, self._sums = np.array(state["counts"]), np.array(state["sums"])


class DetrendedModel:
    """A model of rewards that all rise as shared weights are trained: it sees what they are above a moving average.

    The average is that of the rewards that an average path would have had, reward - prediction: once good paths are
    drawn more often than others, a plain average would hold that against them.

    Args:
        model: of the rewards without the trend.
        rate: weight of the newest reward in the moving average, in (0, 1].
    """

    def __init__(self, model: AdditiveModel | CandidateMeans, *, rate: float = 0.05) -> None:
        self.model, self.rate = model, rate
        self._level: float | None = None

    def add(self, choices: Sequence[int], reward: float) -> None:
        """One more round, in the order of time."""
        if self._level is None:
            self._level = reward
        expected = float(self.model.predict(np.asarray([choices]))[0])
        self.model.add(choices, reward - self._level)
        self._level += self.rate * (reward - expected - self._level)

    @property
    def empty(self) -> bool:
        """Whether there was no round so far."""
        return self._level is None

    def state_dict(self) -> dict[str, Any]:
        """State of the model, and the moving average."""
        return {"model": self.model.state_dict(), "level": self._level}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""
        self.model.load_state_dict(state["model"])
        self._level = state["level"]
