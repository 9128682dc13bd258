"""Stop a training that is unlikely to beat the best finished one."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, cast

import numpy as np
from scipy.special import ndtr

from taurank.schedulers.curves import HIGHER_IS_BETTER, Extrapolator
from taurank.schedulers.policies.full import whole_trainings
from taurank.schedulers.policies.options import require_integer, require_number
from taurank.schedulers.policies.policy import Curve, Decision, Decisions, Limits, curve_matrix
from taurank.schedulers.policies.standing import drawn_order, has_ended, score_at

_EXTRAPOLATORS = {"ensemble": ("ensemble", "CurveEnsemble"), "freeze-thaw": ("freeze_thaw", "FreezeThaw")}


@dataclass(frozen=True)
class BeatingPolicy:
    """Stops a trial when ``P(its final value > the best final value so far) < probability``, by a curve model.

    ``P = Phi((mean - best) / sd)`` from the forecast of the trial's end; for metrics that are better when lower the
    other way round. It is checked at fixed shares of the schedule, and not before a trial has run to the end. Never
    pauses.

    Caveats: for the search of the one best trial. It gives no order of the trials that it stops: each is compared
    with the best and not with the others. It depends on the calibration of the curve model: too narrow a forecast
    stops trials that rise late. Forecasts take all curves anew at every check, seconds where trials are many.

    Example:
        >>> from taurank.schedulers.policies import Curve, Limits
        >>> epochs = tuple(range(1, 11))
        >>> best = Curve("a", epochs, (0.5, 0.7, 0.8, 0.85, 0.88, 0.9, 0.91, 0.92, 0.92, 0.92), state="finished")
        >>> flat = Curve("b", epochs[:8], (0.3, 0.4, 0.42, 0.43, 0.43, 0.43, 0.43, 0.43), state="running", until=10)
        >>> BeatingPolicy().decide({"a": best, "b": flat}, Limits(10)).trials["b"].action
        'stop'

    Attributes:
        extrapolator: curve model: ``ensemble``, ``freeze-thaw``, or one of your own.
        probability: of beating the best one, below which a trial is stopped.
        first_check: share of the schedule at which a trial is first checked.
        interval: share of the schedule from one check to the next.
        seed: of the order in which trials start.

    Raises:
        ValueError: a value is outside its range, or the extrapolator is unknown.

    Source: Domhan, Springenberg and Hutter 2015, section 4 (IJCAI).
    """

    judges_running: ClassVar[bool] = True

    extrapolator: str | Extrapolator = "ensemble"
    probability: float = 0.05
    first_check: float = 0.3
    interval: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        named = isinstance(self.extrapolator, str)
        if self.extrapolator not in _EXTRAPOLATORS if named else not hasattr(self.extrapolator, "forecast"):
            raise ValueError(
                f"extrapolator must be one of {', '.join(_EXTRAPOLATORS)}, or a curve model, got {self.extrapolator!r}"
            )
        require_number("probability", self.probability, above=0, below=1)
        require_number("first_check", self.first_check, above=0, below=1)
        require_number("interval", self.interval, above=0, below=1)
        require_integer("seed", self.seed, at_least=0)

    def decide(self, curves: Mapping[str, Curve], limits: Limits) -> Decisions:
        """Return the decisions; see ``Policy``.

        A checked trial carries the forecast of its final value.

        Raises:
            ValueError: the budget is below one training.
        """
        finals = [score_at(curve, limits.schedule_epochs, limits) for curve in curves.values()]
        best = max(finals, default=-np.inf)
        checks = self.check_epochs(limits)
        checked = {t for t, c in curves.items() if c.last_epoch in checks and not has_ended(c, limits)}
        verdicts = self._verdicts(checked, best, curves, limits) if checked and np.isfinite(best) else {}
        return whole_trainings(curves, limits, drawn_order(curves, self.seed), verdicts)

    def check_epochs(self, limits: Limits) -> frozenset[int]:
        """Epochs at which a trial is checked: the first cut point from each share of the schedule on."""
        shares = np.arange(self.first_check, 1, self.interval)
        points = np.array(limits.cut_points)
        places = np.searchsorted(points, shares * limits.schedule_epochs - 1e-9)
        return frozenset(points[places].tolist()) - {limits.schedule_epochs}

    def _verdicts(
        self, checked: set[str], best: float, curves: Mapping[str, Curve], limits: Limits
    ) -> dict[str, Decision]:
        sign = 1 if limits.metric in HIGHER_IS_BETTER else -1
        # In one order, whatever order the trials come in: sums of floats depend on it.
        begun = {trial: curves[trial] for trial in drawn_order(curves, self.seed) if curves[trial].epochs}
        forecast = self._model().forecast(curve_matrix(begun, limits))
        verdicts = {}
        for trial, mean, sd in zip(begun, forecast.means.tolist(), forecast.sds.tolist(), strict=True):
            if trial not in checked or not np.isfinite(mean) or not sd > 0:
                continue
            beats = float(ndtr((sign * mean - best) / sd))
            reason = f"beats the best final {sign * best:.4g} with probability {beats:.2g}"
            if beats < self.probability:
                saved = float(limits.schedule_epochs - curves[trial].last_epoch)
                verdicts[trial] = Decision("stop", f"{reason}, below {self.probability:g}", mean, sd, saved)
            else:
                verdicts[trial] = Decision("continue", reason, mean, sd)
        return verdicts

    def _model(self) -> Extrapolator:
        if not isinstance(self.extrapolator, str):
            return self.extrapolator
        module, class_name = _EXTRAPOLATORS[self.extrapolator]
        return cast(Extrapolator, getattr(import_module(f"taurank.schedulers.curves.{module}"), class_name)())
