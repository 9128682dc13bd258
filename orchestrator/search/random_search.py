"""Random search."""

from __future__ import annotations

import numpy as np

from taurank.orchestrator.search.searcher import Searcher
from taurank.spaces import Architecture


class RandomSearcher(Searcher):
    """Proposes architectures at random, each function as likely.

    Source: Li and Talwalkar, Random Search and Reproducibility for Neural Architecture Search (UAI 2019).
    """

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        return self._random(generator)
