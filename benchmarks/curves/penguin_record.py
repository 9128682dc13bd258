"""taurank's PENGUIN engine against the published record: A4NN's runs that PENGUIN stopped, $TAURANK_DATA/a4nn.

Their engine fits from the fourth point on, counts epochs from 0, and predicts the 25th. At every recorded epoch
taurank's engine fits the same prefix of the curve. Compared are the predictions that are finite in the record (equal:
within .5 % of the value) and the decision to continue or stop.

The stopping rule alone is checked by applying it to the recorded predictions, where a failed fit is a prediction of
infinity. Prints a table and writes `penguin_record.csv`.

    python -m benchmarks.curves.penguin_record
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from taurank.schedulers.curves import Convergence, Floats, PenguinConfig, converge, fit_curves, predict

OUT = Path(__file__).parent / "results" / "penguin_record.csv"
EPOCHS = 25
CLOSE = 0.005
CONFIG = PenguinConfig(target=EPOCHS, minimum_points=4, fit_one_point_early=False)


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


def own_predictions(curve: pd.DataFrame) -> tuple[Floats, NDArray[np.bool_]]:
    """From every prefix of a curve, whether or not training would have stopped before, and which fits are at the bound.

    nan before the first fit.
    """
    count = len(curve)
    beginning = np.arange(count) <= np.arange(count)[:, None]
    values = np.where(beginning, curve["val_accs"].to_numpy(float), np.nan)
    fits = fit_curves(np.tile(curve["epoch"].to_numpy(float), (count, 1)), values)
    few = np.arange(1, count + 1) < CONFIG.first_fit
    found = np.array([float(predict(tuple(fit), EPOCHS)) for fit in fits])
    return np.where(few, np.nan, found), fits[:, 0] >= CONFIG.saturation


def decisions(curve: pd.DataFrame, predictions: Floats) -> NDArray[np.bool_]:
    """For every recorded epoch, whether taurank's rule has stopped the training by then."""
    known = np.where(np.isfinite(predictions), predictions, np.nan)
    so_far = Convergence(False, None, math.nan, tuple(known.tolist()), tuple(np.isnan(known).tolist()))
    found = converge(curve["epoch"], curve["val_accs"], CONFIG, so_far)
    stop = len(curve) if found.stop_index is None else found.stop_index
    return np.arange(len(curve)) >= stop


def compare(curves: list[pd.DataFrame], fits: str) -> dict[str, object]:
    """One row: predictions and decisions, from the recorded predictions or from taurank's own fits."""
    theirs = np.concatenate([curve["prediction"].to_numpy() for curve in curves])
    if fits == "own":
        each = [own_predictions(curve) for curve in curves]
    else:
        each = [(curve["prediction"].to_numpy(), np.zeros(len(curve), dtype=np.bool_)) for curve in curves]
    finite = np.isfinite(theirs)
    ours = np.concatenate([predictions for predictions, _ in each])[finite]
    close = np.abs(ours - theirs[finite]) <= CLOSE * np.abs(theirs[finite])
    stopped = np.concatenate([curve["stopped"].to_numpy() for curve in curves])
    ours_stopped = [
        decisions(curve, np.where(stuck, np.nan, predictions))
        for curve, (predictions, stuck) in zip(curves, each, strict=True)
    ]
    # A curve that they stopped ends there: where ours would have gone on, it is taken to stop with theirs.
    used = sum(int((~stop).sum()) + bool(stop.any()) for stop in ours_stopped)
    return {
        "fits": fits,
        "curves": len(curves),
        "predictions": int(finite.sum()),
        "predictions_equal": float(close.mean()),
        "decisions": len(stopped),
        "decisions_equal": int((np.concatenate(ours_stopped) == stopped).sum()),
        "epochs_saved": 1 - used / (EPOCHS * len(curves)),
        "epochs_saved_theirs": 1 - len(stopped) / (EPOCHS * len(curves)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("TAURANK_DATA", "")))
    options = parser.parse_args()
    curves = read_record(options.data_dir)
    frame = pd.DataFrame([compare(curves, "recorded"), compare(curves, "own")]).round(4)
    print(frame.to_string(index=False))
    frame.to_csv(OUT, index=False)


if __name__ == "__main__":
    main()
