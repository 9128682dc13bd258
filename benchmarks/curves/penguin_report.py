"""PENGUIN and order-settling at equal epochs: epochs saved, share of the true best tenth kept, means, tau.

In each draw PENGUIN judges every training alone. The epochs that it uses are then the budget of `order-settling` with
the goals `order` and `tenth`, and of an equal cut that is ranked by the best value so far. The truth is the value at
the end of the same training. The goal `tenth` is also shown at a quarter of the epochs. Where a table has a second full
training of each candidate, its order is the last policy: no more can be kept of a tenth that training noise decides.
Columns, means over the draws:

- `saved`: epochs not trained, of those of full training;
- `kept`: share of the tenth ranked best that is as good as the true best tenth;
- `difference`: true mean of the tenth ranked best minus that of the true best tenth, in the unit of the metric (points
  of accuracy); above 0 is better;
- `bias`: median of predicted minus true final value, likewise;
- `tau` of all.

By default it takes five recorded sets from $TAURANK_DATA; `--table` takes any recorded table that has learning curves.
Rows of other lists in `penguin_report.csv` stay.

    OMP_NUM_THREADS=1 python -m benchmarks.curves.penguin_report
    OMP_NUM_THREADS=1 python -m benchmarks.curves.penguin_report --table benchmarks/real_lists/zoo.parquet
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.common.paired import positive
from benchmarks.curves.recorded_curves import CURVE_SETS, load_curves
from taurank.orchestrator.replay.bench import full_schedule
from taurank.orchestrator.replay.curves import architecture_features, at_epochs, read_curves, rows_of, varied
from taurank.orchestrator.tau import tau_b
from taurank.schedulers.curves import HIGHER_IS_BETTER, CurveMatrix, Floats, Ladder, best_so_far
from taurank.schedulers.policies import Limits, make_policy, simulate
from taurank.trainables.table import METRIC, read_table

OUT = Path(__file__).parent / "results" / "penguin_report.csv"
SHARE, QUARTER = 0.1, 0.25
LARGEST_DRAW = 0.85
Integers = NDArray[np.int64]
MEASURES = ("saved", "kept", "difference", "bias", "tau")


def read_curves_of(path: Path, metric: str, period: int) -> CurveMatrix:
    """One training of each candidate on the longest schedule of a table, at equal phase of a cyclic learning rate."""
    table = read_table(path)
    epochs = full_schedule(table, metric)
    found = read_curves(table, metric=metric, schedule_epochs=epochs)
    found = found.take(np.unique(found.architectures, return_index=True)[1])
    features = varied(architecture_features(table, None, found.architectures.tolist()))
    kept = found.matrix.epochs[found.matrix.epochs % period == 0]
    return replace(at_epochs(found.matrix, kept), features=features)


def second_finals_of(path: Path, metric: str) -> Floats:
    """Last value of a second training of each candidate in the order of `read_curves_of`, (trials,); NaN for none."""
    table = read_table(path)
    found = read_curves(table, metric=metric, schedule_epochs=full_schedule(table, metric))
    finals = pd.Series(found.matrix.values[:, -1]).groupby(found.architectures)
    return np.asarray(finals.agg(lambda values: values.iloc[1] if len(values) > 1 else np.nan), dtype=float)


def drawn(trials: int, candidates: int, rng: np.random.Generator) -> Integers:
    """Rows of trainings at random, at most 85 % of them."""
    size = min(candidates, max(2, int(LARGEST_DRAW * trials)))
    return np.sort(rng.choice(trials, size, replace=False))


def draw_of(whole: CurveMatrix, candidates: int, rng: np.random.Generator) -> CurveMatrix:
    """Trainings of a table at random, at most 85 % of them."""
    return rows_of(whole, drawn(len(whole.values), candidates, rng))


def limits_of(matrix: CurveMatrix, budget: float = float("inf")) -> Limits:
    points = tuple(matrix.epochs.tolist())
    return Limits(points[-1], budget, slots=4, metric=matrix.metric, points=points)


def run_penguin(matrix: CurveMatrix) -> tuple[Floats, float]:
    """Predicted final values, (trials,), and the epochs trained."""
    predictions, epochs = [], 0
    for row in range(len(matrix.values)):
        alone = rows_of(matrix, np.array([row]))
        found = simulate(make_policy("penguin"), limits_of(alone), alone)
        epochs += found.epochs
        (curve,) = found.curves.values()
        last = replace(curve, state="running", until=int(matrix.epochs[-1]))
        predictions.append(
            make_policy("penguin").decide({curve.trial: last}, found.limits).trials[curve.trial].prediction
        )
    return np.array(predictions), float(epochs)


def measures(matrix: CurveMatrix, epochs: float, scores: Floats, predicted: Floats) -> dict[str, float]:
    """One row; ``scores`` are higher for the better, ``predicted`` in the unit of the metric."""
    finals = matrix.values[:, -1]
    sign = 1.0 if matrix.metric in HIGHER_IS_BETTER else -1.0
    unit = 100.0 if matrix.metric in ("accuracy", "error") else 1.0
    scores = np.nan_to_num(scores, nan=-np.inf, neginf=np.finfo(float).min)
    size = max(1, round(SHARE * len(finals)))
    chosen, best = (np.argsort(-each, kind="stable")[:size] for each in (scores, sign * finals))
    return {
        "saved": 1 - epochs / (len(finals) * matrix.epochs[-1]),
        "kept": float((sign * finals[chosen] >= (sign * finals[best]).min()).mean()),
        "difference": sign * unit * float(finals[chosen].mean() - finals[best].mean()),
        "bias": unit * float(np.nanmedian(predicted - finals)) if np.isfinite(predicted).any() else np.nan,
        "tau": tau_b(scores, sign * finals),
    }


def compare(matrix: CurveMatrix, second: Floats | None) -> Iterator[dict[str, object]]:
    """All ways on the trainings of one draw; ``second``: last values of second trainings, (trials,)."""
    predictions, epochs = run_penguin(matrix)
    sign = 1.0 if matrix.metric in HIGHER_IS_BETTER else -1.0
    yield {"policy": "penguin", **measures(matrix, epochs, sign * predictions, predictions)}
    quarter = QUARTER * len(matrix.values) * float(matrix.epochs[-1])
    for goal, budget in (("order", epochs), ("tenth", epochs), ("tenth", quarter)):
        found = simulate(make_policy("order-settling", goal=goal), limits_of(matrix, budget), matrix)
        forecast = Ladder().forecast(found.matrix)
        row = measures(matrix, found.epochs, forecast.scores, forecast.means)
        yield {"policy": f"order-settling {{goal: {goal}}}" + (" at 4x" if budget == quarter else ""), **row}
    cut = simulate(make_policy("uniform"), limits_of(matrix, epochs), matrix)
    unknown = np.full(len(matrix.values), np.nan)
    yield {"policy": "equal cut, best so far", **measures(matrix, cut.epochs, best_so_far(cut.matrix), unknown)}
    if second is not None and np.isfinite(second).all():
        whole = len(matrix.values) * float(matrix.epochs[-1])
        yield {"policy": "a second full training", **measures(matrix, whole, sign * second, second)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, nargs="+", default=[], help="recorded tables instead of the five sets")
    parser.add_argument("--metric", default=METRIC)
    parser.add_argument("--period", type=positive, default=1, help="of a cyclic learning rate in epochs")
    parser.add_argument("--sets", nargs="+", choices=CURVE_SETS, default=CURVE_SETS, metavar="SET")
    parser.add_argument("--candidates", type=positive, default=100)
    parser.add_argument("--draws", type=positive, default=10)
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    options = parser.parse_args()
    rows = []
    for source in options.table or options.sets:
        whole = read_curves_of(source, options.metric, options.period) if options.table else None
        seconds = second_finals_of(source, options.metric) if options.table else None
        for draw in range(options.draws):
            rng = np.random.default_rng(draw)
            if whole is None or seconds is None:
                matrix, second = load_curves(source, options.data_dir).draw(options.candidates, rng).matrix, None
            else:
                rows_drawn = drawn(len(whole.values), options.candidates, rng)
                matrix, second = rows_of(whole, rows_drawn), seconds[rows_drawn]
            beside = {"list": source.stem if options.table else source, "candidates": len(matrix.values), "draw": draw}
            rows += [beside | row for row in compare(matrix, second)]
    means = pd.DataFrame(rows).groupby(["list", "candidates", "policy"], sort=False)[list(MEASURES)].mean()
    means["draws"] = options.draws
    frame = means.reset_index().round(3)
    print(frame.to_string(index=False))
    if OUT.is_file():
        old = pd.read_csv(OUT)
        frame = pd.concat([old[~old["list"].isin(frame["list"])], frame], ignore_index=True)
    frame.to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
