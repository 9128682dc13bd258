"""The Ray Tune trial of one architecture whose training is recorded in a table."""

from __future__ import annotations

from typing import Any

from taurank.trainables.table import RecordedTraining
from taurank.trainables.trials.architecture import shown_metrics
from taurank.trainables.trials.checkpointed import CheckpointedTrial, EvidenceRow


class TableTrial(CheckpointedTrial):
    """One architecture whose training is recorded; ``data`` is the table. Books recorded seconds, not the wall's."""

    def _make(self) -> RecordedTraining:
        spec = self._spec
        return RecordedTraining(self._data, spec.architectures[0], spec.recipe.epochs, spec.seed, spec.until)

    def _advance(self) -> dict[str, Any]:
        work = self._work
        assert isinstance(work, RecordedTraining)
        step = work.step()
        evidence: list[EvidenceRow] = [
            (self._spec.architectures[0], step.epoch, name, value, *step.cost_of(name))
            for name, value in step.metrics.items()
        ]
        return {"epoch": step.epoch, "evidence": evidence} | shown_metrics(step.metrics)

    def _failed_row(self, epoch: int, seconds: float, epochs: float) -> EvidenceRow:
        return self._spec.architectures[0], epoch, "validation_accuracy", float("nan"), 0.0, epochs
