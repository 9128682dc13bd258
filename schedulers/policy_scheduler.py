"""Drives a policy under Ray Tune.

Trials report ``epoch`` (counted from 1, the number of epochs trained), ``validation_accuracy`` in [0, 1], higher is
better, and where they have it ``train_loss`` in nats. Time is that ``epoch`` and never Tune's ``training_iteration``,
which starts again when a trial does.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from taurank.schedulers.policies import Curve, Decision, Decisions, Driver, Limits, Policy, Step

METRIC = "validation_accuracy"
TIME = "epoch"
LOSS = "train_loss"

_ACTIONS = {"continue": TrialScheduler.CONTINUE, "pause": TrialScheduler.PAUSE, "stop": TrialScheduler.STOP}


def trial_key(trial: Any) -> str:
    """Return the name under which a trial's curve is kept: its config's ``trial``, else Tune's id.

    The name outlives Tune's id, so a trial that is submitted again after a restart finds its curve.
    """
    return str(trial.config.get("trial", trial.trial_id))


class PolicyScheduler(TrialScheduler):  # type: ignore[misc]
    """Lets a ``Driver`` decide which trial starts or continues, how far, and which one ends.

    Every new trial is held as a paused one, so only those that are chosen ever start, in the order in which they are
    chosen. A trial is chosen when a slot is free, and the next one only once it has got its worker. Trials that are
    stopped while they wait end when Tune next asks for work; when the driver is done all that still wait do, so that
    Tune ends too. The state of each is in ``curves``: ``paused`` or ``new`` for those that may be resumed later.

    A trial that loses its worker keeps its place: Tune starts it again, and epochs that it reports once more change
    nothing. One that Tune gives up has failed.

    Tune hands a copy of the result to its scheduler, so a prediction cannot be added to the result here. It stands in
    ``decisions``, which at the time of a callback's ``on_trial_result`` already holds the decision on that result
    (except for a result with ``done``, of which schedulers hear only afterwards).

    Tune does not save schedulers. The whole state is the curves: read them from a log and give them to ``load_curves``
    before the first trial starts.

    Args:
        policy: the policy; it has to be picklable.
        limits: what it has to keep to.
        trials: keys of all trials (see ``trial_key``), in the order of submission, with the features of their
            architectures; trials that ended in an earlier part of the run are among them and not submitted again.
        curves: of an earlier part of the run.
    """

    _supports_buffered_results = False  # a buffered result would be decided upon too late

    def __init__(
        self, policy: Policy, limits: Limits, trials: Mapping[str, tuple[float, ...]], curves: Iterable[Curve] = ()
    ) -> None:
        super().__init__()
        self._metric = METRIC
        self._driver = Driver(policy, limits, trials)
        self._ids: dict[str, str] = {}
        self._steps: dict[str, Step] = {}
        self._chosen = ""
        self._offered = False
        self._lost: set[str] = set()
        self.load_curves(curves)

    @property
    def curves(self) -> Mapping[str, Curve]:
        """Every curve so far, by trial key."""
        return self._driver.curves

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """The latest decision on every trial, by trial key; that of an ended trial no longer changes."""
        return self._driver.decisions

    @property
    def steps(self) -> Mapping[str, Step]:
        """Where each trial was sent last, and why, by trial key."""
        return MappingProxyType(self._steps)

    @property
    def latest(self) -> Decisions:
        """The latest decisions of the policy."""
        return self._driver.latest

    @property
    def done(self) -> bool:
        """Whether no trial runs and none will be started."""
        return self._driver.done

    def load_curves(self, curves: Iterable[Curve]) -> None:
        """Take over curves of an earlier part of the run; one that is known already is replaced.

        Raises:
            ValueError: a curve of an unknown trial.
        """
        self._driver.load(curves)

    def set_slots(self, slots: int) -> None:
        """Take in how many trials can run at once from now on: nodes come and go."""
        self._driver.limits = replace(self._driver.limits, slots=slots)

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Hold a new trial; one that is added again after the loss of its worker just continues.

        Raises:
            ValueError: a trial that the scheduler was not made with, or another one with the same key.
        """
        key = trial_key(trial)
        if key not in self.curves:
            raise ValueError(f"config['trial'] must be one of the {len(self.curves)} trials given, got {key!r}")
        if self._ids.setdefault(key, trial.trial_id) != trial.trial_id:
            raise ValueError(
                f"config['trial'] must be unique, got {key!r} for trials {self._ids[key]} and {trial.trial_id}"
            )
        if key in self._lost:
            self._lost.discard(key)
        elif trial.status == Trial.PENDING:
            trial.init_local_path()  # Tune's results want one of every trial, started or not
            trial.set_status(Trial.PAUSED)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Extend the curve and return Tune's word for what the trial does now.

        Raises:
            ValueError: the result lacks ``epoch`` or ``validation_accuracy``.
        """
        missing = [name for name in (TIME, METRIC) if name not in result]
        if missing:
            raise ValueError(f"result of trial {trial_key(trial)!r} must hold {TIME} and {METRIC}, lacks {missing}")
        return str(_ACTIONS[self._report(trial_key(trial), result)])

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Take in the last result, which Tune does not pass to ``on_trial_result`` when the result has ``done``."""
        key = trial_key(trial)
        if TIME in result and METRIC in result:
            self._report(key, result)
        failed = not self.curves[key].values
        self._driver.end(key, failed=failed, reason="ended without a result" if failed else "ended by itself")

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """A trial is stopped while it waits: its curve already has the final state."""

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keep the curve: Tune adds the trial again at once, or gives it up."""
        self._lost.add(trial_key(trial))

    def choose_trial_to_run(self, tune_controller: Any) -> Any | None:
        """Return the trial to start or resume, if any; stop waiting trials that the policy has given up."""
        for key in sorted(self._lost):
            self._driver.end(key, failed=True, reason="its worker was lost too often")
        self._lost.clear()
        trials = {trial_key(trial): trial for trial in tune_controller.get_trials()}
        pending = next((trial for trial in trials.values() if trial.status == Trial.PENDING), None)
        if pending is not None:
            return pending
        chosen = self._choose(trials)
        done = self.done
        for key, trial in trials.items():
            if trial.status == Trial.PAUSED and (done or self.curves[key].is_over):
                tune_controller.stop_trial(trial)
        return chosen

    def debug_string(self) -> str:
        """Return the policy's name, how many trials are in which state, and the policy's reason."""
        counts = Counter(curve.state for curve in self.curves.values())
        states = ", ".join(f"{count} {state}" for state, count in counts.items())
        return f"{type(self._driver.policy).__name__}: {states}; {self.latest.reason}"

    def _choose(self, trials: Mapping[str, Any]) -> Any | None:
        """The trial that was chosen, until it runs; then the next one, if a slot is free."""
        if self._chosen and self._offered and trials[self._chosen].status != Trial.PAUSED:
            self._chosen = ""
        while not self._chosen and self._driver.running < self._driver.limits.slots:
            step = self._driver.choose()
            if step is None:
                return None
            if step.trial in trials and trials[step.trial].is_finished():
                self._driver.end(step.trial, failed=True, reason="Tune has ended it")
                continue
            self._steps[step.trial], self._chosen, self._offered = step, step.trial, False
        trial = trials.get(self._chosen)
        if trial is None or trial.status != Trial.PAUSED:
            return None  # its checkpoint is still being written, or it is not submitted yet
        self._offered = True
        return trial

    def _report(self, key: str, result: Mapping[str, Any]) -> str:
        if key == self._chosen and self._offered:
            self._chosen = ""
        loss = result.get(LOSS)
        return self._driver.report(
            key, int(result[TIME]), float(result[METRIC]), math.nan if loss is None else float(loss)
        )
