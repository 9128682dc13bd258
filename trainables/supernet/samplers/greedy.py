"""Only the more promising half of the paths that each step tries."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.options import check_count
from taurank.trainables.supernet.samplers.sampler import Group, Judge, PathSampler

_POOL_SHARE = 5
"""By default one candidate in this many is in the pool."""

_EXPLOITATION = 0.8
"""Probability, at the end of the training, that a path comes from the pool."""


class GreedySampler(PathSampler):
    """Multi-path sampling with rejection: tries ``sampled`` of them on held-back images, trains the ``keep`` best.

    A path to try is taken from the pool of good candidates with a probability that grows linearly from 0 to .8, and
    otherwise uniformly from all; none twice in a step. All are judged on one batch, and the gradients of those with the
    lowest loss are summed into one step. The pool holds the candidates with the lowest loss when they were last judged.
    A step costs ``sampled`` / 3 + ``keep`` paths. Never more than half of the candidates are tried, or the worst would
    never be trained; the same share of them is kept.

    Losses in the pool are of different times and batches: as the weights get better, a candidate that was not tried for
    long drops out, whatever it is worth. Candidates that are bad early on are hardly trained: this finds good paths,
    and blurs the order of the others. Choosing the best makes a GPU wait in each step.

    Source: You et al. 2020, GreedyNAS, arXiv 2003.11236. Not taken over: the end of the training
    when the pool is stable.

    Args:
        paths: the candidates.
        sampled: paths that a step tries, at least 1.
        keep: those of them that it trains, at least 1 and at most ``sampled``.
        pool: candidates in the pool, at least 1; by default a fifth of all.
    """

    # A step takes one judged batch for `keep` trainings of one other: a tenth is used again some ten times over, which
    # does no harm, as no weight learns from it.
    judging_share = 0.1

    def __init__(self, paths: Paths, *, sampled: int = 10, keep: int = 5, pool: int | None = None) -> None:
        super().__init__(paths)
        check_count("sampled", sampled, lowest=1)
        check_count("keep", keep, lowest=1)
        if keep > sampled:
            raise ValueError(f"keep is {keep}; it has to be at most sampled, which is {sampled}")
        if pool is None:
            pool = max(1, len(paths) // _POOL_SHARE)
        check_count("pool", pool, lowest=1)
        self.pool_size = pool
        self.sampled = max(1, min(sampled, len(paths) // 2))
        self.keep = max(1, self.sampled * keep // sampled)
        self._place = {code: place for place, code in enumerate(paths.codes)}
        self._losses = np.full(len(paths), np.inf)  # when last judged; infinite before that

    @property
    def pool(self) -> NDArray[np.intp]:
        """Positions of the best candidates among those judged, best first."""
        best = np.argsort(self._losses, kind="stable")[: self.pool_size]
        judged: NDArray[np.intp] = best[np.isfinite(self._losses[best])]
        return judged

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """The best of the paths that were tried, best first."""
        pool = self.pool
        wanted = generator.binomial(self.sampled, _EXPLOITATION * progress)
        known = generator.choice(pool, size=min(wanted, len(pool)), replace=False)
        rest = np.setdiff1d(np.arange(len(self.paths)), known, assume_unique=True)
        others = generator.choice(rest, size=self.sampled - len(known), replace=False)
        tried = [self.paths.codes[place] for place in (*known, *others)]
        outcomes = judge.look(tried)
        losses = torch.stack([outcome.loss for outcome in outcomes]).double().nan_to_num(nan=torch.inf).cpu().numpy()
        self._losses[[self._place[code] for code in tried]] = losses
        best = np.argsort(losses, kind="stable")[: self.keep]
        return Group(tuple(tried[place] for place in best))

    def state_dict(self) -> dict[str, Any]:
        """Losses of the candidates when they were last judged."""
        return {"losses": self._losses.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Losses as they were."""
        self._losses = np.array(state["losses"], dtype=np.float64)
