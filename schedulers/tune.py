"""Schedulers for Ray Tune: one that drives any policy, and Ray's own with defaults for ranking.

Trials report ``epoch`` (counted from 1, the number of epochs trained) and ``validation_accuracy`` in [0, 1], higher is
better. Time is that ``epoch`` and never Tune's ``training_iteration``, which starts again when a trial does.
"""

import difflib
import inspect
import logging
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, HyperBandScheduler, TrialScheduler

from schedulers.policies import Curve, Decision, PenguinPolicy, Policy

METRIC = "validation_accuracy"
TIME = "epoch"

_log = logging.getLogger(__name__)
_ACTIONS = {"continue": TrialScheduler.CONTINUE, "pause": TrialScheduler.PAUSE, "stop": TrialScheduler.STOP}


def trial_key(trial: Any) -> str:
    """Return the name under which a trial's curve is kept: its config's ``trial``, else Tune's id.

    The name outlives Tune's id, so a trial that is submitted again after a restart finds its curve.
    """
    return str(trial.config.get("trial", trial.trial_id))


class PolicyScheduler(TrialScheduler):  # type: ignore[misc]
    """Drives a policy under Ray Tune.

    Each new result extends the trial's curve; the policy then decides on all curves. The trial that reported is
    continued, paused or stopped at once; decisions on other trials take effect at their next result, or, for paused
    ones, when Tune next asks for work. Pending trials start before paused ones resume, in order of submission, and at
    most one trial waits for a free slot. An epoch seen twice (a trial restored from an older checkpoint) changes
    nothing. A value that is not finite stops its trial whatever the policy says. If only paused trials are left and
    the policy lets none of them go on, the first is resumed with a warning: Tune itself would spin for ever.

    Tune hands a copy of the result to its scheduler, so the prediction cannot be added to the result here. It stands
    in ``decisions``, which at the time of a callback's ``on_trial_result`` already holds the decision on that result
    (except for a result with ``done``, of which schedulers hear only afterwards).

    Tune does not save schedulers. The whole state is the curves: read ``curves`` (in a callback's ``get_state``, or
    from a log) and give them to ``load_curves`` before the first result.

    Args:
        policy: the policy; it has to be picklable.
        curves: curves of an earlier part of the run.
    """

    _supports_buffered_results = False  # a buffered result would be decided upon too late

    def __init__(self, policy: Policy, curves: Iterable[Curve] = ()) -> None:
        super().__init__()
        self._metric = METRIC
        self._policy = policy
        self._curves: dict[str, Curve] = {}
        self._decisions: dict[str, Decision] = {}
        self._ended: set[str] = set()
        self._ids: dict[str, str] = {}
        self.load_curves(curves)

    @property
    def curves(self) -> Mapping[str, Curve]:
        """Every curve so far, by trial key."""
        return MappingProxyType(self._curves)

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """The latest decision on every trial, by trial key; that of an ended trial no longer changes."""
        return MappingProxyType(self._decisions)

    def load_curves(self, curves: Iterable[Curve]) -> None:
        """Take over curves of an earlier part of the run; one that is known already is replaced."""
        loaded = {curve.trial: curve for curve in curves}
        if loaded:
            self._curves.update(loaded)
            self._decide()

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Remember whose the trial key is; the same trial may be added again after a failure or a restore.

        Raises:
            ValueError: another trial has the same key.
        """
        key = trial_key(trial)
        if self._ids.setdefault(key, trial.trial_id) != trial.trial_id:
            raise ValueError(
                f"config['trial'] must be unique, got {key!r} for trials {self._ids[key]} and {trial.trial_id}"
            )

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Extend the curve, ask the policy, and return Tune's word for its decision.

        Raises:
            ValueError: the result lacks ``epoch`` or ``validation_accuracy``.
        """
        missing = [name for name in (TIME, METRIC) if name not in result]
        if missing:
            raise ValueError(f"result of trial {trial_key(trial)!r} must hold {TIME} and {METRIC}, lacks {missing}")
        key = trial_key(trial)
        self._observe(key, result)
        self._decide()
        decision = self._decisions[key]
        if decision.action == "stop":
            self._ended.add(key)
        return str(_ACTIONS[decision.action])

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Take in the last result, which Tune does not show to ``on_trial_result`` when it says ``done``."""
        key = trial_key(trial)
        if TIME in result and METRIC in result:
            self._observe(key, result)
            self._decide()
        self._ended.add(key)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Close a trial that was stopped while it waited."""
        self._ended.add(trial_key(trial))

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keep the curve: Tune either adds the trial again or gives it up."""

    def choose_trial_to_run(self, tune_controller: Any) -> Any | None:
        """Return the trial to start or resume; stop paused trials that the policy has given up."""
        trials = tune_controller.get_trials()
        for trial in trials:
            if trial.status == Trial.PAUSED and self._action(trial) == "stop":
                tune_controller.stop_trial(trial)
        pending = next((trial for trial in trials if trial.status == Trial.PENDING), None)
        if pending is not None:
            return pending
        paused = [trial for trial in trials if trial.status == Trial.PAUSED]
        for trial in paused:
            if self._action(trial) == "continue":
                return trial
        if paused and not any(trial.status == Trial.RUNNING for trial in trials):
            _log.warning(
                "%s pauses all %d remaining trials; resuming %s", self._policy_name, len(paused), trial_key(paused[0])
            )
            return paused[0]
        return None

    def debug_string(self) -> str:
        """Return the policy's name and how many trials got which decision."""
        counts: Counter[str] = Counter(decision.action for decision in self._decisions.values())
        return f"{self._policy_name}: " + ", ".join(f"{counts[action]} {action}" for action in _ACTIONS)

    @property
    def _policy_name(self) -> str:
        return type(self._policy).__name__

    def _action(self, trial: Any) -> str:
        decision = self._decisions.get(trial_key(trial))
        return "continue" if decision is None else decision.action

    def _observe(self, key: str, result: Mapping[str, Any]) -> None:
        curve = self._curves.get(key, Curve(key))
        epoch, value = int(result[TIME]), float(result[METRIC])
        at = bisect_left(curve.epochs, epoch)
        if epoch not in curve.epochs[at : at + 1]:
            self._curves[key] = Curve(
                key,
                (*curve.epochs[:at], epoch, *curve.epochs[at:]),
                (*curve.values[:at], value, *curve.values[at:]),
            )

    def _decide(self) -> None:
        decided = self._policy.decide(self.curves)
        for key, curve in self._curves.items():
            if key in self._ended and key in self._decisions:
                continue
            if key not in decided:
                raise ValueError(f"{self._policy_name} must decide on every curve, left out {key!r}")
            decision = decided[key]
            if curve.values and not math.isfinite(curve.values[-1]) and decision.action != "stop":
                decision = Decision("stop", "non-finite", math.nan)
            self._decisions[key] = decision


