"""The Ray Tune trial that scores a chunk of untrained architectures by proxies."""

from __future__ import annotations

import math
from typing import Any

from taurank.spaces import get_space
from taurank.trainables.proxies import ProxyBatch, ProxyScore, ProxyScoring, ScoreRow, score_rows
from taurank.trainables.training import gpu_is_lost
from taurank.trainables.trials.checkpointed import CheckpointedTrial, EvidenceRow

RESULT_SECONDS = 1.0
"""A result holds the scores of so long: each one costs the driver milliseconds, a score perhaps no more than that."""


class ProxyTrial(CheckpointedTrial):
    """A chunk of architectures scored by proxies, as many a result as take a second; ``data`` is the batch.

    A result holds ``scores``, a row for each architecture and proxy, and no ``evidence``. What setting up, building and
    saving took is spread evenly over the scores, so that seconds add up to what the worker was held for.
    """

    def _make(self) -> ProxyScoring:
        spec = self._spec
        if spec.proxies is None:
            raise ValueError(f"proxies of trial {spec.trial!r} is None; a ProxyTrial needs their names")
        batch: ProxyBatch = self._data
        space = get_space(spec.space, **spec.space_options)
        return ProxyScoring(space, spec.architectures, batch.to(self._device), spec.proxies)

    def _advance(self) -> dict[str, Any]:
        work = self._work
        assert isinstance(work, ProxyScoring)
        rows: list[ScoreRow] = []
        booked = 0.0
        while not work.finished and booked < RESULT_SECONDS:
            code, scores = work.score_next()
            self._raise_if_lost(list(scores.values()))
            seconds = self._seconds - booked
            booked += seconds
            rows += score_rows(code, scores, seconds=seconds)
        return {"epoch": 0, "validation_accuracy": math.nan, "evidence": [], "scores": rows}

    def _raise_if_lost(self, scores: list[ProxyScore]) -> None:
        """A GPU that answers no more would make every later score void; raising has the worker replaced."""
        reason = next((score.reason for score in scores if score.reason), "")
        if reason and gpu_is_lost():
            raise RuntimeError(reason)

    def _failed_row(self, epoch: int, seconds: float, epochs: float) -> EvidenceRow:
        return "", epoch, "score", math.nan, seconds, epochs
