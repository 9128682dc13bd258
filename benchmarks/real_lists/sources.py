"""What each source alone says of the recorded lists: Kendall's tau with the mean of the two full trainings.

Short trainings by validation accuracy, by the training loss of the last epoch and by the sum over all epochs (training
speed, Ru et al. 2021), on schedules of their own and as the first epochs of full training; the mean of two short
trainings beside one that is twice as long; sizes; every proxy. Candidates without a value of a source are left out of
its tau (column `known`). Also the ceiling, and how flat the curves end: what the last tenth of full training gains in
validation accuracy, mean and largest over the candidates, each of them a mean over three epochs.

Writes `results/sources.csv`, a row per list and source.

    python -m benchmarks.real_lists.sources
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.real_lists.record import HERE, REPEATED_SEED, SHORT_SEED, read_list
from taurank.orchestrator.tau import tau_b
from taurank.trainables.table import RecordedTable, read_table

OUT = HERE / "results" / "sources.csv"
SMOOTHED = 3
"""Epochs that a point of a curve is the mean of."""


def curves(table: RecordedTable, metric: str, epochs: int, seed: int) -> pd.DataFrame:
    """One metric of the trainings of a schedule, (epochs, candidates)."""
    rows = table.rows
    own = rows[(rows["source"] == "training") & (rows["metric"] == metric)]
    own = own[(own["schedule_epochs"] == epochs) & (own["seed"] == seed)]
    return own.pivot_table(index="epoch", columns="architecture", values="value", observed=True)


def short_orders(table: RecordedTable, full: int, seed: int) -> Iterator[tuple[str, pd.Series]]:
    """Orders by short trainings, higher is better."""
    lengths = sorted(length for length in table.schedules() if length < full)
    for length in lengths:
        accuracies = curves(table, "validation_accuracy", length, SHORT_SEED)
        losses = curves(table, "train_loss", length, SHORT_SEED)
        yield f"{length} epochs: accuracy", accuracies.iloc[-1]
        yield f"{length} epochs: training loss", -losses.iloc[-1]
        yield f"{length} epochs: sum of training losses", -losses.sum()
    again = curves(table, "validation_accuracy", lengths[0], REPEATED_SEED).iloc[-1]
    once = curves(table, "validation_accuracy", lengths[0], SHORT_SEED).iloc[-1]
    yield f"{lengths[0]} epochs twice: accuracy", once + again
    cut = curves(table, "validation_accuracy", full, seed)
    for length in (lengths[-1], full // 4, full // 2):
        yield f"{length} of {full} epochs: accuracy", cut.loc[length]


def cheap_orders(table: RecordedTable) -> Iterator[tuple[str, pd.Series]]:
    """Sizes and proxies."""
    sizes = table.wide("size")
    yield from ((str(name), sizes[name]) for name in sizes)
    yield from ((source, table.wide(source)["score"]) for source in table.sources if source.startswith("proxy:"))


def main() -> None:
    lines: list[dict[str, object]] = []
    for path in sorted(HERE.glob("*.parquet")):
        table = read_table(path)
        baseline, full = read_list(path.stem).experiment.baseline, table.full_epochs
        assert baseline is not None
        tests = [table.final("test_accuracy", schedule_epochs=full, seed=seed) for seed in baseline.seeds]
        truth = sum(tests) / len(tests)
        about = {"list": path.stem, "candidates": len(truth)}
        tenth = full // 10
        smooth = [curves(table, "validation_accuracy", full, seed).rolling(SMOOTHED).mean() for seed in baseline.seeds]
        gains = np.concatenate([(curve.iloc[-1] - curve.iloc[-1 - tenth]).to_numpy() for curve in smooth])
        for name, value in (
            ("ceiling", tau_b(*tests)),
            ("spread: standard deviation of accuracy", float(truth.std())),
            ("standard deviation between two trainings", float((tests[0] - tests[1]).std() / np.sqrt(2))),
            ("gain in the last tenth: mean", float(gains.mean())),
            ("gain in the last tenth: largest", float(gains.max())),
        ):
            lines.append(about | {"source": name, "value": value})
        for name, order in (*short_orders(table, full, baseline.seeds[0]), *cheap_orders(table)):
            known = order.reindex(truth.index).dropna()
            lines.append(about | {"source": name, "value": tau_b(known, truth[known.index]), "known": len(known)})
    found = pd.DataFrame(lines)
    OUT.parent.mkdir(exist_ok=True)
    found.round(4).to_csv(OUT, index=False)
    print(found.pivot(index="source", columns="list", values="value").round(3).to_string())


if __name__ == "__main__":
    main()
