"""Runs of own training code without Ray: each trial is made directly and stepped to its end."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from taurank.orchestrator.campaigns.campaign import run_campaign
from taurank.orchestrator.evidence.log import Evidence
from taurank.orchestrator.experiment import load_experiment
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.report import RunReport
from taurank.orchestrator.runs import create_run
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.runs.session import RaySession
from taurank.orchestrator.stages.runner import check_not_all_failed
from taurank.orchestrator.stages.stage import Stage, training_stage
from taurank.trainables.data import ImageData, no_images
from taurank.trainables.own import find_own_code
from taurank.trainables.trials import OwnTrial
from tests.trainables.direct_trials import make_trial, results

TRAINABLE = f"{__name__}:train"


def train(candidate: Any, *, epochs: int, seed: int, device: str, checkpoint: Path) -> Iterator[dict[str, float]]:
    """Losses that fall with the width, by a schedule of its own; a width of 13 fails."""
    if candidate["width"] == 13:
        raise ValueError("thirteen")
    noise = (7 * candidate["width"] + 3 * seed) % 5 / 100
    for epoch in range(1, epochs + 1):
        loss = 30 / candidate["width"] * (1 + 1 / epoch) + noise
        yield {"val_loss": loss, "quality": 100 - loss, "validation_accuracy": 0.5}


class DirectRunner:
    """Steps the trials of a stage to their end, and logs what they report as a recorder does."""

    def __init__(self, run: Run, on_ray: RaySession, data: ImageData, *, needed: Sequence[Stage]) -> None:
        self._run = run

    def train(self, spec: TrainingSpec, codes: list[str]) -> None:
        self.run(training_stage(self._run.experiment, spec, codes, self._run.folder))

    def run(self, stage: Stage, data: Any = None, weights: Any = None) -> None:
        log, code = self._run.log, find_own_code(str(self._run.experiment.trainable))
        ended = log.outcomes()
        for spec in stage.specs:
            if spec.trial in ended:
                continue
            log.append_event(stage.name, spec.trial, "started")
            for row in results(make_trial(OwnTrial, spec, code, stage=stage.name)):
                log.append(
                    Evidence(stage.name, spec.trial, own, stage.source, epoch, stage.schedule_epochs, spec.seed, *rest)
                    for own, epoch, *rest in row["evidence"]
                )
                if row["outcome"]:
                    log.append_event(stage.name, spec.trial, row["outcome"], row["reason"])
        check_not_all_failed(stage, log)
        log.append_event(stage.name, "", "ended")


@contextmanager
def without_ray(run: Run) -> Iterator[Any]:
    """The session of a run, on no cluster."""
    ignore: Any = SimpleNamespace(doing=list, ranked=list, line=list, say=list)

    @contextmanager
    def on_ray(*_: Any, **__: Any) -> Iterator[RaySession]:
        yield RaySession(ignore, ignore, ignore, SimpleNamespace(ranked=list), SimpleNamespace(line=lambda *_: None))  # type: ignore[arg-type]

    yield SimpleNamespace(planned=lambda *_, **__: None, on_ray=on_ray)


def content(**changes: Any) -> dict[str, Any]:
    """Sixteen widths by their loss, of which the shorter trainings tell the order."""
    return {
        "name": "widths",
        "trainable": TRAINABLE,
        "metric": {"name": "val_loss", "mode": "min"},
        "candidates": [{"width": width} for width in range(4, 20) if width != 13],
        "recipe": {"epochs": 8},
        "budget": "2x",
        "baseline": {},
    } | changes


def run_own(folder: Path, **changes: Any) -> tuple[RunReport, str]:
    """A run to its report, and what it prints."""
    run = create_run(load_experiment(content(**changes)), folder, no_images(), say=list)
    return finish(run)


def finish(run: Run) -> tuple[RunReport, str]:
    """The rest of a run."""
    out = io.StringIO()
    report = run_campaign(run, no_images(), console=Console(file=out, width=160))
    return report, out.getvalue()
