"""One supernet of a run, from its training to the contenders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import ray

from orchestrator.evidence import EvidenceLog
from orchestrator.experiment import Experiment
from orchestrator.ranker.contenders import find_contenders
from orchestrator.stages import Stage
from orchestrator.supernet_spec import SupernetSpec
from orchestrator.supernet_stages import contenders_stage, scores_stage, supernet_stage, trained_weights
from trainables.data import ImageData

Launch = Callable[[Stage, ray.ObjectRef | None], None]
"""Runs what the log lacks of a stage, whose trials are given the weights of a supernet, or None."""


@dataclass(frozen=True)
class SupernetRun:
    """A supernet that an experiment asks for.

    Attributes:
        experiment: what is run.
        spec: the supernet.
        candidates: codes.
        run: folder of the run.
        data: the images.
    """

    experiment: Experiment
    spec: SupernetSpec
    candidates: tuple[str, ...]
    run: Path
    data: ImageData

    @property
    def _training(self) -> Stage:
        return supernet_stage(self.experiment, self.spec, self.candidates, self.run)

    @property
    def _scores(self) -> Stage:
        return scores_stage(self.experiment, self.spec, self.candidates, self.run, self.data)

    def _contenders(self, codes: tuple[str, ...]) -> Stage:
        return contenders_stage(self.experiment, self.spec, self.candidates, codes, self.run)

    @property
    def planned(self) -> list[Stage]:
        """Its stages before it is known who contends: any so many cost the same."""
        stages = [self._training, self._scores]
        if self.spec.contenders is not None:
            stages.append(self._contenders(self.candidates[: self.spec.contenders.count(len(self.candidates))]))
        return stages

    def run_with(self, log: EvidenceLog, launch: Launch) -> None:
        """Trains the supernet, scores everybody with it, trains the contenders on.

        Scores and contenders are left out where the training failed: the log says why.
        """
        launch(self._training, None)
        weights = trained_weights(self._training)
        if weights is None or log.outcomes().get(self._training.specs[0].trial, ("", ""))[0] != "completed":
            return
        shared = ray.put(weights)
        launch(self._scores, shared)
        contenders = self._unsettled(log.evidence())
        if contenders:
            launch(self._contenders(contenders), shared)

    def _unsettled(self, rows: pd.DataFrame) -> tuple[str, ...]:
        asked = self.spec.contenders
        if asked is None:
            return ()
        own = rows[rows["source"] == self.spec.stage].pivot_table(
            index="architecture", columns="metric", values="value", aggfunc="last", dropna=False
        )
        table = own.reindex(list(self.candidates))
        found = find_contenders(
            table["validation_accuracy"].to_numpy(dtype=float),
            table["validation_accuracy_sd"].to_numpy(dtype=float),
            most=asked.most,
        )
        return tuple(self.candidates[place] for place in found)
