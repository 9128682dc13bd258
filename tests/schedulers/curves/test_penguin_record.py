"""The engine against the predictions that its authors recorded (A4NN, runs that stopped early)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.schedulers.curves import fit_curve, predict

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
