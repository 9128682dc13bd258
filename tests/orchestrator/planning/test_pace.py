"""Budgets in time: what they come to, what is spent of them, and what is left."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.budget import BudgetError, read_budget
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.planning.pace import Pace, Purse, book_pace, logged_pace, seconds_spent, timing_epochs

PACE = Pace({"a": 1.0, "b": 2.0, "c": 6.0}, workers=2, share=2.0)
FULL = 10


@pytest.fixture
def log() -> EvidenceLog:
    log = EvidenceLog(Path(":memory:"))
    book_pace(log, PACE, {"a": (0.5, 0.1), "b": (1.5, 0.1)})
    return log


def train(log: EvidenceLog, code: str, *, epochs: int, seconds: float, stage: str = "training-10") -> None:
    at = (epochs, FULL, 0, "validation_accuracy", 0.5)
    log.append([Evidence(stage, f"{stage}/{code}", code, "training", *at, seconds, float(epochs))])


class TestSpeedUp:
    def test_of_devices(self) -> None:
        # 9 device seconds an epoch of each, 90 in all.
        assert PACE.speed_up(read_budget("0.01 core-hours"), FULL) == pytest.approx(2.5)
        assert PACE.speed_up(read_budget("5x seconds"), FULL) == 5.0
        assert PACE.hours(FULL)[1] == pytest.approx(90 / 3600)

    def test_of_the_clock(self) -> None:
        # Each training holds two devices: c takes 3 s an epoch, and beside it b and a take 1.5 together.
        assert PACE.wall_seconds("abc") == 3.0
        assert PACE.speed_up(read_budget("10s"), FULL) == pytest.approx(3.0)
        assert replace(PACE, workers=1).speed_up(read_budget("10s"), FULL) == pytest.approx(4.5)

    def test_never_more_than_full_training(self) -> None:
        assert PACE.speed_up(read_budget("4h"), FULL) == 1.0

    def test_epochs_are_not_bounded_by_full_training(self) -> None:
        assert PACE.epochs_of(read_budget("60s"), FULL) == pytest.approx(60.0)  # full training takes 30 s
        assert PACE.epochs_of(read_budget("10s"), FULL) == pytest.approx(10.0)
        assert PACE.epochs_of(read_budget("10x seconds"), FULL) == pytest.approx(3.0)

    def test_seconds_are_written_without_exponents(self) -> None:
        said = Pace({"a": 0.0213, "b": 1234.5}).in_words(FULL, 1)
        assert said.startswith("an epoch takes 617 core seconds (0.021 to 1,234); ")

    def test_too_little_for_the_fastest(self) -> None:
        with pytest.raises(BudgetError, match=r"0.4s is less than one epoch of the fastest candidate \(a, 0.5 s\)"):
            PACE.speed_up(read_budget("0.4s"), FULL)
        assert PACE.speed_up(read_budget("0.6s"), FULL) == pytest.approx(50.0)

    def test_another_device(self) -> None:
        with pytest.raises(BudgetError, match="there is no GPU for the trainings: write core-hours, or"):
            PACE.speed_up(read_budget("3 gpu-hours"), FULL)
        with pytest.raises(BudgetError, match="the trainings run on GPUs: write gpu-hours, or"):
            replace(PACE, device="gpu").speed_up(read_budget("3 core-hours"), FULL)


class TestLog:
    def test_as_measured(self, log: EvidenceLog) -> None:
        assert logged_pace(log, "abc") == PACE
        assert logged_pace(EvidenceLog(Path(":memory:")), "abc") is None

    def test_under_its_earlier_name(self, log: EvidenceLog) -> None:
        earlier = EvidenceLog(Path(":memory:"))
        earlier.note("pace", str(log.noted("timing")))
        columns = [field.name for field in fields(Evidence)]
        rows = log.evidence()[columns].assign(stage="pace", seconds=0.5, epochs=0.1)
        earlier.append(Evidence(**row) for row in rows.to_dict("records"))
        assert logged_pace(earlier, "abc") == PACE
        assert timing_epochs(earlier) == pytest.approx(0.3)
        assert timing_epochs(earlier, PACE) == pytest.approx(1.5 / PACE.mean)

    def test_trainings_correct_it(self, log: EvidenceLog) -> None:
        train(log, "a", epochs=5, seconds=10.0)
        train(log, "b", epochs=10, seconds=60.0)
        train(log, "c", epochs=10, seconds=1.0, stage=BASELINE)  # not known before the ranking
        found = logged_pace(log, "abc")
        assert found is not None
        assert found.epoch_seconds == {"a": 2.0, "b": 6.0, "c": 6.0 * 2.5}

    def test_what_cannot_be_measured_is_average(self, log: EvidenceLog) -> None:
        found = logged_pace(log, ("a", "b", "c", "broken"))
        assert found is not None
        assert found.epoch_seconds["broken"] == 3.0

    def test_spent(self, log: EvidenceLog) -> None:
        train(log, "a", epochs=5, seconds=10.0)
        train(log, "c", epochs=10, seconds=100.0, stage=BASELINE)
        assert seconds_spent(log, wall=False) == 12.0


class TestPurse:
    def purse(self, log: EvidenceLog, budget: str, **settings: object) -> Purse:
        return Purse(read_budget(budget), log, ("c", "a", "b"), FULL, **settings)  # type: ignore[arg-type]

    def test_device_time(self, log: EvidenceLog) -> None:
        purse = self.purse(log, "1 core-minutes")
        assert purse.left() == 58.0  # the measurement took 2
        assert purse.epochs_left == pytest.approx(58 / 3)
        train(log, "b", epochs=10, seconds=20.0)
        assert purse.left() == 38.0

    def test_a_factor_is_of_what_full_training_really_takes(self, log: EvidenceLog) -> None:
        purse = self.purse(log, "10x seconds")
        assert purse.left() == 9.0 - 2.0
        for code, seconds in PACE.epoch_seconds.items():
            train(log, code, epochs=1, seconds=2 * seconds)
        assert purse.left() == 18.0 - 2.0 - 18.0

    def test_the_clock(self, log: EvidenceLog) -> None:
        purse = self.purse(log, "1m", clock=lambda: 15.0)
        assert purse.left() == 45.0
        found = purse.spending(TrainingSpec(epochs=4), np.inf)
        # In the order of codes, in seconds of a worker, which holds two devices.
        np.testing.assert_allclose(found.costs, [2.0, 4.0, 12.0])
        assert (found.budget, found.workers) == (45.0, 2)

    def test_full_training_is_not_ended_by_an_estimate_of_it(self, log: EvidenceLog) -> None:
        purse = self.purse(log, "1x seconds")
        assert purse.left() == np.inf
        for code in PACE.epoch_seconds:
            train(log, code, epochs=10, seconds=1000.0)
        assert purse.left() == np.inf
        assert purse.spending(TrainingSpec(epochs=4), 8.0).budget > 0

    def test_what_is_left_on_the_clock(self, log: EvidenceLog) -> None:
        assert self.purse(log, "1m", clock=lambda: 15.0).clock_left == 45.0
        # Two workers hold two devices each.
        assert self.purse(log, "1 core-minutes").clock_left == pytest.approx(58.0 / 4)

    def test_what_is_spent_in_words(self, log: EvidenceLog) -> None:
        assert self.purse(log, "1m", clock=lambda: 15.0).in_words == "0:15 min of 1:00 min"
        assert self.purse(log, "3 core-minutes").in_words == "0:02 min of 3:00 min of cores"
        assert self.purse(log, "2x seconds").in_words == "0:02 min of about 0:45 min of cores"

    def test_part_of_what_is_left(self, log: EvidenceLog) -> None:
        purse = self.purse(log, "1 core-minutes")
        found = purse.spending(TrainingSpec(epochs=4), 8.0)
        np.testing.assert_allclose(found.costs, [4.0, 8.0, 24.0])
        assert (found.budget, found.workers) == (pytest.approx(24.0), 1)
        assert purse.spending(TrainingSpec(epochs=4), 1000.0).budget == pytest.approx(58.0)

    def test_order_and_worth(self, log: EvidenceLog) -> None:
        assert self.purse(log, "1m").in_order("abc") == ["c", "b", "a"]
        assert self.purse(log, "1 core-minutes").in_order("cab") == ["a", "b", "c"]
        assert self.purse(log, "1m").worth(TrainingSpec(epochs=4), ["a", "b"]) == pytest.approx(4.0)

    def test_without_a_measurement(self) -> None:
        with pytest.raises(BudgetError, match="start a new run"):
            self.purse(EvidenceLog(Path(":memory:")), "1m")
