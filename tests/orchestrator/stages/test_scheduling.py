from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.trainings import SchedulerSpec, TrainingSpec
from taurank.orchestrator.stages.scheduling import check_policy, features_by_code, logged_curves, training_limits
from taurank.schedulers.policies import Curve, Limits

STAGE = "training-4:asha"


@pytest.fixture
def log() -> EvidenceLog:
    log = EvidenceLog(Path(":memory:"))

    def book(trial: str, epoch: int, accuracy: float, loss: float | None = None, stage: str = STAGE) -> None:
        row = (stage, trial, trial, "training", epoch, 4, 0)
        log.append([Evidence(*row, "validation_accuracy", accuracy, epochs=1.0)])
        if loss is not None:
            log.append([Evidence(*row, "train_loss", loss)])

    for epoch in (2, 1):  # whatever order they came in
        book("waits", epoch, 0.1 * epoch, 2.0 / epoch)
    book("frozen", 1, 0.3)
    book("stopped", 1, 0.1, 1.5)
    book("completed", 4, 0.9)
    book("failed", 1, math.nan)
    book("elsewhere", 1, 0.5, stage="training-2")
    for trial in ("frozen", "stopped", "completed", "failed"):
        log.append_event(STAGE, trial, trial, "because")
    log.append_event(STAGE, "unheard", "failed", "no memory")
    log.append_event(STAGE, "waits", "paused", "came to epoch 2")
    return log


def test_curves_of_the_log(log: EvidenceLog) -> None:
    trials = ["waits", "new", "frozen", "stopped", "completed", "failed", "unheard"]
    curves = {curve.trial: curve for curve in logged_curves(log, STAGE, trials)}
    assert curves.pop("waits") == Curve("waits", (1, 2), (0.1, 0.2), training=(2.0, 1.0), state="paused")
    assert curves.pop("frozen") == Curve("frozen", (1,), (0.3,), state="paused")
    assert curves.pop("stopped") == Curve("stopped", (1,), (0.1,), training=(1.5,), state="stopped")
    assert curves.pop("completed") == Curve("completed", (4,), (0.9,), state="finished")
    assert curves.pop("unheard") == Curve("unheard", state="failed")
    failed = curves.pop("failed")
    assert (failed.epochs, failed.state) == ((1,), "failed")
    assert math.isnan(failed.values[0])
    assert not curves  # nothing is known of the new one


def test_no_curves_of_an_empty_log() -> None:
    assert logged_curves(EvidenceLog(Path(":memory:")), STAGE, ["a", "b"]) == []


def test_limits_are_those_of_the_trainings() -> None:
    spec = TrainingSpec(epochs=9, until=4, budget_epochs=30, scheduler=SchedulerSpec(name="asha"))
    assert training_limits(spec, slots=2) == Limits(4, 30, 2)
    assert training_limits(TrainingSpec(epochs=9)) == Limits(9, math.inf, 1)
    assert training_limits(spec, points=(1, 3)) == Limits(3, 30, 1, points=(1, 3))


def test_a_budget_that_the_policy_cannot_keep_to_is_refused() -> None:
    spec = TrainingSpec(epochs=9, budget_epochs=5, scheduler=SchedulerSpec(name="full"))
    with pytest.raises(ValueError, match="budget_epochs 5 is below one training of 9 epochs"):
        check_policy(spec, 3)
    check_policy(spec.model_copy(update={"budget_epochs": 9}), 3)
    check_policy(spec.model_copy(update={"scheduler": SchedulerSpec()}), 3)


def test_features_by_code() -> None:
    encoding = pd.DataFrame({"width": [1.0, 2.0], "depth": [3, 4]}, index=["a", "b"])
    assert features_by_code(encoding) == {"a": (1.0, 3.0), "b": (2.0, 4.0)}
    assert features_by_code(pd.DataFrame(index=["a"])) == {"a": ()}
