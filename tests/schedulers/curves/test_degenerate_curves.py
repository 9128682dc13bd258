"""Curve models on inputs of extreme scale, equal curves and constant features."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taurank.schedulers.curves import CurveEnsemble, CurveMatrix, Extrapolator, FreezeThaw, Ladder, Metric


@pytest.mark.parametrize("model", [FreezeThaw(), CurveEnsemble(), Ladder()], ids=lambda model: type(model).__name__)
@given(
    metric=st.sampled_from(["accuracy", "loss", "score"]),
    exponent=st.sampled_from([-300, -150, 0, 150, 300]),
    feature_exponent=st.sampled_from([-300, 0, 160, 300]),
    constant=st.booleans(),
    same=st.booleans(),
    trials=st.sampled_from([1, 2, 12]),
)
@settings(max_examples=25, deadline=None)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_scale_and_no_degenerate_input_ends_in_an_error(
    model: Extrapolator, metric: Metric, exponent: int, feature_exponent: int, constant: bool, same: bool, trials: int
) -> None:
    generator = np.random.default_rng(0)
    values = np.tile(generator.random(12), (trials, 1)) if same else generator.random((trials, 12))
    values = np.ones_like(values) if constant else values
    values = values * (1.0 if metric == "accuracy" else 10.0**exponent)
    values[trials // 2 :, 8:] = np.nan
    features = (np.ones((trials, 2)) if same else generator.random((trials, 2))) * 10.0**feature_exponent
    forecast = model.forecast(CurveMatrix(values, np.arange(1, 13), metric, features=features))
    assert len(forecast.scores) == trials
