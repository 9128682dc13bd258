"""Models of learning curves."""

from schedulers.curves.baker import BakerSVR
from schedulers.curves.ensemble import CurveEnsemble
from schedulers.curves.estimators import (
    best_so_far,
    last_value,
    mean_of_last,
    training_speed,
    training_speed_ema,
    training_speed_late,
)
from schedulers.curves.families import FAMILIES, Family
from schedulers.curves.fitting import CurveFits, fit_family
from schedulers.curves.forecast import Extrapolator, Forecast
from schedulers.curves.freeze_thaw import FreezeThaw
from schedulers.curves.ladder import Ladder, LadderFit
from schedulers.curves.matrix import CurveMatrix, Metric
from schedulers.curves.penguin import Convergence, FitSettings, PenguinConfig, converge, fit_curve, predict
from schedulers.curves.rising import RisingCurves, rising_curves

__all__ = [
    "FAMILIES",
    "BakerSVR",
    "Convergence",
    "CurveEnsemble",
    "CurveFits",
    "CurveMatrix",
    "Extrapolator",
    "Family",
    "FitSettings",
    "Forecast",
    "FreezeThaw",
    "Ladder",
    "LadderFit",
    "Metric",
    "PenguinConfig",
    "RisingCurves",
    "best_so_far",
    "converge",
    "fit_curve",
    "fit_family",
    "last_value",
    "mean_of_last",
    "predict",
    "rising_curves",
    "training_speed",
    "training_speed_ema",
    "training_speed_late",
]
