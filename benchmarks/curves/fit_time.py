"""Seconds to fit PENGUIN's family to 100 running trials: in one pass, against one curve after the other by SciPy.

The curves are recorded ones ($TAURANK_DATA) as they stand after some epochs. SciPy's `curve_fit` is called as the
published code calls it (trust-region reflective, the same start and bounds, at most 600 evaluations), with the exact
derivative. Both ways are timed in turns in one process, and the medians over repetitions are compared. `decision` is
the seconds of one decision of the policy `penguin` on the same curves after their last epoch, which includes the pass.
`worse` is the share of curves whose squared error is larger by the pass. Writes `fit_time.csv`.

    OMP_NUM_THREADS=1 python -m benchmarks.curves.fit_time
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import OptimizeWarning, curve_fit

from benchmarks.common.paired import positive
from benchmarks.curves.recorded_curves import load_curves
from taurank.schedulers.curves import Floats, fit_curves, predict
from taurank.schedulers.policies import Curve, Limits, make_policy

OUT = Path(__file__).parent / "results" / "fit_time.csv"
TRIALS = 100
CASES = (
    ("metaqnn", 5),
    ("metaqnn", 10),
    ("a4nn", 10),
    ("a4nn", 20),
    ("deep_resnets", 25),
    ("spikenas", 25),
    ("spikenas", 50),
)
START, LOWER, UPPER, EVALUATIONS = (10.0, 1.001, 100.0), (0.5, 1.0, 0.0), (200.0, np.inf, np.inf), 600


def one_by_one(x: Floats, y: Floats) -> Floats:
    """Fits of SciPy, (curves, 3); nan for a fit that failed."""

    def curve(x: Floats, a: float, b: float, c: float) -> Floats:
        return np.asarray(a - np.power(b, c - x))

    def slopes(x: Floats, a: float, b: float, c: float) -> Floats:
        power = np.power(b, c - x)
        return np.stack([np.ones_like(x), -(c - x) * power / b, -np.log(b) * power], axis=1)

    found = np.full((len(x), 3), np.nan)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", OptimizeWarning)
        for row in range(len(x)):
            try:
                found[row], _ = curve_fit(
                    curve, x[row], y[row], p0=START, bounds=(LOWER, UPPER), jac=slopes, max_nfev=EVALUATIONS
                )
            except RuntimeError:
                continue
    return found


def decision_seconds(x: Floats, y: Floats) -> float:
    """Of one decision on trials that have just reported another epoch; none has settled before."""
    end = 2 * x.shape[1]
    limits = Limits(end, slots=len(x))
    policy = make_policy("penguin", tolerance_points=1e-9)

    def curves(points: int) -> dict[str, Curve]:
        epochs = tuple(range(1, points + 1))
        return {
            str(row): Curve(str(row), epochs, tuple((y[row, :points] / 100).tolist()), state="running", until=end)
            for row in range(len(x))
        }

    policy.decide(curves(x.shape[1] - 1), limits)
    after = curves(x.shape[1])
    return seconds(lambda: policy.decide(after, limits))


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=positive, default=3)
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    options = parser.parse_args()
    rows = []
    for name, points in CASES:
        drawn = load_curves(name, options.data_dir).draw(TRIALS, np.random.default_rng(0))
        y = 100 * drawn.matrix.values[:, :points]
        x = np.tile(np.arange(1.0, points + 1), (len(y), 1))
        timed = np.array(
            [
                [seconds(lambda: fit_curves(x, y)), seconds(lambda: one_by_one(x, y)), decision_seconds(x, y)]  # noqa: B023
                for _ in range(options.repetitions)
            ]
        )
        one_pass, each, decided = np.median(timed, axis=0)
        errors = [
            np.array([np.square(predict(tuple(fit), at) - row).sum() for fit, at, row in zip(fits, x, y, strict=True)])
            for fits in (fit_curves(x, y), one_by_one(x, y))
        ]
        rows.append(
            {
                "curves": name,
                "trials": len(y),
                "points": points,
                "one_pass": one_pass,
                "one_by_one": each,
                "times_faster": each / one_pass,
                "decision": decided,
                "worse": float((errors[0] > errors[1] * (1 + 1e-6) + 1e-4).mean()),
                "failed_one_by_one": float(np.isnan(errors[1]).mean()),
            }
        )
        print(pd.DataFrame(rows[-1:]).round(4).to_string(index=False, header=len(rows) == 1), flush=True)
    pd.DataFrame(rows).round(5).to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
