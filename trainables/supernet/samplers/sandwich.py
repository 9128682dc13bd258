"""The largest candidate, the smallest, and some in between that learn from the largest."""

from __future__ import annotations

from typing import Any

import numpy as np

from taurank.trainables.supernet.network import Supernet
from taurank.trainables.supernet.paths import Paths
from taurank.trainables.supernet.samplers.options import check_count
from taurank.trainables.supernet.samplers.sampler import Group, Judge, PathSampler
from taurank.trainables.supernet.samplers.weights_used import count_weights


class SandwichSampler(PathSampler):
    """The sandwich rule: each step trains the largest, the smallest and ``random`` other candidates.

    The largest learns from the labels, the others from its predictions alone (in-place distillation), and the
    gradients are summed. Size is the number of weights that a path uses in the supernet; of equal ones the first in the
    list counts. No candidate is twice in a step, so with few of them there are fewer paths. A step costs 2 + ``random``
    paths.

    The two extremes get far more steps than the rest, and a path that the largest cannot teach well, because it is
    good in another way, is held back: read the scores beside the updates.

    Source: Yu & Huang 2019, universally slimmable networks; Yu et al. 2020, BigNAS, arXiv 2003.11142.

    Args:
        paths: the candidates.
        random: candidates beside the largest and the smallest, at least 0.
    """

    def __init__(self, paths: Paths, *, random: int = 2) -> None:
        super().__init__(paths)
        check_count("random", random, lowest=0)
        self.random = random
        self._ends: list[int] = []  # positions of the largest and the smallest, each once; empty before `enter`

    def enter(self, supernet: Supernet, progress: float) -> bool:
        """Finds the largest and the smallest candidate, once."""
        if not self._ends:
            sizes = count_weights(supernet, self.paths)
            self._ends = list(dict.fromkeys((int(np.argmax(sizes)), int(np.argmin(sizes)))))
        return False

    def draw(self, generator: np.random.Generator, judge: Judge, progress: float) -> Group:
        """The largest first, then the smallest, then random ones.

        Raises:
            RuntimeError: called before ``enter``.
        """
        if not self._ends:
            raise RuntimeError("draw before enter: the sizes of the paths are not known yet")
        others = len(self.paths) - len(self._ends)
        picks = generator.choice(others, size=min(self.random, others), replace=False)
        for end in sorted(self._ends):  # from positions among the others to positions among all
            picks = picks + (picks >= end)
        return Group(tuple(self.paths.codes[place] for place in (*self._ends, *picks)), teacher="first")

    def state_dict(self) -> dict[str, Any]:
        """Positions of the largest and the smallest candidate."""
        return {"ends": list(self._ends)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """They are not looked for again."""
        self._ends = list(state["ends"])
