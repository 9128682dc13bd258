"""A baseline of a sample of the candidates, drawn once from the ranking and recorded in the log with its design."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from taurank.orchestrator.evidence import BASELINE, EvidenceLog
from taurank.orchestrator.tau import stratified_sample

KEY = f"selected:{BASELINE}"


@dataclass(frozen=True)
class BaselineSample:
    """The sampling design of the baseline.

    Attributes:
        strata: stratum of each drawn candidate, by code, in training order.
        sizes: candidates in each stratum.
    """

    strata: dict[str, int]
    sizes: tuple[int, ...]

    @property
    def candidates(self) -> int:
        """Number of candidates from which the sample was drawn."""
        return sum(self.sizes)

    def stratum_of(self, candidates: Sequence[str]) -> NDArray[np.int64]:
        """Stratum of each candidate, (candidates,); -1 for those not drawn."""
        return np.array([self.strata.get(code, -1) for code in candidates], dtype=np.int64)


def draw_baseline(log: EvidenceLog, order: Sequence[str], n: int, *, seed: int) -> BaselineSample:
    """Draws ``n`` of an order, best first, by ``stratified_sample``; once and for all."""
    noted = _noted(log)
    if noted is None:
        drawn = stratified_sample(len(order), n, np.random.default_rng([seed, 4]))
        strata = {str(order[place]): int(stratum) for place, stratum in zip(drawn.drawn, drawn.stratum, strict=True)}
        noted = BaselineSample(strata, tuple(drawn.sizes.tolist()))
        log.note(KEY, json.dumps({"strata": noted.strata, "sizes": noted.sizes}))
    return noted


def sampled_baseline(log: EvidenceLog) -> BaselineSample | None:
    """The sample that forms the baseline of a run; None if other candidates were trained too, or nothing was drawn."""
    noted = _noted(log)
    if noted is None:
        return None
    return noted if log.architectures(BASELINE) <= set(noted.strata) else None


def _noted(log: EvidenceLog) -> BaselineSample | None:
    content = log.noted(KEY)
    if content is None:
        return None
    design = json.loads(content)
    return BaselineSample(design["strata"], tuple(design["sizes"]))
