"""A scheduler for Ray Tune that lets a policy decide on all learning curves."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from ray.tune.experiment import Trial
from ray.tune.result import DEFAULT_METRIC
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import SearchGenerator

from taurank.schedulers.final_forecasts import FinalForecast, final_forecasts
from taurank.schedulers.measure import Measure, Ticks, number
from taurank.schedulers.policies import (
    Curve,
    Decision,
    Decisions,
    Driver,
    Limits,
    Policy,
    Step,
    make_policy,
)
from taurank.schedulers.restored import restored_curve
from taurank.schedulers.tune_state import keeps_checkpoints, trials_that_fit, trials_to_come

_log = logging.getLogger(__name__)

_ACTIONS = {"continue": TrialScheduler.CONTINUE, "pause": TrialScheduler.PAUSE, "stop": TrialScheduler.STOP}
_RESOURCES_SECONDS = 5.0
"""Interval of queries for the size of the cluster."""
WithoutCheckpoints = Literal["stop", "refuse"]


class CurveScheduler(TrialScheduler):  # type: ignore[misc]
    """Lets a policy decide which trial starts or continues, how far, and which one ends (docs/how-to/schedulers.md).

    Takes the place of any scheduler in ``tune.TuneConfig(scheduler=...)``. The names of the policies are those of
    ``taurank.schedulers.policies.list_policies``; their classes document the options.

    Trials of a grid or of random samples are all submitted at once and held: those that the policy chooses start, in
    its order. Trials of a search algorithm start when Tune has room, as under any other scheduler, since the algorithm
    learns from those before; the policy decides how far they run. In both cases a trial that the policy pauses keeps
    its checkpoint and waits. When the policy is done, those that wait end, so that Tune ends too.

    If no trial can run, because ``max_concurrent_trials`` counts paused ones and the policy waits for new ones, the
    worst of those that wait ends. The log says so once.

    Pausing needs checkpoints. A trial that has none where the policy would pause it continues if the policy would
    send it on at once, and is stopped otherwise.

    A trial that loses its worker keeps its place; epochs that it reports again change nothing. A value that is not
    finite ends it. Time is ``time_attr`` and never Tune's count of results, which starts again when a trial does.

    Tune does not save schedulers. After ``Tuner.restore`` the curves are read from the results of the trials; see
    ``taurank.schedulers.restored`` for what is lost.

    Example:
        >>> from taurank.schedulers import CurveScheduler
        >>> scheduler = CurveScheduler("asha", metric="loss", mode="min", max_t=27, reduction_factor=3)
        >>> scheduler.metric
        'loss'

    Args:
        policy: name of the policy, or one of your own.
        time_attr: name in the results of the time that a trial has trained; it rises.
        max_t: time at which a trial ends.
        metric: name in the results of the value that is compared, ``a/b`` for nested ones; None to take that of
            ``tune.TuneConfig``.
        mode: ``min`` or ``max``; None to take that of ``tune.TuneConfig``.
        budget: time that all trials together may train, in the unit of ``time_attr``; None for no limit.
        scale: what the values are: ``accuracy`` or ``error`` in [0, 1], ``percent`` for accuracies in [0, 100],
            ``loss`` (lower is better), ``perplexity``, or ``score`` for any number of which higher is better. None for
            ``loss`` with mode ``min``, else ``accuracy`` and, from the first value outside [0, 1] on, ``score``.
        resolution: smallest step of time that counts: of several results within one the first is taken. None for 1, or
            a 200th of ``max_t`` if that is above 1,000 or ``time_attr`` is in seconds (begins with ``time_``).
        period: length of a cyclic learning rate: curves are compared at equal phase only.
        points: times at which trials report, rising up to ``max_t``; None for every step.
        drops: times after which the learning rate of trials drops suddenly; forecasts of final values allow for them.
        train_loss: name in the results of a training loss, a second signal of ``order-settling``; None for none.
        slots: trials that run at once; None for as many as the cluster has resources for.
        num_trials: trials in all, where Tune does not know it (``num_samples=-1``).
        without_checkpoints: ``stop`` trials that cannot be paused, or ``refuse`` at the first result.
        trials: keys of all trials (``config["trial"]``) in the order of submission, with the features of their
            architectures, if they are known beforehand. Trials that ended in an earlier part of the run are among
            them. None to take trials as they come, by Tune's trial id.
        options: of the policy.

    Raises:
        ValueError: unknown policy or option, or a value outside its range.
    """

    _supports_buffered_results = False  # a buffered result would be decided upon too late

    def __init__(
        self,
        policy: str | Policy = "order-settling",
        time_attr: str = "training_iteration",
        max_t: float = 100,
        metric: str | None = None,
        mode: str | None = None,
        budget: float | None = None,
        *,
        scale: str | None = None,
        resolution: float | None = None,
        period: float = 1,
        points: tuple[int, ...] | None = None,
        drops: tuple[float, ...] = (),
        train_loss: str | None = None,
        slots: int | None = None,
        num_trials: int | None = None,
        without_checkpoints: WithoutCheckpoints = "stop",
        trials: Mapping[str, tuple[float, ...]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if without_checkpoints not in get_args(WithoutCheckpoints):
            raise ValueError(f"without_checkpoints must be stop or refuse, got {without_checkpoints!r}")
        if num_trials is not None and num_trials < 1:
            raise ValueError(f"num_trials must be at least 1, got {num_trials!r}")
        self._time_attr, self._train_loss = time_attr, train_loss
        self._metric, self._measure = metric, Measure(mode, scale)
        self._ticks = Ticks.of(time_attr, max_t, resolution)
        limits = Limits(
            self._ticks.count,
            math.inf if budget is None else budget / self._ticks.length,
            1 if slots is None else slots,
            period=self._ticks.of_time(period) if period != 1 else 1,
            points=None if points is None else tuple(self._ticks.of_time(point) for point in points),
            drops=tuple(self._ticks.of_time(drop) for drop in drops),
        )
        made = make_policy(policy, **options) if isinstance(policy, str) else policy
        self._driver = Driver(made, limits, trials or {})
        self._slots, self._num_trials, self._all_known = slots, num_trials, trials is not None
        self._refuses = without_checkpoints == "refuse"
        self._trials: dict[str, Any] = {}
        self._started: set[str] = set()
        self._steps: dict[str, Step] = {}
        self._chosen = ""
        self._offered = False
        self._lost: set[str] = set()
        self._said: set[str] = set()
        self._resources_read = -math.inf
        self._forecast: tuple[int, dict[str, FinalForecast]] = (-1, {})
        self._results = 0
        if policy == "order-settling" and budget is None and not options.get("target_tau") and trials is None:
            self._say("budget", "order-settling trains every trial to max_t without a budget or target_tau; give one")

    def __getstate__(self) -> dict[str, Any]:
        # Trials belong to Tune. A copy is asked for its curves and decisions.
        return self.__dict__ | {"_trials": {}, "_resources_read": -math.inf}

    @property
    def curves(self) -> Mapping[str, Curve]:
        """Every curve so far, by trial id (by key if all trials were known beforehand)."""
        return self._driver.curves

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """The latest decision on every trial with its reason, likewise; that of an ended trial no longer changes."""
        return self._driver.decisions

    @property
    def steps(self) -> Mapping[str, Step]:
        """Where each trial was sent last, and why, likewise."""
        return MappingProxyType(self._steps)

    @property
    def latest(self) -> Decisions:
        """The latest decisions of the policy."""
        return self._driver.latest

    @property
    def done(self) -> bool:
        """Whether no trial runs and none will be started."""
        return self._driver.done

    def forecast(self, trial: Any) -> FinalForecast:
        """The predicted value of a trial at ``max_t``, from the curves of all trials by ``curves.Ladder``.

        Before three trials have come to the end the level of all is an extrapolation, and the places are more
        reliable than the values. What the policy itself predicted, if it did, stands in ``decisions``.

        Args:
            trial: a trial of Tune, or its id.

        Raises:
            ValueError: an unknown trial.
        """
        key = trial if isinstance(trial, str) else self._key(trial)
        if key not in self.curves:
            raise ValueError(f"trial {key!r} is none of the {len(self.curves)} that the scheduler knows")
        if self._forecast[0] != self._results:
            self._forecast = (self._results, final_forecasts(self.curves, self._driver.limits, self._measure))
        return self._forecast[1].get(key, FinalForecast(math.nan, math.nan, 0, len(self._forecast[1])))

    def rows(self) -> list[dict[str, Any]]:
        """One row a trial, for a frame beside that of Tune's results.

        Columns: ``trial_id``, ``state``, ``trained`` (last time), ``last`` (value there), ``predicted`` at ``max_t``,
        ``predicted_sd``, ``place`` in the order of all, ``reason`` of the last decision.

        Example:
            ``frame = results.get_dataframe().merge(pandas.DataFrame(scheduler.rows()), on="trial_id")``
        """
        return [
            {
                "trial_id": key,
                "state": curve.state,
                "trained": self._ticks.time(curve.last_epoch),
                "last": self._measure.show(curve.values[-1]) if curve.values else math.nan,
                "predicted": (forecast := self.forecast(key)).mean,
                "predicted_sd": forecast.sd,
                "place": forecast.place,
                "reason": self.decisions[key].reason if key in self.decisions else "",
            }
            for key, curve in self.curves.items()
        ]

    def load_curves(self, curves: Iterable[Curve]) -> None:
        """Takes over curves of an earlier part of the run; one that is known already is replaced.

        Raises:
            ValueError: a curve of an unknown trial.
        """
        curves = list(curves)
        for value in (value for curve in curves for value in curve.values):
            self._measure.see(value)
        self._set_kind()
        self._driver.load(curves)
        self._results += 1

    def set_slots(self, slots: int) -> None:
        """Sets how many trials can run at once from now on: nodes come and go."""
        self._slots = slots
        self._driver.limits = replace(self._driver.limits, slots=slots)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Takes metric and mode of ``tune.TuneConfig``; False, upon which Tune complains, if they were given here."""
        if (metric and self._metric) or (mode and self._measure.mode):
            return False
        self._metric = metric or self._metric
        if mode:
            self._measure.set_mode(mode)
        if self._metric is None and self._measure.mode is not None:
            self._metric = DEFAULT_METRIC  # a function that returns a number
        return True

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Takes in a new or restored trial; one that is added again after the loss of its worker just continues.

        Raises:
            ValueError: metric or mode is missing; a key that is unknown, or that of another trial.
        """
        if not self._metric or self._measure.mode is None:
            raise ValueError(
                f"metric and mode must be given, to {type(self).__name__} or to tune.TuneConfig, got "
                f"metric={self._metric!r} and mode={self._measure.mode!r}"
            )
        key = self._key(trial)
        if self._all_known and key not in self.curves:
            raise ValueError(f"config['trial'] must be one of the {len(self.curves)} trials given, got {key!r}")
        known = self._trials.setdefault(key, trial)
        if known.trial_id != trial.trial_id:
            raise ValueError(
                f"config['trial'] must be unique, got {key!r} for trials {known.trial_id} and {trial.trial_id}"
            )
        if key in self._lost:
            self._lost.discard(key)
            return
        self._driver.add(key)
        self._set_kind()
        if not self._all_known and not self.curves[key].epochs:
            found = restored_curve(key, trial, self._time_attr, str(self._metric), self._ticks, self._measure)
            if found is not None:
                self.load_curves([found])
        in_turn = not isinstance(getattr(tune_controller, "search_alg", None), SearchGenerator)
        if trial.status == Trial.PENDING and (in_turn or self.curves[key].epochs):
            trial.init_local_path()  # Tune's results want one of every trial, started or not
            trial.set_status(Trial.PAUSED)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Extends the curve and returns Tune's word for what the trial does now.

        Raises:
            ValueError: the result lacks the time or the metric, or they are no numbers; with ``refuse``, a trainable
                without checkpoints.
        """
        key = self._key(trial)
        missing = [name for name in (self._time_attr, str(self._metric)) if name not in result]
        if missing == [self._metric] and any(curve.epochs for curve in self.curves.values()):
            return str(TrialScheduler.CONTINUE)  # validated less often than it reports
        if missing:
            raise ValueError(
                f"result of trial {key!r} must hold {self._time_attr} and {self._metric}, lacks {', '.join(missing)}; "
                f"it has {', '.join(sorted(result)) or 'nothing'}"
            )
        begins = not self.curves[key].epochs
        wanted = self.curves[key].state != "new" or self._admit(key)
        until = self.curves[key].until
        action = self._report(key, result)
        if not wanted and not self.curves[key].is_over:
            self._driver.stop(key, "the policy starts no further trial")
            action = "stop"
        elif begins and not self.curves[key].is_over and until < self._ticks.count:
            self._check_checkpoints(key, trial, result)
        if action == "pause" and not keeps_checkpoints(trial, result):
            action = "continue" if self._admit(key) else "stop"
            if action == "stop":
                self._driver.stop(key, f"no checkpoint to pause with; {self.decisions[key].reason}")
        return str(_ACTIONS[action])

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Takes in the last result, which Tune does not pass to ``on_trial_result`` when the result has ``done``."""
        key = self._key(trial)
        if self.curves[key].is_over:
            return
        if self._time_attr in result and self._metric in result:
            self._report(key, result)
        failed = not self.curves[key].values
        self._driver.end(key, failed=failed, reason="ended without a result" if failed else "ended by itself")

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """A trial is stopped while it waits: its curve already has the final state."""

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keeps the curve: Tune adds the trial again at once, or gives it up."""
        self._lost.add(self._key(trial))

    def choose_trial_to_run(self, tune_controller: Any) -> Any | None:
        """Return the trial to start or resume, if any; stop waiting trials that will not run any more."""
        for key in sorted(self._lost):
            self._driver.end(key, failed=True, reason="its worker was lost too often")
        self._lost.clear()
        self._look_around(tune_controller)
        fresh, busy = None, False
        for key, trial in self._trials.items():
            if trial.status == Trial.PENDING:
                if self.curves[key].state != "new":
                    return trial
                fresh, busy = fresh or trial, True
            elif trial.status == Trial.RUNNING:
                busy = True
                if self.curves[key].state == "new":
                    self._admit(key)
        chosen = self._choose()
        if chosen is None and not busy:
            self._make_room(tune_controller)
        if fresh is not None:
            decision = self.decisions.get(self._key(fresh))
            if decision is not None and decision.action != "continue":
                self._end_search(tune_controller, decision.reason)
                tune_controller.stop_trial(fresh)
                fresh = None
        self._stop_waiting(tune_controller)
        return chosen or fresh

    def debug_string(self) -> str:
        """Return the policy's name, how many trials are in which state, and the policy's reason."""
        counts = Counter(curve.state for curve in self.curves.values())
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        return f"{type(self._driver.policy).__name__}: {states}; {self.latest.reason}"

    def _key(self, trial: Any) -> str:
        return str(trial.config["trial"] if self._all_known and "trial" in trial.config else trial.trial_id)

    def _choose(self) -> Any | None:
        """The trial that was chosen, until it runs; then the next one, if a slot is free."""
        if self._chosen and self._offered and self._trials[self._chosen].status != Trial.PAUSED:
            self._chosen = ""
        while not self._chosen and self._driver.running < self._driver.limits.slots:
            step = self._driver.choose()
            if step is None:
                return None
            if step.trial in self._trials and self._trials[step.trial].is_finished():
                self._driver.end(step.trial, failed=True, reason="Tune has ended it")
                continue
            self._steps[step.trial], self._chosen, self._offered = step, step.trial, False
        trial = self._trials.get(self._chosen)
        if trial is None or trial.status not in (Trial.PAUSED, Trial.PENDING):
            return None  # its checkpoint is still being written, or it is not submitted yet
        self._offered = True
        return trial

    def _admit(self, key: str) -> bool:
        """Whether the policy lets a trial run on that Tune has started, or that cannot be paused."""
        step = self._driver.admit(key)
        if step is not None:
            self._steps[key] = step
        return step is not None

    def _report(self, key: str, result: Mapping[str, Any]) -> str:
        if key == self._chosen and self._offered:
            self._chosen = ""
        self._results += 1
        metric = str(self._metric)
        value = self._measure.read(metric, number(metric, result[metric]))
        self._set_kind()
        loss = result.get(self._train_loss) if self._train_loss else None
        training = math.nan if loss is None else number(str(self._train_loss), loss)
        step = self._ticks.of_time(number(self._time_attr, result[self._time_attr]))
        until = self.curves[key].until
        if self.curves[key].last_epoch < until < step:
            step = until  # policies compare trials where they were sent, and this is the first result from there on
        return self._driver.report(key, step, value, training)

    def _set_kind(self) -> None:
        limits = self._driver.limits
        if limits.metric != self._measure.kind:
            self._driver.limits = replace(limits, metric=self._measure.kind)

    def _look_around(self, tune_controller: Any) -> None:
        """Takes in how many trials are still to come, and how many fit into the cluster."""
        if not self._all_known:
            search = getattr(tune_controller, "search_alg", None)
            self._driver.expect(trials_to_come(search, len(self.curves), self._num_trials))
        if self._slots is None and self._trials and time.monotonic() - self._resources_read > _RESOURCES_SECONDS:
            self._resources_read = time.monotonic()
            slots = trials_that_fit(next(iter(self._trials.values())))
            self._driver.limits = replace(self._driver.limits, slots=slots or len(self._trials))

    def _make_room(self, tune_controller: Any) -> None:
        """No trial runs or is about to. Ends what keeps it so."""
        for key, trial in self._trials.items():
            if trial.is_finished() and self.curves[key].state == "running":
                self._driver.end(key, failed=True, reason="Tune has ended it")
        if not self._driver.wants_new:
            return
        waiting = [key for key, trial in self._trials.items() if trial.status == Trial.PAUSED]
        if not waiting:
            return
        worst = self._driver.worst(waiting)
        why = "the next trial cannot start while paused ones fill max_concurrent_trials"
        self._say(
            "room",
            f"{why}: the worst of them end. Leave max_concurrent_trials out to keep them; the resources of the "
            "cluster bound what runs",
        )
        self._driver.stop(worst, why)
        tune_controller.stop_trial(self._trials[worst])

    def _end_search(self, tune_controller: Any, reason: str) -> None:
        search = getattr(tune_controller, "search_alg", None)
        if search is not None and not search.is_finished():
            if trials_to_come(search, len(self.curves), self._num_trials):
                self._say("end", f"no further trial is started: {reason}")
            search.set_finished()

    def _stop_waiting(self, tune_controller: Any) -> None:
        done = self.done
        if done and not self._all_known:
            self._end_search(tune_controller, self.latest.reason)
        for key, trial in self._trials.items():
            if trial.status == Trial.PAUSED and (done or self.curves[key].is_over):
                tune_controller.stop_trial(trial)

    def _check_checkpoints(self, key: str, trial: Any, result: Mapping[str, Any]) -> None:
        """Says or refuses at the first result that a trial cannot be paused as the policy means to."""
        if keeps_checkpoints(trial, result):
            return
        problem = (
            f"trial {key} keeps no checkpoint with its first result, and {type(self._driver.policy).__name__} pauses "
            "trials"
        )
        way_out = "report a checkpoint with every result, or take a policy that never pauses, such as penguin"
        if self._refuses:
            raise ValueError(f"{problem}; {way_out}")
        self._say("checkpoints", f"{problem}: those without a checkpoint are stopped instead; {way_out}")

    def _say(self, subject: str, message: str) -> None:
        """Logs a message, the first on its subject."""
        if subject not in self._said:
            self._said.add(subject)
            _log.warning("%s: %s", type(self).__name__, message)
