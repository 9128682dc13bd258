"""taurank's PENGUIN engine against the published record: A4NN's runs that PENGUIN stopped, $TAURANK_DATA/a4nn.

Their engine fits from the fourth point on, counts epochs from 0, and predicts the 25th. At every recorded epoch
taurank's engine fits the same prefix of the curve. Compared are the predictions that are finite in the record (equal:
within .5 % of the value) and the decision to continue or stop. A low limit of evaluations in a fit loses recorded
predictions, a high one adds predictions that are not in the record. Two rules for emptying the window of predictions
are compared: only a fit at its bound, as in PENGUIN, or also a failed fit. In A4NN's record a failed fit is a
prediction of infinity.

The stopping rule alone is checked by applying it to the recorded predictions (limit 0). Prints a table and writes
`penguin_record.csv` beside this file.

    python -m benchmarks.curves.penguin_record --jobs 2
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.schedulers.curves import Convergence, FitSettings, PenguinConfig, converge, fit_curve, predict

OUT = Path(__file__).parent / "results" / "penguin_record.csv"
EPOCHS = 25
CLOSE = 0.005
CONFIG = PenguinConfig(target=EPOCHS, minimum_points=4, fit_one_point_early=False)


class Fits(NamedTuple):
    """Predictions from every prefix of one curve, NaN without one, and whether the fit was at its bound."""

    predictions: NDArray[np.float64]
    at_bound: NDArray[np.bool_]

    @classmethod
    def none(cls, points: int) -> Fits:
        return cls(np.full(points, math.nan), np.zeros(points, dtype=bool))

    @classmethod
    def recorded(cls, curve: pd.DataFrame) -> Fits:
        return cls(curve["prediction"].to_numpy(), np.zeros(len(curve), dtype=bool))


def read_record(folder: Path) -> list[pd.DataFrame]:
    """One frame per training, in the order of epochs, with the recorded predictions as numbers."""
    path = folder / "a4nn" / "a4nn_epochs.parquet"
    if not path.is_file():
        sys.exit(f"the record is missing: {path}; set TAURANK_DATA or give --data-dir")
    frame = pd.read_parquet(path)
    frame = frame[frame["early_stopped"]].copy()
    frame["prediction"] = pd.to_numeric(frame["predictions"].astype(str), errors="coerce")
    frame["stopped"] = frame["converged"].astype(str) == "True"
    return [curve.sort_values("epoch") for _, curve in frame.groupby(["gpus", "beam", "arch"])]


def fit_all(curve: pd.DataFrame, limits: Sequence[int]) -> dict[int, Fits]:
    """Fits of every prefix of a curve by limit of evaluations, whether or not training would have stopped before.

    A fit that succeeds within one limit is the same under every higher one.
    """
    epoch, accuracy = curve["epoch"].to_numpy(float), curve["val_accs"].to_numpy(float)
    found: dict[int, Fits] = {limit: Fits.none(len(epoch)) for limit in limits}
    for n in range(CONFIG.first_fit, len(epoch) + 1):
        params = None
        for limit in sorted(limits):
            if params is None:
                params = fit_curve(epoch[:n], accuracy[:n], FitSettings(max_evaluations=limit))
            if params is not None:
                found[limit].predictions[n - 1] = predict(params, EPOCHS)
                found[limit].at_bound[n - 1] = params[0] >= CONFIG.saturation
    return found


def decisions(curve: pd.DataFrame, fits: Fits, failed_empties: bool) -> NDArray[np.bool_]:
    """For every recorded epoch, whether taurank's rule has stopped the training by then."""
    stuck = fits.at_bound | (failed_empties & ~np.isfinite(fits.predictions))
    known = np.where(stuck, math.nan, fits.predictions)
    so_far = Convergence(False, None, math.nan, tuple(known.tolist()), tuple(stuck.tolist()))
    found = converge(curve["epoch"], curve["val_accs"], CONFIG, so_far)
    stop = len(curve) if found.stop_index is None else found.stop_index
    return np.arange(len(curve)) >= stop


def compare(curves: list[pd.DataFrame], fits: list[Fits], limit: int) -> Iterator[dict[str, object]]:
    theirs = np.concatenate([curve["prediction"].to_numpy() for curve in curves])
    ours = np.concatenate([each.predictions for each in fits])
    finite = np.isfinite(theirs)
    close = np.abs(ours[finite] - theirs[finite]) <= CLOSE * np.abs(theirs[finite])  # False where ours is nan
    stopped = np.concatenate([curve["stopped"].to_numpy() for curve in curves])
    for failed_empties in (False, True):
        ours_stopped = [decisions(*pair, failed_empties) for pair in zip(curves, fits, strict=True)]
        # A curve that they stopped ends there: where ours would have gone on, it is taken to stop with theirs.
        used = sum(int((~stop).sum()) + bool(stop.any()) for stop in ours_stopped)
        yield {
            "evaluations": limit,
            "failed_fit_empties_window": failed_empties,
            "curves": len(curves),
            "predictions": int(finite.sum()),
            "predictions_equal": float(close.mean()),
            "decisions": len(stopped),
            "decisions_equal": float((np.concatenate(ours_stopped) == stopped).mean()),
            "epochs_saved": 1 - used / (EPOCHS * len(curves)),
            "epochs_saved_theirs": 1 - len(stopped) / (EPOCHS * len(curves)),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("TAURANK_DATA", "")))
    parser.add_argument("--evaluations", type=int, nargs="+", default=[300, 600, 1000])
    parser.add_argument("--every", type=int, default=1, help="take only every so manyth curve; writes no CSV")
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    curves = read_record(options.data_dir)[:: options.every]
    with ProcessPoolExecutor(options.jobs) as pool:
        found = list(pool.map(partial(fit_all, limits=options.evaluations), curves, chunksize=5))
    rows = list(compare(curves, [Fits.recorded(curve) for curve in curves], 0))
    for limit in options.evaluations:
        rows += compare(curves, [each[limit] for each in found], limit)
    frame = pd.DataFrame(rows).round(4)
    print(frame.to_string(index=False))
    if options.every == 1:
        frame.to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
