"""Stepping through recorded trainings: what each step shows and costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import pytest

from taurank.trainables.table import RecordedTable, TableError, TableInfo
from taurank.trainables.table.format import COLUMNS
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.recorded_training import RecordedTraining

NAN = float("nan")


def make_table(*rows: tuple[int, str, float, float], schedule: int = 4) -> RecordedTable:
    """Of one architecture and seed: epoch, metric, value, seconds."""
    listed = [["a", "training", epoch, schedule, 0, metric, value, cost] for epoch, metric, value, cost in rows]
    info = TableInfo("made-up", "nothing", describe_all({metric for _, metric, _, _ in rows}))
    return RecordedTable(info, pd.DataFrame(listed, columns=list(COLUMNS)))


def accuracies(*epochs: int, seconds: Sequence[float] = ()) -> RecordedTable:
    costs = seconds or [1.0] * len(epochs)
    rows = [(epoch, "validation_accuracy", epoch / 10, cost) for epoch, cost in zip(epochs, costs, strict=True)]
    return make_table(*rows)


def test_every_epoch_is_a_step() -> None:
    training = RecordedTraining(accuracies(1, 2, 3, 4, seconds=[5.0, 1.0, 1.0, 2.0]), "a", 4, 0)
    assert (training.epoch, training.spent, training.trained) == (0, 0.0, False)
    seen = []
    while not training.finished:
        step = training.step()
        seen.append((step.epoch, step.metrics, step.seconds, step.epochs))
        assert (training.epoch, training.spent) == (step.epoch, step.epochs)
    assert seen == [
        (1, {"validation_accuracy": 0.1}, 5.0, 1.0),
        (2, {"validation_accuracy": 0.2}, 1.0, 1.0),
        (3, {"validation_accuracy": 0.3}, 1.0, 1.0),
        (4, {"validation_accuracy": 0.4}, 2.0, 1.0),
    ]
    with pytest.raises(RuntimeError, match="all 4 epochs"):
        training.step()


def test_a_step_pays_for_the_epochs_since_the_last() -> None:
    training = RecordedTraining(accuracies(1, 4), "a", 4, 0)
    assert [training.step().epochs for _ in range(2)] == [1.0, 3.0]
    assert RecordedTraining(accuracies(4), "a", 4, 0).step().epochs == 4.0


def test_epochs_without_validation_are_passed_over_and_paid() -> None:
    table = make_table(
        (1, "train_loss", 2.0, 1.0),
        (2, "train_loss", 1.5, 10.0),
        (2, "validation_accuracy", 0.2, 0.0),
        (3, "train_loss", 1.2, 100.0),
        (4, "validation_accuracy", 0.4, 1000.0),
    )
    training = RecordedTraining(table, "a", 4, 0)
    first, second = training.step(), training.step()
    assert (first.epoch, first.metrics, first.seconds) == (2, {"train_loss": 1.5, "validation_accuracy": 0.2}, 11.0)
    assert (second.epoch, second.metrics, second.seconds) == (4, {"validation_accuracy": 0.4}, 1100.0)


def test_test_metrics_are_not_shown() -> None:
    table = make_table((4, "validation_accuracy", 0.4, 1.0), (4, "test_accuracy", 0.5, 0.0))
    assert RecordedTraining(table, "a", 4, 0).step().metrics == {"validation_accuracy": 0.4}


def test_unknown_seconds_are_nothing_and_said_so() -> None:
    training = RecordedTraining(accuracies(1, 4, seconds=[3.0, NAN]), "a", 4, 0)
    first, second = training.step(), training.step()
    assert (first.seconds, first.seconds_known) == (3.0, True)
    assert (second.seconds, second.seconds_known) == (0.0, False)
    assert not math.isnan(second.cost_of("validation_accuracy")[0])


def test_one_row_of_a_step_carries_its_cost() -> None:
    step = RecordedTraining(accuracies(1, 4, seconds=[3.0, 5.0]), "a", 4, 0).step()
    assert step.cost_of("validation_accuracy") == (3.0, 1.0)
    assert step.cost_of("train_loss") == (0.0, 0.0)


@pytest.mark.parametrize(("until", "epochs"), [(1, [1]), (2, [1]), (3, [1, 3]), (4, [1, 3, 4])])
def test_until_ends_it_at_the_last_recorded_epoch(until: int, epochs: list[int]) -> None:
    training = RecordedTraining(accuracies(1, 3, 4), "a", 4, 0, until)
    seen = []
    while not training.finished:
        seen.append(training.step().epoch)
    assert seen == epochs


def test_a_training_goes_on_from_its_state() -> None:
    table = accuracies(1, 2, 4)
    first, second = RecordedTraining(table, "a", 4, 0), RecordedTraining(table, "a", 4, 0)
    first.step()
    second.load_state_dict(first.state_dict())
    assert second.epoch == 1
    assert second.step() == first.step()


@pytest.mark.parametrize(
    ("table", "until", "message"),
    [
        (accuracies(1, 3), None, "no validation_accuracy at its end"),
        (make_table((4, "train_loss", 1.0, 1.0)), None, "no validation_accuracy at its end"),
        (accuracies(3, 4), 2, "^until: .* no validation_accuracy up to epoch 2"),
    ],
)
def test_trainings_that_cannot_be_stepped(table: RecordedTable, until: int | None, message: str) -> None:
    with pytest.raises(TableError, match=message):
        RecordedTraining(table, "a", 4, 0, until)


def test_a_training_that_is_not_there() -> None:
    with pytest.raises(TableError, match="no training of 'b'"):
        RecordedTraining(accuracies(4), "b", 4, 0)
