"""The engine against the predictions and decisions that its authors recorded (A4NN, runs that stopped early)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.schedulers.curves import Convergence, PenguinConfig, converge, fit_curve, predict

CURVES = 20  # of 300, evenly spread; `benchmarks/curves/penguin_record.py` takes all of them


@pytest.fixture(scope="module")
def record() -> pd.DataFrame:
    folder = os.environ.get("TAURANK_DATA")
    if not folder:
        pytest.skip("TAURANK_DATA is not set: no recorded curves")
    frame = pd.read_parquet(Path(folder) / "a4nn" / "a4nn_epochs.parquet")
    frame = frame[frame["early_stopped"]].copy()
    frame["prediction"] = pd.to_numeric(frame["predictions"].astype(str), errors="coerce")
    return frame


def test_predictions_agree_within_half_a_percent(record):
    curves = [curve.sort_values("epoch") for _, curve in record.groupby(["gpus", "beam", "arch"])]
    agree = []
    for curve in curves[:: len(curves) // CURVES]:
        epoch, accuracy = curve["epoch"].to_numpy(float), curve["val_accs"].to_numpy(float)
        for n in 1 + np.flatnonzero(np.isfinite(curve["prediction"])):
            params = fit_curve(epoch[:n], accuracy[:n])  # these epochs count from 0
            ours = np.nan if params is None else float(predict(params, 25))
            theirs = curve["prediction"].iloc[n - 1]
            agree.append(abs(ours - theirs) <= 0.005 * abs(theirs))
    assert len(agree) > 200
    assert np.mean(agree) >= 0.95


def test_every_recorded_decision_follows_from_the_recorded_predictions(record):
    """One decision per epoch. 29 of them differ if only the newest prediction has to lie in (0, 100]."""
    wrong = 0
    for _, curve in record.groupby(["gpus", "beam", "arch"]):
        curve = curve.sort_values("epoch")
        known = np.where(np.isfinite(curve["prediction"]), curve["prediction"], np.nan)
        so_far = Convergence(False, None, np.nan, tuple(known.tolist()), tuple(np.isnan(known).tolist()))
        stop = converge(curve["epoch"], curve["val_accs"], PenguinConfig(target=25), so_far).stop_index
        ours = np.arange(len(curve)) == (len(curve) if stop is None else stop)
        wrong += int((ours != (curve["converged"].astype(str) == "True")).sum())
    assert (len(record), wrong) == (5551, 0)
