"""The Ray Tune trial that prunes a network of all operations (TE-NAS); nothing is trained."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from taurank.spaces import get_space
from taurank.trainables.proxies import AveragedNetwork, ProxyBatch, SteppedPruning
from taurank.trainables.trials.checkpointed import CheckpointedTrial, EvidenceRow

RESULT_SECONDS = 1.0
"""A result holds the networks measured in so long."""

_KEPT = "kept_option"


class PruningTrial(CheckpointedTrial):
    """One pruning, as many networks a result as take a second; ``data`` is the batch that they are measured on.

    Metrics ``condition_number`` (NaN where the kernel is singular) and ``linear_regions`` of each network, whose number
    counts as the epoch. The last result also has ``kept_option:DECISION``, the position of the option that is left.
    Seconds add up to what the worker was held for; a network costs ``epoch_share`` epochs.
    """

    def _make(self) -> SteppedPruning:
        config = self._spec.pruning
        if config is None:
            raise ValueError(f"pruning of trial {self._spec.trial!r} is None; a PruningTrial needs its options")
        batch: ProxyBatch = self._data
        on_device = batch.to(self._device)
        return SteppedPruning(AveragedNetwork(on_device.images, classes=on_device.classes), config)

    def _advance(self) -> dict[str, Any]:
        work = self._work
        assert isinstance(work, SteppedPruning)
        rows: list[EvidenceRow] = []
        booked = 0.0
        while not work.finished and booked < RESULT_SECONDS:
            condition, regions = work.measure_next()
            seconds = self._seconds - booked
            booked += seconds
            rows.append(("", work.epoch, "condition_number", condition, seconds, self._spec.epoch_share))
            rows.append(("", work.epoch, "linear_regions", regions, 0.0, 0.0))
        if work.result is not None:
            decisions = get_space(self._spec.space, **self._spec.space_options).decisions
            for place, (names, (kept,)) in enumerate(zip(decisions, work.result.active, strict=True)):
                rows.append(("", work.epoch, f"{_KEPT}:{place}", float(names.index(kept)), 0.0, 0.0))
        return {"epoch": work.epoch, "validation_accuracy": math.nan, "evidence": rows}

    def _failed_row(self, epoch: int, seconds: float, epochs: float) -> EvidenceRow:
        return "", epoch, "condition_number", math.nan, seconds, epochs


def kept_options(rows: Iterable[tuple[str, float]]) -> tuple[int, ...]:
    """Position of the option that is left of each decision, of metrics and their values; empty without any."""
    found = {metric.partition(":")[2]: int(value) for metric, value in rows if metric.startswith(f"{_KEPT}:")}
    return tuple(found[str(place)] for place in range(len(found)))
