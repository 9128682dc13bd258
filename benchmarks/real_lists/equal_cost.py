"""Less data, early stopping, classifiers and regressors at equal cost: each alone, and together, on the recorded lists.

Everything costs a tenth of one full training of all candidates, or nothing. The truth is the test accuracy of one full
training, the evidence comes from another one and from shorter trainings; both full trainings take turns.

- `another full training`: the one that is the evidence; its cost is that of full training.
- `parameters`, `flops`: cost nothing.
- `less data`: every candidate on a quarter of the training images (stratified), on a schedule of 16 epochs of them, as
  much as four epochs of all images. These trainings are recorded here.
- `short schedule`: every candidate on all images for four epochs, on a schedule of its own.
- `early stopping`: `order-settling` on the curves of full training; ordered by the ladder's forecast.
- `equal cut`: every full training cut after four epochs; ordered by the best value.
- `regressor`, `classifier`: extremely randomised trees, and the classifier of pairs, of the ranker: full trainings of a
  tenth of the candidates, inputs are sizes and proxies. Mean over 10 random tenths.
- `together`: the default run, which has short schedules, proxies, sizes, full trainings of a few, regressors and
  classifiers.
- `together, less data`: the same, with the trainings of `less data` in place of the short schedules.

`equal_cost.csv` has the tau, with the ends of its 95 % interval (jackknife over candidates), all of them means over the
turns. The recorded trainings are in `equal_cost_trainings.csv`, which is continued. One thread; some minutes.

    python -m benchmarks.real_lists.equal_cost
    python -m benchmarks.real_lists.equal_cost --lists own_code
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import torch

from benchmarks.real_lists.record import HERE, SHORT_SEED, RealList, read_list
from benchmarks.real_lists.replays import benches_of, default_plan
from benchmarks.real_lists.sources import curves
from taurank.orchestrator.ranker import REGRESSORS, FinalInputs
from taurank.orchestrator.replay import Bench, replay_draw
from taurank.orchestrator.tau import agreement
from taurank.schedulers.curves import CurveMatrix, Ladder
from taurank.schedulers.policies import Limits, make_policy, simulate
from taurank.spaces import Architecture
from taurank.trainables.data import less_data
from taurank.trainables.table import RecordedTable, read_table
from taurank.trainables.training import Training

OUT = HERE / "results" / "equal_cost.csv"
TRAININGS = OUT.with_name("equal_cost_trainings.csv")
SHARE, TENTH, LABELLED_DRAWS = 0.25, 0.1, 10
METRICS = ["validation_accuracy", "train_loss"]
Measured = tuple[float, float, float, float]
"""Cost as a share of full training of all, tau, and the ends of its 95 % interval."""


def train_on_less(each: RealList, architecture: Architecture, epochs: int) -> pd.DataFrame:
    """Rows of a training on less data, one for each epoch-equivalent."""
    data = less_data(each.data, share=SHARE, by="stratified", seed=SHORT_SEED)
    shape, classes = data.input_shape, len(data.classes)
    recipe = each.experiment.short_recipe_of(architecture.code, round(epochs / SHARE))
    training = Training(
        lambda: each.space.build(architecture, input_shape=shape, classes=classes), recipe, data, seed=SHORT_SEED
    )
    began, rows = time.process_time(), []
    while not training.finished:
        row = training.step_epoch()
        if row["epoch"] % round(1 / SHARE) == 0:
            about = {"list": each.name, "architecture": architecture.code, "epoch": round(row["epoch"] * SHARE)}
            spent = {"seconds": round(time.process_time() - began, 3)}
            rows.append(about | {name: round(row[name], 6) for name in METRICS} | spent)
    return pd.DataFrame(rows)


def record(each: RealList, codes: Sequence[str], epochs: int) -> pd.DataFrame:
    """The trainings on less data of these candidates; those that are missing are trained."""
    there = pd.read_csv(TRAININGS) if TRAININGS.is_file() else pd.DataFrame(columns=["list", "architecture"])
    done = set(there.loc[there["list"] == each.name, "architecture"])
    for code in codes:
        if code not in done:
            rows = train_on_less(each, Architecture(each.space.name, code), epochs)
            rows.to_csv(TRAININGS, mode="a", header=not TRAININGS.is_file(), index=False)
    found = pd.read_csv(TRAININGS)
    return found[(found["list"] == each.name) & found["architecture"].isin(list(codes))]


def with_less_data(table: RecordedTable, less: pd.DataFrame, epochs: int) -> RecordedTable:
    """The table with the trainings on less data in place of the short ones of that length."""
    rows = table.rows
    short = (rows["source"] == "training") & (rows["schedule_epochs"] == epochs) & (rows["seed"] == SHORT_SEED)
    short &= rows["metric"].isin(METRICS)
    values = less.set_index(["architecture", "epoch"])[METRICS].stack()
    key = pd.MultiIndex.from_frame(rows.loc[short, ["architecture", "epoch", "metric"]].astype({"metric": str}))
    rows = rows.assign(value=rows["value"].mask(short, pd.Series(values.reindex(key).to_numpy(), rows.index[short])))
    return RecordedTable(table.info, rows)


def early_stopping(bench: Bench, codes: Sequence[str], policy: str) -> pd.Series:
    """The candidates by a policy on the curves of the full trainings that are the evidence; higher is better."""
    seed, full = bench.truth.evidence_seed, bench.full_epochs
    values, training = (curves(bench.table, name, full, seed)[list(codes)].to_numpy().T for name in METRICS)
    matrix = CurveMatrix(values, np.arange(1, full + 1), "accuracy", training)
    points = tuple(range(1, full + 1))
    limits = Limits(full, TENTH * full * len(codes), slots=1, metric="accuracy", points=points)
    seen = simulate(make_policy(policy), limits, matrix).matrix
    scores = Ladder().forecast(seen).scores if policy == "order-settling" else np.nanmax(seen.values, axis=1)
    return pd.Series(np.nan_to_num(scores, nan=-np.inf), list(codes))


def learned(bench: Bench, codes: Sequence[str], name: str) -> Iterator[pd.Series]:
    """Predictions by a model of full trainings of random tenths; higher is better."""
    inputs = pd.concat([bench.sizes, bench.proxies], axis=1).loc[list(codes)].rank(na_option="keep")
    flat = inputs.fillna(inputs.median()).dropna(axis=1).to_numpy()
    nothing = np.zeros((len(codes), 0))
    final = FinalInputs(nothing, nothing, nothing, np.zeros(len(codes)), flat)
    values = bench.final.loc[list(codes)].to_numpy()
    for draw in range(LABELLED_DRAWS):
        generator = np.random.default_rng(draw)
        rows = np.sort(generator.choice(len(codes), max(2, round(TENTH * len(codes))), replace=False))
        model = REGRESSORS[name](final, generator).fit(rows, values[rows], np.ones(len(rows)))
        yield pd.Series(model.predict()[0], list(codes))


def together(each: RealList, bench: Bench) -> Measured:
    """The default run."""
    row = replay_draw(bench, default_plan(each, bench, len(bench.pool)), 0)
    return row["cost"], row["tau"], row["tau_low"], row["tau_high"]


def measured(each: RealList, bench: Bench, less: pd.DataFrame, epochs: int) -> Iterator[tuple[str, Measured]]:
    """Every method; several times where it has draws."""
    codes = list(bench.pool)
    truth = bench.truth.values.loc[codes]

    def scored(order: pd.Series, cost: float = TENTH) -> Measured:
        found = agreement(order.loc[codes], truth)
        return cost, found.tau, found.low, found.high

    yield "another full training", scored(bench.final, 1.0)
    for name in ("parameters", "flops"):
        yield name, scored(bench.sizes[name], 0.0)
    yield "less data", scored(less[less["epoch"] == epochs].set_index("architecture")[METRICS[0]])
    at = {"epoch": epochs, "schedule_epochs": epochs, "seed": SHORT_SEED}
    yield "short schedule", scored(bench.table.at(METRICS[0], **at))
    for method, policy in (("early stopping", "order-settling"), ("equal cut", "uniform")):
        yield method, scored(early_stopping(bench, codes, policy))
    for method, regressor in (("regressor", "extra-trees"), ("classifier", "pairwise")):
        yield from ((method, scored(order)) for order in learned(bench, codes, regressor))
    yield "together", together(each, bench)
    replaced = dataclasses.replace(bench, table=with_less_data(bench.table, less, epochs))
    yield "together, less data", together(each, replaced)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lists", nargs="+", default=sorted(path.stem for path in HERE.glob("*.parquet")))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    lines: list[dict[str, object]] = []
    for name in options.lists:
        each = read_list(name)
        benches = benches_of(each, read_table(HERE / f"{name}.parquet"))
        codes, epochs = list(benches[0].pool), benches[0].full_epochs // 10
        less = record(each, codes, epochs)
        found: dict[str, list[Measured]] = {}
        for bench in benches:
            for method, result in measured(each, bench, less, epochs):
                found.setdefault(method, []).append(result)
        for method, results in found.items():
            means = np.mean(results, axis=0)
            about = {"list": name, "candidates": len(codes), "method": method}
            line = about | dict(zip(("cost", "tau", "low", "high"), means.round(4).tolist(), strict=True))
            lines.append(line)
            print(*line.values(), flush=True)
    others = pd.read_csv(OUT).query("list not in @options.lists") if OUT.is_file() else pd.DataFrame()
    pd.concat([others, pd.DataFrame(lines)]).to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
