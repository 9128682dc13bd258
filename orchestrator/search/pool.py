"""The architectures that a model distinguishes, and its inputs for each without training."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from taurank.orchestrator.ranker import (
    LOWER_IS_BETTER,
    FinalInputs,
    Inputs,
    Kind,
    Labels,
    View,
    complete_short_runs,
    final_inputs,
    make_inputs,
    prior_order,
)
from taurank.orchestrator.search.searcher import FreeScores
from taurank.spaces import Architecture, SearchSpace

SIZES = ("parameters", "flops")

Results = Sequence[tuple[Architecture, float, float]]
"""Canonical architecture, value (higher is better, finite), fidelity."""


class Pool:
    """Inputs of the ranker's models for a list of architectures.

    Args:
        space: of the architectures.
        architectures: what the models distinguish; canonical. They are kept in the order of their codes, so that the
            same ones give the same numbers.
        free_scores: asked once for all of them.
        seed: of the models of what is free.

    Attributes:
        architectures: in order.
        place: of each architecture.
    """

    def __init__(
        self, space: SearchSpace, architectures: Sequence[Architecture], free_scores: FreeScores | None, seed: int
    ) -> None:
        self._space, self._free_scores, self._seed = space, free_scores, seed
        self.architectures = sorted(set(architectures))
        self.place = {one: place for place, one in enumerate(self.architectures)}

    @cached_property
    def _encoding(self) -> np.ndarray:
        return np.array([self._space.features(one) for one in self.architectures])

    @cached_property
    def _free_views(self) -> list[View]:
        if self._free_scores is None:
            return []
        untrained = np.zeros(len(self.architectures))
        views = []
        for name, scores in self._free_scores(self.architectures).items():
            values = np.asarray(scores, dtype=float) * (-1 if name in LOWER_IS_BETTER else 1)
            kind: Kind = "size" if name in SIZES else "proxy"
            views.append(View(name, kind, values, values, 0.0, untrained, kind))
        return views

    @cached_property
    def _inputs(self) -> Inputs:
        return make_inputs(self._encoding, self._free_views)

    @cached_property
    def _untrained(self) -> FinalInputs:
        """Inputs while there are no short trainings: the same whatever was trained to the end."""
        return final_inputs(self._inputs, [], prior_order(self._inputs, [], np.random.default_rng([self._seed, 0])))

    def inputs(self, results: Results) -> FinalInputs:
        """What models of the final score look at, given the trainings that were shorter than a full one."""
        shorts = self._short_views(results)
        if not shorts:
            return self._untrained
        generator = np.random.default_rng([self._seed, 1])
        completed = complete_short_runs(self._inputs, shorts, generator)
        return final_inputs(self._inputs, completed, prior_order(self._inputs, completed, generator))

    def labels(self, results: Results) -> Labels:
        """Full trainings; several of an architecture are averaged."""
        values, counts = self._averaged(results, 1.0)
        rows = np.flatnonzero(counts)
        return Labels(rows, values[rows], 1 / counts[rows])

    def _short_views(self, results: Results) -> list[View]:
        views = []
        for fidelity in sorted({fidelity for _, _, fidelity in results if fidelity < 1}):
            values, counts = self._averaged(results, fidelity)
            reached = np.where(counts > 0, fidelity, 0.0)
            views.append(View(f"training {fidelity:g}", "training", values, values, fidelity, reached, "training"))
        return views

    def _averaged(self, results: Results, wanted: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean value at a fidelity, NaN for none, and the number of values, both (architectures,)."""
        sums, counts = np.zeros(len(self.architectures)), np.zeros(len(self.architectures))
        for one, value, fidelity in results:
            if fidelity == wanted:
                sums[self.place[one]] += value
                counts[self.place[one]] += 1
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan), counts
