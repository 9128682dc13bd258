"""One supernet of a run, from its training to the contenders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import ray

from taurank.orchestrator.evidence import (
    COMPLETED,
    SKIPPED,
    TRAINED_FOR,
    VALIDATION_ACCURACY,
    VALIDATION_ACCURACY_SD,
    EvidenceLog,
)
from taurank.orchestrator.experiment import Experiment, SupernetSpec
from taurank.orchestrator.ranker import find_contenders
from taurank.orchestrator.stages.stage import Stage
from taurank.orchestrator.stages.supernet_stages import contenders_stage, scores_stage, supernet_stage, trained_weights
from taurank.trainables.data import ImageData

Launch = Callable[[Stage, ray.ObjectRef | None], None]
"""Runs the missing part of a stage, whose trials get the weights of a supernet, or None."""


@dataclass(frozen=True)
class SupernetRun:
    """A supernet of an experiment.

    Attributes:
        experiment: the experiment.
        spec: the supernet.
        candidates: codes.
        paths: candidates that the supernet is trained for; in an extended run those of the original run.
        run: folder of the run.
        data: the images.
    """

    experiment: Experiment
    spec: SupernetSpec
    candidates: tuple[str, ...]
    paths: tuple[str, ...]
    run: Path
    data: ImageData

    @property
    def _training(self) -> Stage:
        return supernet_stage(self.experiment, self.spec, self.paths, self.run)

    @property
    def _scores(self) -> Stage:
        return scores_stage(self.experiment, self.spec, self.candidates, self.paths, self.run, self.data)

    def _contenders(self, codes: tuple[str, ...]) -> Stage:
        return contenders_stage(self.experiment, self.spec, self.paths, codes, self.run)

    @property
    def planned(self) -> list[Stage]:
        """Its stages, with placeholder contenders: the cost depends on their number only."""
        stages = [self._training, self._scores]
        if self.spec.contenders is not None:
            stages.append(self._contenders(self.candidates[: self.spec.contenders.count(len(self.candidates))]))
        return stages

    def run_with(self, log: EvidenceLog, launch: Launch) -> None:
        """Trains the supernet, scores all candidates with it, and trains the contenders further.

        If the training failed, scores and contenders are skipped.
        """
        launch(self._training, None)
        if not _completed(log, self._training):
            log.append_event(self.spec.stage, "", SKIPPED, "scores and contenders: its training failed")
            return
        weights = trained_weights(self._training)
        if weights is None and not self._is_over(log):
            # Its checkpoint is missing: it is trained again. Logged rows and their costs stay.
            again = self._trained_again
            launch(again, None)
            weights = trained_weights(again)
            if weights is None:
                return
        shared = None if weights is None else ray.put(weights)
        launch(self._scores, shared)
        contenders = self._unsettled(log.evidence())
        if contenders:
            launch(self._contenders(contenders), shared)

    @property
    def _trained_again(self) -> Stage:
        """The same training under another trial key."""
        (spec,) = self._training.specs
        trial, checkpoint = f"{spec.trial}/again", Path(spec.checkpoint)
        again = replace(spec, trial=trial, checkpoint=str(checkpoint.with_stem(f"{checkpoint.stem}-again")))
        return replace(self._training, specs=(again,), part="again")

    def _is_over(self, log: EvidenceLog) -> bool:
        """Whether no stage needs its weights any more."""
        outcomes = log.outcomes()
        if any(spec.trial not in outcomes for spec in self._scores.specs):
            return False
        contenders = self._unsettled(log.evidence())
        return not contenders or all(spec.trial in outcomes for spec in self._contenders(contenders).specs)

    def _unsettled(self, rows: pd.DataFrame) -> tuple[str, ...]:
        asked = self.spec.contenders
        if asked is None:
            return ()
        own = rows[rows["source"] == self.spec.stage].pivot_table(
            index="architecture", columns="metric", values="value", aggfunc="last", dropna=False
        )
        if VALIDATION_ACCURACY not in own:  # no candidate could be scored
            return ()
        table = own.reindex(list(self.candidates))
        found = find_contenders(
            table[VALIDATION_ACCURACY].to_numpy(dtype=float),
            table[VALIDATION_ACCURACY_SD].to_numpy(dtype=float),
            most=asked.most,
        )
        return tuple(self.candidates[place] for place in found)


def _completed(log: EvidenceLog, stage: Stage) -> bool:
    return log.outcomes().get(stage.specs[0].trial, ("", ""))[0] == COMPLETED


def note_trained_for(log: EvidenceLog, spec: SupernetSpec, count: int) -> None:
    """Logs how many candidates a supernet was trained for, before others are added; the first note stays."""
    log.note(f"{TRAINED_FOR}{spec.stage}", str(count))


def trained_for(log: EvidenceLog, spec: SupernetSpec) -> int | None:
    """Number of leading candidates that a supernet is trained for; None for all."""
    noted = log.noted(f"{TRAINED_FOR}{spec.stage}")
    return None if noted is None else int(noted)
