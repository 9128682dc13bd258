"""Models of learning curves.

The models are imported when they are first used: they need SciPy, which takes a second, and most callers need only
the types.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from taurank.schedulers.curves.matrix import HIGHER_IS_BETTER, CurveMatrix, Floats, Metric

if TYPE_CHECKING:
    from taurank.schedulers.curves.baker import BakerSVR
    from taurank.schedulers.curves.ensemble import CurveEnsemble
    from taurank.schedulers.curves.estimators import (
        best_so_far,
        last_value,
        mean_of_last,
        training_speed,
        training_speed_ema,
        training_speed_late,
    )
    from taurank.schedulers.curves.families import FAMILIES, Family
    from taurank.schedulers.curves.final_values import FEWEST_FINISHED
    from taurank.schedulers.curves.fitting import CurveFits, fit_family
    from taurank.schedulers.curves.forecast import Extrapolator, Forecast
    from taurank.schedulers.curves.freeze_thaw import FreezeThaw
    from taurank.schedulers.curves.ladder import FEWEST, Ladder, LadderFit
    from taurank.schedulers.curves.penguin import Convergence, FitSettings, PenguinConfig, converge, fit_curve, predict
    from taurank.schedulers.curves.rising import RisingCurves, rising_curves

_MODULES = {
    "baker": ("BakerSVR",),
    "ensemble": ("CurveEnsemble",),
    "estimators": (
        "best_so_far",
        "last_value",
        "mean_of_last",
        "training_speed",
        "training_speed_ema",
        "training_speed_late",
    ),
    "families": ("FAMILIES", "Family"),
    "final_values": ("FEWEST_FINISHED",),
    "fitting": ("CurveFits", "fit_family"),
    "forecast": ("Extrapolator", "Forecast"),
    "freeze_thaw": ("FreezeThaw",),
    "ladder": ("FEWEST", "Ladder", "LadderFit"),
    "penguin": ("Convergence", "FitSettings", "PenguinConfig", "converge", "fit_curve", "predict"),
    "rising": ("RisingCurves", "rising_curves"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


__all__ = [
    "FAMILIES",
    "FEWEST",
    "FEWEST_FINISHED",
    "HIGHER_IS_BETTER",
    "BakerSVR",
    "Convergence",
    "CurveEnsemble",
    "CurveFits",
    "CurveMatrix",
    "Extrapolator",
    "Family",
    "FitSettings",
    "Floats",
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
