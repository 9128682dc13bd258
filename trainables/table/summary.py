"""Summary of a table, and the final results that can serve as the reference of a replay."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from taurank.trainables.table.format import TRAINING_SOURCE
from taurank.trainables.table.recorded import RecordedTable

_PART = ["source", "schedule_epochs", "seed", "metric"]
_TRUTHS = ("test_accuracy", "validation_accuracy")


@dataclass(frozen=True)
class Part:
    """The numbers of one source, schedule, seed and metric.

    Attributes:
        source: and the next three: what the numbers have in common.
        architectures: how many have such a number.
        complete: how many of them have it at the end of the schedule.
        epochs: first and last.
        values: least and greatest.
        seconds: known cost booked with these numbers; of several metrics the first that an epoch has carries it.
        unknown: how many of these numbers carry a cost that is unknown.
    """

    source: str
    schedule_epochs: int
    seed: int
    metric: str
    architectures: int
    complete: int
    epochs: tuple[int, int]
    values: tuple[float, float]
    seconds: float
    unknown: int


@dataclass(frozen=True)
class Truth:
    """A final result that candidates could be scored against.

    Attributes:
        source: of the trainings.
        metric: of their end.
        schedule_epochs: length of the schedule; 0: unknown.
        architectures: how many have completed it, by seed.
    """

    source: str
    metric: str
    schedule_epochs: int
    architectures: dict[int, int]


def summarise(table: RecordedTable) -> list[Part]:
    """The parts of a table: sources and metrics in order of first appearance, schedules and seeds ascending."""
    rows = table.rows.assign(
        complete=table.rows["epoch"] == table.rows["schedule_epochs"], unknown=table.rows["seconds"].isna()
    )
    groups = rows.groupby(_PART, observed=True, sort=False)
    counted = groups.agg(
        architectures=("architecture", "nunique"),
        complete=("complete", "sum"),
        first=("epoch", "min"),
        last=("epoch", "max"),
        least=("value", "min"),
        greatest=("value", "max"),
        seconds=("seconds", "sum"),
        unknown=("unknown", "sum"),
    ).reset_index()
    appeared = counted["source"].map({source: place for place, source in enumerate(table.sources)}).astype(int)
    order = counted.assign(appeared=appeared).sort_values(["appeared", "schedule_epochs", "seed"], kind="stable").index
    return [
        Part(
            source=str(row["source"]),
            schedule_epochs=int(row["schedule_epochs"]),
            seed=int(row["seed"]),
            metric=str(row["metric"]),
            architectures=int(row["architectures"]),
            complete=int(row["complete"]),
            epochs=(int(row["first"]), int(row["last"])),
            values=(float(row["least"]), float(row["greatest"])),
            seconds=float(row["seconds"]),
            unknown=int(row["unknown"]),
        )
        for row in counted.loc[order].to_dict(orient="records")
    ]


def possible_truths(table: RecordedTable) -> list[Truth]:
    """Final results by source and metric: the trainings themselves first, test before validation, accuracies first.

    Of each, the schedule that most architectures have completed (the longest of several), and those that are longer.
    """
    parts = pd.DataFrame([part for part in summarise(table) if part.complete])
    truths = []
    for source in sorted(table.sources, key=lambda source: source != TRAINING_SOURCE):
        for metric in truth_metrics(table):
            if source.split(":")[0] != TRAINING_SOURCE or parts.empty:
                continue
            found = parts[(parts["source"] == source) & (parts["metric"] == metric)]
            if found.empty:
                continue
            most = found.groupby("schedule_epochs")["complete"].max()
            usual = int(most[most == most.max()].index.max())
            for schedule in sorted(length for length in most.index if length >= usual):
                seeds = found[found["schedule_epochs"] == schedule].sort_values("seed")
                counts = dict(zip(seeds["seed"].tolist(), seeds["complete"].tolist(), strict=True))
                truths.append(Truth(source, metric, int(schedule), counts))
    return truths


def truth_metrics(table: RecordedTable, *, directed: bool = True) -> list[str]:
    """Metrics of trainings that could be a truth: one end is better, and they are not of the training images.

    Test and validation accuracy come first, then other test metrics, then the rest in the order of the table.

    Args:
        table: recorded trainings.
        directed: leave out metrics of which the table does not say which end is better.
    """
    training = table.rows["source"].str.split(":").str[0] == TRAINING_SOURCE
    usable = [
        name
        for name in map(str, table.rows.loc[training, "metric"].unique())
        if not (name.startswith("train_") or name.endswith("_sd"))
        and not (directed and table.info.metrics[name].direction == "none")
    ]
    return sorted(
        usable, key=lambda name: (_TRUTHS.index(name) if name in _TRUTHS else 2, not name.startswith("test_"))
    )