class _NonFiniteStops(TrialScheduler):  # type: ignore[misc]
    """Stops a trial whose accuracy is not finite; Ray's schedulers compare it, and NaN never loses a comparison."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        if METRIC in result and not math.isfinite(result[METRIC]):
            return str(TrialScheduler.STOP)
        return str(super().on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if METRIC in result and not math.isfinite(result[METRIC]):
            self.on_trial_remove(tune_controller, trial)  # keeps NaN out of the rungs
        else:
            super().on_trial_complete(tune_controller, trial, result)


class AshaScheduler(_NonFiniteStops, AsyncHyperBandScheduler):  # type: ignore[misc]
    """Ray's ASHA (its stopping variant) on ``epoch`` and ``validation_accuracy``; NaN stops a trial.

    Caveats: the first trial to reach a rung is never stopped there, each trial is compared with those that came
    before it, and a stopped trial's last value must not be compared with that of another rung. After a restart the
    rungs are empty.
    """


class HyperbandScheduler(_NonFiniteStops, HyperBandScheduler):  # type: ignore[misc]
    """Ray's Hyperband on ``epoch`` and ``validation_accuracy``; NaN stops a trial, survivors finish their schedule.

    Ray would stop the survivors of a bracket at its last milestone, which lies below the end of the schedule unless
    that is a power of the reduction factor. And it processes a bracket no more when a trial drops out of it after the
    first halving: if nothing runs any longer, the first paused trial is resumed, which sets the bracket going again.
    After a restart the brackets are filled anew.

    Args:
        schedule_epochs: length of the schedule.
        reduction_factor: a bracket keeps one trial in so many at each milestone.
    """

    def __init__(self, schedule_epochs: int, reduction_factor: float) -> None:
        super().__init__(
            time_attr=TIME,
            metric=METRIC,
            mode="max",
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


def hyperband_brackets(schedule_epochs: int, reduction_factor: float = 3) -> tuple[tuple[int, int], ...]:
    """Return the brackets of one Hyperband band as ``(trials, epochs to the first milestone)``, in order of filling.

    With ``S = round(log_eta R) + 1``, bracket ``s = 0 .. S - 1`` has ``ceil(S / (s + 1) * eta ** s)`` trials and
    starts with ``floor(R * eta ** -s)`` epochs; brackets of zero epochs are left out. This is Ray's reading of the
    formula in the text of the Hyperband paper; the table printed there rounds otherwise.
    """
    count = round(math.log(schedule_epochs) / math.log(reduction_factor)) + 1
    brackets = (
        (math.ceil(count / (s + 1) * reduction_factor**s), int(schedule_epochs * reduction_factor**-s))
        for s in range(count)
    )
    return tuple((trials, epochs) for trials, epochs in brackets if epochs > 0)


def _none(schedule_epochs: int, candidates: int) -> TrialScheduler:
    return FIFOScheduler()


def _asha(
    schedule_epochs: int, candidates: int, *, reduction_factor: float = 3, grace_period: int | None = None
) -> TrialScheduler:
    _check_reduction_factor(reduction_factor)
    if grace_period is None:
        grace_period = math.ceil(schedule_epochs / 27)
    if not 1 <= grace_period <= schedule_epochs:
        raise ValueError(f"grace_period must lie between 1 and schedule_epochs {schedule_epochs}, got {grace_period!r}")
    return AshaScheduler(
        time_attr=TIME,
        metric=METRIC,
        mode="max",
        max_t=schedule_epochs,
        grace_period=grace_period,
        reduction_factor=reduction_factor,
        brackets=1,
    )


def _hyperband(schedule_epochs: int, candidates: int, *, reduction_factor: float = 3) -> TrialScheduler:
    _check_reduction_factor(reduction_factor)
    brackets = hyperband_brackets(schedule_epochs, reduction_factor)
    left = candidates % sum(trials for trials, _ in brackets)
    for trials, epochs in brackets:
        if 0 < left < trials:
            _log.warning(
                "hyperband: the last bracket of %d candidates holds %d of %d trials from epoch %d; "
                "it cuts less than planned, so the run costs more",
                candidates,
                left,
                trials,
                epochs,
            )
        left -= trials
    return HyperbandScheduler(schedule_epochs, reduction_factor)


def _penguin(
    schedule_epochs: int,
    candidates: int,
    *,
    window: int = 3,
    tolerance_points: float = 0.5,
    minimum_points: int = 3,
) -> TrialScheduler:
    return PolicyScheduler(PenguinPolicy(schedule_epochs, window, tolerance_points, minimum_points))


_BUILDERS: dict[str, Callable[..., TrialScheduler]] = {
    "none": _none,
    "asha": _asha,
    "hyperband": _hyperband,
    "penguin": _penguin,
}


def list_schedulers() -> list[str]:
    """Return the names that ``make_scheduler`` knows."""
    return list(_BUILDERS)


def make_scheduler(name: str, *, schedule_epochs: int, candidates: int, **options: Any) -> TrialScheduler:
    """Return a Ray Tune scheduler by name, with defaults for ranking rather than for finding the best one.

    ``none``: every trial runs to its end, in order of submission.

    ``asha``: ``reduction_factor`` 3, as in the paper (Ray: 4): a rung throws away fewer trials, so more of the order
    rests on later epochs. ``grace_period`` a 27th of the schedule, rounded up (Ray: 1): nobody is judged by less, and
    no trial passes more than three cuts before the last epoch. One bracket: all trials meet in the same rungs, and
    Ray draws among several from NumPy's global random state.

    ``hyperband``: ``reduction_factor`` 3. Survivors of a bracket finish their schedule (Ray stops them at the
    bracket's last milestone), so that their last values are comparable. Brackets fill from the longest to the
    shortest first milestone; when the candidates do not fill the last one, the log says so.

    ``penguin``: ``window`` 3, ``tolerance_points`` 0.5 and ``minimum_points`` 3, as published.

    Args:
        name: one of ``list_schedulers()``.
        schedule_epochs: epochs of a full training, at which trials end by themselves.
        candidates: how many trials will be submitted.
        options: the settings named above.

    Raises:
        ValueError: unknown name or option, or a value outside its range.
    """
    if name not in _BUILDERS:
        raise ValueError(f"unknown scheduler {name!r}; {_choices(name, list_schedulers())}")
    for argument, value in (("schedule_epochs", schedule_epochs), ("candidates", candidates)):
        if value < 1:
            raise ValueError(f"{argument} must be at least 1, got {value!r}")
    builder = _BUILDERS[name]
    allowed = [p.name for p in inspect.signature(builder).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        if option not in allowed:
            raise ValueError(f"unknown option {option!r} of scheduler {name!r}; {_choices(option, allowed)}")
    return builder(schedule_epochs, candidates, **options)


def _choices(wrong: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(wrong, allowed, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"allowed: {', '.join(allowed) or 'none'}{hint}"


def _check_reduction_factor(value: float) -> None:
    if not (math.isfinite(value) and value > 1):
        raise ValueError(f"reduction_factor must be a finite number above 1, got {value!r}")
