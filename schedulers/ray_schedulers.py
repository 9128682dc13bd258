"""Ray's own schedulers on ``epoch`` and a metric, by default ``validation_accuracy``, with defaults for ranking.

They stop trials and never promote them: each trial is compared with earlier ones.
"""

import logging
import math
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, HyperBandScheduler, TrialScheduler

from taurank.schedulers.policies import hyperband_brackets
from taurank.schedulers.validation import asha_settings, hyperband_settings

METRIC, TIME = "validation_accuracy", "epoch"
_log = logging.getLogger(__name__)


class _NonFiniteStops(TrialScheduler):  # type: ignore[misc]
    """Stops a trial whose accuracy is not finite; Ray's schedulers compare it, and NaN never loses a comparison."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if not math.isfinite(result.get(self.metric, 0.0)):
            return str(TrialScheduler.STOP)
        return str(super().on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if not math.isfinite(result.get(self.metric, 0.0)):
            self.on_trial_remove(tune_controller, trial)  # keeps NaN out of the rungs
        else:
            super().on_trial_complete(tune_controller, trial, result)


class RayAshaScheduler(_NonFiniteStops, AsyncHyperBandScheduler):  # type: ignore[misc]
    """Ray's ASHA (its stopping variant) on ``epoch`` and ``validation_accuracy``; NaN stops a trial.

    Caveats: the first trial to reach a rung is never stopped there, each trial is compared with those that came
    before it, and a stopped trial's last value must not be compared with that of another rung. After a restart the
    rungs are empty.
    """


class RayHyperbandScheduler(_NonFiniteStops, HyperBandScheduler):  # type: ignore[misc]
    """Ray's Hyperband on ``epoch`` and ``validation_accuracy``; NaN stops a trial, survivors finish their schedule.

    Ray would stop the survivors of a bracket at its last milestone, which lies below the end of the schedule unless
    that is a power of the reduction factor. And it processes a bracket no more when a trial drops out of it after the
    first halving: if nothing runs any longer, the first paused trial is resumed, which sets the bracket going again.
    After a restart the brackets are filled anew.

    Args:
        schedule_epochs: length of the schedule.
        reduction_factor: a bracket keeps one trial in so many at each milestone.
        metric: that is compared.
        mode: which end of it is better.
    """

    def __init__(
        self, schedule_epochs: int, reduction_factor: float, *, metric: str = METRIC, mode: str = "max"
    ) -> None:
        super().__init__(
            time_attr=TIME,
            metric=metric,
            mode=mode,
            max_t=schedule_epochs,
            reduction_factor=reduction_factor,
            stop_last_trials=False,
        )
        self._schedule_epochs = schedule_epochs

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop at the end of the schedule; otherwise as in Ray."""
        if result.get(TIME, 0) >= self._schedule_epochs:
            return str(TrialScheduler.STOP)
        return super().on_trial_result(tune_controller, trial, result)

    def choose_trial_to_run(self, tune_controller: Any) -> Any | None:
        """Return Ray's choice, or the first paused trial when nothing else is left."""
        chosen = super().choose_trial_to_run(tune_controller)
        if chosen is not None:
            return chosen
        trials = tune_controller.get_trials()
        if any(trial.status in (Trial.PENDING, Trial.RUNNING) for trial in trials):
            return None
        return next((trial for trial in trials if trial.status == Trial.PAUSED), None)


def make_ray_asha(
    schedule_epochs: int,
    candidates: int,
    *,
    metric: str = METRIC,
    mode: str = "max",
    reduction_factor: float = 3,
    grace_period: int | None = None,
) -> TrialScheduler:
    """Return Ray's ASHA with defaults for ranking.

    ``reduction_factor`` 3, as in the paper (Ray: 4): a rung throws away fewer trials, so more of the order rests on
    later epochs. ``grace_period`` a 27th of the schedule, rounded up (Ray: 1): no trial is stopped earlier, and no
    trial passes more than three cuts before the last epoch. One bracket: all trials meet in the same rungs, and Ray
    draws among several from NumPy's global random state.

    Raises:
        ValueError: a value outside its range.
    """
    settings = asha_settings(schedule_epochs, reduction_factor=reduction_factor, grace_period=grace_period)
    return RayAshaScheduler(time_attr=TIME, metric=metric, mode=mode, max_t=schedule_epochs, brackets=1, **settings)


def make_ray_hyperband(
    schedule_epochs: int, candidates: int, *, metric: str = METRIC, mode: str = "max", reduction_factor: float = 3
) -> TrialScheduler:
    """Return Ray's Hyperband with defaults for ranking.

    ``reduction_factor`` 3. Survivors of a bracket finish their schedule (Ray stops them at the bracket's last
    milestone), so that their last values are comparable. Brackets fill from the longest to the shortest first
    milestone; when the candidates do not fill the last one, a warning is logged.

    Raises:
        ValueError: a value outside its range.
    """
    settings = hyperband_settings(schedule_epochs, reduction_factor=reduction_factor)
    brackets = hyperband_brackets(schedule_epochs, reduction_factor)
    left = candidates % sum(trials for trials, _ in brackets)
    for trials, epochs in brackets:
        if 0 < left < trials:
            _log.warning(
                "ray-hyperband: the last bracket of %d candidates holds %d of %d trials from epoch %d; "
                "it cuts less than planned, so the run costs more",
                candidates,
                left,
                trials,
                epochs,
            )
        left -= trials
    return RayHyperbandScheduler(schedule_epochs, **settings, metric=metric, mode=mode)
