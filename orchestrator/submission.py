"""How the trials of a stage come to Ray Tune: all at once, and without letting workers go that are needed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.search.basic_variant import BasicVariantGenerator


class KeepsWorkers(BasicVariantGenerator):  # type: ignore[misc]
    """Submits all trials at once, and lets Tune keep a free worker as long as one of them has not ended.

    Once all are submitted, Tune dismisses the worker of a trial that ends, unless another one is in line for it. Held
    trials are in no line. The next to be chosen would wait for a new worker, which takes seconds.

    Args:
        over: whether the run ends before its trials do.
    """

    def __init__(self, over: Callable[[], bool]) -> None:
        super().__init__()
        self._over = over
        self._open: set[str] = set()

    def next_trial(self) -> Trial | None:
        """Return the next trial, None when all are submitted."""
        trial = super().next_trial()
        if trial is not None:
            self._open.add(trial.trial_id)
        return trial

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Count the trial as ended."""
        super().on_trial_complete(trial_id, result, error)
        self._open.discard(trial_id)

    def is_finished(self) -> bool:
        """Whether no worker will be needed any more."""
        return bool(super().is_finished()) and (self._over() or not self._open)
