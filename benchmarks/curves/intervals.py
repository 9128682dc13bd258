"""90 % intervals of final values by the ladder: coverage and width on recorded and on made-up lists.

All trainings of a draw stand at the same share of the schedule; none, 5 or 20 at random have finished (at most half
of a list). Recorded are the five sets of $TAURANK_DATA and the lists of `--tables`, of which no sudden drop of the
learning rate is named. Made up are accuracies whose error halves at 70 % of the schedule, where it is named (`drop`)
and where it is not (`unnamed drop`), losses and perplexities of which some diverge (`diverged loss`, `diverged
perplexity`), and accuracies that leave chance at different times (`late starts`). Widths are medians in the unit of
the metric; `spread` is the width that would hold 90 % of the final values themselves (5 to 95 % quantile). Rows of
another `--label` stay in `intervals.csv`.

    OMP_NUM_THREADS=1 python -m benchmarks.curves.intervals --label after
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common.paired import positive
from benchmarks.curves.penguin_report import draw_of, read_curves_of
from benchmarks.curves.recorded_curves import CURVE_SETS, RecordedCurves, cut_at, load_curves
from taurank.schedulers.curves import CurveMatrix, Ladder
from taurank.trainables.table import METRIC

OUT = Path(__file__).parent / "results" / "intervals.csv"
SHARES = (0.1, 0.2, 0.3, 0.5, 0.8)
FINISHED = (0, 5, 20)
TRIALS, EPOCHS = 100, 50
NORMAL_WIDTH = 1.645
REAL_LISTS = sorted((Path(__file__).parents[1] / "real_lists").glob("*.parquet"))

Draw = Callable[[np.random.Generator], CurveMatrix]


def rising(rng: np.random.Generator) -> np.ndarray:
    """Accuracies that rise by a power law, (trials, epochs)."""
    time = np.arange(1, EPOCHS + 1)
    clean = rng.uniform(0.8, 0.9, (TRIALS, 1)) - rng.uniform(0.4, 0.6, (TRIALS, 1)) * time**-0.8
    return np.asarray(np.clip(clean + rng.normal(0, 0.01, clean.shape), 0, 1))


def drop(rng: np.random.Generator) -> CurveMatrix:
    values = rising(rng)
    after = np.arange(EPOCHS) >= int(0.7 * EPOCHS)
    values[:, after] = 1 - (1 - values[:, after]) * rng.uniform(0.4, 0.6, (TRIALS, 1))
    return CurveMatrix(values, np.arange(1, EPOCHS + 1), drops=(int(0.7 * EPOCHS),))


def unnamed_drop(rng: np.random.Generator) -> CurveMatrix:
    return replace(drop(rng), drops=())


def late_starts(rng: np.random.Generator) -> CurveMatrix:
    values = rising(rng)
    starts = np.where(rng.random(TRIALS) < 0.5, 0, rng.integers(1, EPOCHS, TRIALS))
    for row, start in enumerate(starts):
        values[row] = np.r_[0.1 + rng.normal(0, 0.005, start), values[row, : EPOCHS - start]]
    return CurveMatrix(values, np.arange(1, EPOCHS + 1))


def diverged_loss(rng: np.random.Generator) -> CurveMatrix:
    values = 3 * (1 - rising(rng))
    for row in range(TRIALS // 10):
        values[row, rng.integers(1, EPOCHS) :] = 10 ** rng.uniform(2, 300)
    return CurveMatrix(values, np.arange(1, EPOCHS + 1), "loss")


def diverged_perplexity(rng: np.random.Generator) -> CurveMatrix:
    values = np.exp(np.minimum(diverged_loss(rng).values, 700.0))
    return CurveMatrix(values, np.arange(1, EPOCHS + 1), "perplexity")


MADE_UP: dict[str, Draw] = {
    "drop": drop,
    "unnamed drop": unnamed_drop,
    "late starts": late_starts,
    "diverged loss": diverged_loss,
    "diverged perplexity": diverged_perplexity,
}


def recorded_draw(curves: RecordedCurves, rng: np.random.Generator) -> CurveMatrix:
    return curves.draw(TRIALS, rng).matrix


def measure(matrix: CurveMatrix, share: float, finished: int, rng: np.random.Generator) -> dict[str, float]:
    """Coverage and median width over the trainings that have not finished."""
    seen = cut_at(matrix, max(1, round(share * len(matrix.epochs))))
    done = rng.choice(len(matrix.values), finished, replace=False)
    values, training = seen.values.copy(), None if seen.training is None else seen.training.copy()
    values[done] = matrix.values[done]
    if training is not None and matrix.training is not None:
        training[done] = matrix.training[done]
    with np.errstate(all="ignore"):
        forecast = Ladder().forecast(replace(seen, values=values, training=training))
    open_ = np.setdiff1d(np.arange(len(values)), done)
    finals, reach = matrix.values[open_, -1], NORMAL_WIDTH * forecast.sds[open_]
    holds = np.abs(forecast.means[open_] - finals) <= reach  # False without a forecast
    low, high = np.quantile(finals, [0.05, 0.95])
    return {
        "coverage": holds.mean(), "width": np.median(2 * reach), "widest": np.max(2 * reach), "spread": high - low
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label", default="after")
    parser.add_argument("--draws", type=positive, default=8)
    parser.add_argument("--tables", type=Path, nargs="*", default=REAL_LISTS, help="beside the five sets")
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    options = parser.parse_args()
    rows = []
    lists = dict(MADE_UP)
    for name in CURVE_SETS:
        lists[name] = partial(recorded_draw, load_curves(name, options.data_dir))
    for table in options.tables:
        lists[table.stem] = partial(draw_of, read_curves_of(table, METRIC, 1), TRIALS)
    for name, draw_one in lists.items():
        for draw in range(options.draws):
            rng = np.random.default_rng(draw)
            matrix = draw_one(rng)
            for share in SHARES:
                for finished in (count for count in FINISHED if 2 * count <= len(matrix.values)):
                    row = {"label": options.label, "list": name, "share": share, "finished": finished}
                    rows.append(row | measure(matrix, share, finished, rng))
    frame = pd.DataFrame(rows).groupby(["label", "list", "share", "finished"], sort=False).mean().reset_index()
    frame["draws"] = options.draws
    print(frame.round(3).to_string(index=False))
    if OUT.is_file():
        old = pd.read_csv(OUT)
        frame = pd.concat([old[old["label"] != options.label], frame], ignore_index=True)
    frame.to_csv(OUT, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
