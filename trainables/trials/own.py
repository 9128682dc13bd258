"""The Ray Tune trial of one candidate that the user's own code trains."""

from __future__ import annotations

import math
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from taurank.spaces import candidate_of
from taurank.trainables.own import OwnCode, OwnCodeError, OwnTraining
from taurank.trainables.trials.checkpointed import CheckpointedTrial, EvidenceRow


class OwnTrial(CheckpointedTrial):
    """One candidate, trained by the user's code; one result an epoch. ``data`` is that code."""

    def _warm_up(self) -> None:
        """Imports the code with its framework; one that cannot be imported is the outcome of each trial."""
        super()._warm_up()
        with suppress(OwnCodeError):
            self._data.load()

    def _make(self) -> OwnTraining:
        spec, code = self._spec, self._data
        assert isinstance(code, OwnCode)
        return OwnTraining(
            code.load(),
            candidate_of(spec.architectures[0]),
            epochs=spec.recipe.epochs,
            seed=spec.seed,
            device=self._device,
            metric=spec.metric,
        )

    def _advance(self) -> dict[str, Any]:
        work, ranked = self._work, self._spec.metric
        assert isinstance(work, OwnTraining)
        metrics = work.step_epoch()
        seconds = self._seconds
        evidence: list[EvidenceRow] = [
            (
                self._spec.architectures[0],
                work.epoch,
                name,
                value,
                *((seconds, work.spent) if name == ranked else (0.0, 0.0)),
            )
            for name, value in metrics.items()
            if math.isfinite(value)
        ]
        return {"epoch": work.epoch, "evidence": evidence, ranked: metrics[ranked]}

    def _failed_row(self, epoch: int, seconds: float, epochs: float) -> EvidenceRow:
        return self._spec.architectures[0], epoch, self._spec.metric, math.nan, seconds, epochs

    def _reason_of(self, error: Exception, doing: str) -> str:
        """The message of an error, with the line of the user's code that raised it."""
        if isinstance(error, OwnCodeError):
            return str(error)
        place = traceback.extract_tb(error.__traceback__)[-1]
        return f"{super()._reason_of(error, doing)} ({Path(place.filename).name}, line {place.lineno})"

    def _weights_now(self) -> dict[str, Any] | None:
        assert isinstance(self._work, OwnTraining)
        return self._work.weights()

    def _write_checkpoint(self) -> None:
        super()._write_checkpoint()
        if isinstance(self._work, OwnTraining) and not self._rows[-1]["outcome"]:
            self._unsaved = self._unsaved or self._work.unsaved

    def _release(self) -> None:
        if isinstance(self._work, OwnTraining):
            self._work.close()
        super()._release()
