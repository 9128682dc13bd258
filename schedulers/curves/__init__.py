"""Models of learning curves.

The models are imported when they are first used: they need SciPy, which takes a second, and most callers need only
the types.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from taurank.schedulers.curves.matrix import HIGHER_IS_BETTER, CurveMatrix, Floats, Metric

if TYPE_CHECKING:
    from taurank.schedulers.curves.ensemble import CurveEnsemble
    from taurank.schedulers.curves.estimators import best_so_far, last_value, training_speed_late
    from taurank.schedulers.curves.final_values import FEWEST_FINISHED
    from taurank.schedulers.curves.forecast import Extrapolator, Forecast
    from taurank.schedulers.curves.freeze_thaw import FreezeThaw
    from taurank.schedulers.curves.ladder import FEWEST, Ladder, LadderFit
    from taurank.schedulers.curves.penguin import (
        Convergence,
        PenguinConfig,
        converge,
        converge_all,
        fit_curve,
        fit_curves,
        predict,
    )

_MODULES = {
    "ensemble": ("CurveEnsemble",),
    "estimators": ("best_so_far", "last_value", "training_speed_late"),
    "final_values": ("FEWEST_FINISHED",),
    "forecast": ("Extrapolator", "Forecast"),
    "freeze_thaw": ("FreezeThaw",),
    "ladder": ("FEWEST", "Ladder", "LadderFit"),
    "penguin": ("Convergence", "PenguinConfig", "converge", "converge_all", "fit_curve", "fit_curves", "predict"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


__all__ = [
    "FEWEST",
    "FEWEST_FINISHED",
    "HIGHER_IS_BETTER",
    "Convergence",
    "CurveEnsemble",
    "CurveMatrix",
    "Extrapolator",
    "Floats",
    "Forecast",
    "FreezeThaw",
    "Ladder",
    "LadderFit",
    "Metric",
    "PenguinConfig",
    "best_so_far",
    "converge",
    "converge_all",
    "fit_curve",
    "fit_curves",
    "last_value",
    "predict",
    "training_speed_late",
]
