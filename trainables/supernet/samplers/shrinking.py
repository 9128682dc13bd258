"""Uniform sampling from a shrinking set of candidates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.additive import AdditiveModel, CandidateMeans, DetrendedModel
from taurank.trainables.supernet.samplers.options import check_share
from taurank.trainables.supernet.samplers.sampler import Group, Judge, Outcome, PathSampler


class ShrinkingSampler(PathSampler):
    """Uniform over candidates that become fewer: at each share ``at`` of the training the better ones are kept.

    Candidates are compared by the losses before each step, at no further cost: a ridge regression of the loss, with
    its trend taken out, on the options taken (`AdditiveModel`), or where the space has no decisions the mean of each
    candidate. Candidates that are dropped are still scored later, with the weights that the others leave them, so they
    rank lower than they would have: this sharpens the upper end of the order at the expense of the rest.

    Source: the idea that github.com/basic-go-ahead/supernet-mnist states and leaves open, to shrink the space during
    the training; compare Hu et al. 2020, angle-based search space shrinking, arXiv 2004.13431, whose measure is
    another.

    Args:
        paths: the candidates.
        at: shares of the training, in (0, 1) and ascending, after which candidates are dropped.
        keep: share of the candidates left that stays each time, in (0, 1); at least one does.
    """

    def __init__(self, paths: Paths, *, at: Sequence[float] = (0.5, 0.75), keep: float = 0.5) -> None:
        super().__init__(paths)
        if isinstance(at, str) or not isinstance(at, Sequence):
            raise ValueError(f"at is {at!r}; it has to be a list of shares, such as [0.5, 0.75]")
        for share in at:
            check_share("at", share, zero=False, one=False)
        if list(at) != sorted(set(at)):
            raise ValueError(f"at is {at!r}; its shares have to ascend")
        check_share("keep", keep, zero=False, one=False)
        self.at, self.keep = tuple(at), keep
        self._place = {code: place for place, code in enumerate(paths.codes)}
        self._choices = np.array([self._choices_of(code) for code in paths.codes])
        model = AdditiveModel(paths.options) if paths.allowed else CandidateMeans(len(paths))
        self._rewards = DetrendedModel(model)
        self._unread: list[tuple[str, Tensor]] = []
        self._shrunk = 0
        self.active = np.arange(len(paths))

    def _choices_of(self, code: str) -> tuple[int, ...]:
        return self.paths.choices(code) if self.paths.allowed else (self._place[code],)

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """Any of the candidates that are left."""
        while self._shrunk < len(self.at) and progress >= self.at[self._shrunk]:
            self._shrink()
        return Group((self.paths.codes[generator.choice(self.active)],))

    def _shrink(self) -> None:
        self._read()
        worth = self._rewards.model.predict(self._choices[self.active])
        best = np.argsort(-worth, kind="stable")[: math.ceil(self.keep * len(self.active))]
        self.active = self.active[np.sort(best)]
        self._shrunk += 1

    def learn(self, outcomes: Sequence[Outcome], judge: Judge) -> None:
        """Keeps the losses, which are read all at once when they are needed: reading one makes a GPU wait."""
        self._unread += [(outcome.path, outcome.loss) for outcome in outcomes]

    def _read(self) -> None:
        if not self._unread:
            return
        losses = torch.stack([loss for _, loss in self._unread]).double().cpu().tolist()
        for (code, _), loss in zip(self._unread, losses, strict=True):
            if math.isfinite(loss):
                self._rewards.add(self._choices_of(code), -loss)
        self._unread.clear()

    def scores(self, codes: Sequence[str]) -> NDArray[np.float64] | None:
        """Expected loss of paths below the average, in nats; None before the first step."""
        self._read()
        if self._rewards.empty:
            return None
        return self._rewards.model.predict(np.array([self._choices_of(code) for code in codes]))

    def state_dict(self) -> dict[str, Any]:
        """Candidates that are left, and the regression of the losses."""
        self._read()
        return {"active": self.active.tolist(), "shrunk": self._shrunk, "rewards": self._rewards.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state of ``state_dict``."""
        self._unread.clear()
        self.active, self._shrunk = np.array(state["active"], dtype=np.intp), int(state["shrunk"])
        self._rewards.load_state_dict(state["rewards"])
