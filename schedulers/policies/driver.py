"""Keeps the curves of a set of trials and asks the policy when there is something to decide.

Ray Tune, the simulated clock and the benchmarks all drive policies through here, so they take the same decisions.
"""

from __future__ import annotations

import logging
import math
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from taurank.schedulers.policies.policy import (
    NOT_SUBMITTED,
    Action,
    Curve,
    Decision,
    Decisions,
    Limits,
    Policy,
    Step,
)
from taurank.schedulers.policies.standing import score_at

_log = logging.getLogger(__name__)


class Driver:
    """The state of a set of trials under one policy; the state is the curves.

    A trial is sent to an epoch by ``choose`` and paused there. The policy is asked when none of
    its last steps is left, and after every epoch if it decides on running trials. Its steps are cut to what the budget
    allows. A value that is not finite fails its trial whatever the policy decides. A trial whose worker is lost keeps
    running here: the caller starts it again, and epochs that are reported again change nothing.

    Trials may be added later. The policy sees those that are still to come as new ones without a submission
    (``expect``), so that it neither spends the budget on the first alone nor finishes before the last has come.

    Args:
        policy: the policy.
        limits: what it has to keep to.
        trials: names of all trials, in the order of submission, with the features of their architectures.
    """

    def __init__(self, policy: Policy, limits: Limits, trials: Mapping[str, tuple[float, ...]]) -> None:
        self.policy, self.limits = policy, limits
        self._curves = {trial: Curve(trial, features=features) for trial, features in trials.items()}
        self._decisions: dict[str, Decision] = {}
        self._latest = Decisions({})
        self._queue: deque[Step] = deque()
        self._dirty = True
        self._expected = 0
        self._used = 0  # epochs of all curves: adding them up for every step would be quadratic

    @property
    def curves(self) -> Mapping[str, Curve]:
        """Every curve so far, by trial."""
        return MappingProxyType(self._curves)

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """The latest decision on every trial; that of an ended trial no longer changes."""
        return MappingProxyType(self._decisions)

    @property
    def latest(self) -> Decisions:
        """The latest decisions of the policy."""
        return self._latest

    @property
    def done(self) -> bool:
        """Whether no trial runs and none will be started."""
        return not self.running and not self._dirty and not self._queue and not self.wants_new

    @property
    def running(self) -> int:
        """How many trials run."""
        return sum(curve.state == "running" for curve in self._curves.values())

    @property
    def wants_new(self) -> bool:
        """Whether the policy waits for trials that are still to come."""
        return self._latest.phase == "running" and any(step.trial not in self._curves for step in self._latest.next)

    def add(self, trial: str, features: tuple[float, ...] = ()) -> None:
        """Adds a trial; one that is known already stays as it is."""
        if trial not in self._curves:
            self._curves[trial] = Curve(trial, features=features)
            self._expected = max(0, self._expected - 1)
            self._dirty = True

    def expect(self, trials: int) -> None:
        """Sets how many trials are still to come."""
        if trials != self._expected:
            self._expected, self._dirty = trials, True

    def load(self, curves: Iterable[Curve]) -> None:
        """Takes over curves of an earlier part of the run.

        Running trials wait, as paused or new; those that reached the end of the schedule have finished.

        Raises:
            ValueError: a curve of an unknown trial.
        """
        for curve in curves:
            known = self._known(curve.trial)
            state = curve.state
            if not curve.is_over:
                state = "paused" if curve.epochs else "new"
                if curve.values and not math.isfinite(curve.values[-1]):
                    state = "failed"
                elif curve.last_epoch >= self.limits.schedule_epochs:
                    state = "finished"
            self._keep(replace(curve, features=known.features, state=state, until=0))
        self._queue.clear()
        self._dirty = True

    def choose(self) -> Step | None:
        """The trial to start or resume now, which counts as running from here on; None for none.

        None while others run means to ask again at the next report; else that the policy is done.
        """
        while self._queue or self._dirty:
            if not self._queue:
                self._ask()
            while self._queue:
                step = self._queue.popleft()
                curve = self._curves[step.trial]
                until = self._affordable(curve, step.until) if curve.waits else 0
                if until > curve.last_epoch:
                    self._keep(replace(curve, state="running", until=until))
                    return replace(step, until=until)
        self._conclude()
        return None

    def admit(self, trial: str) -> Step | None:
        """Sends on a trial that cannot wait for its turn, as far as the policy would; None if it would not.

        For one that was started by others, and for one that cannot be paused.
        """
        curve = self._known(trial)
        everywhere = replace(self.limits, slots=max(self.limits.slots, len(self._curves)))
        self._latest = latest = self._decide(everywhere)
        step = next((step for step in latest.next if step.trial == trial), None)
        until = self._affordable(curve, step.until) if step is not None else 0
        if step is None or until <= curve.last_epoch:
            return None
        self._keep(replace(curve, state="running", until=until))
        self._decisions[trial] = latest.trials[trial]
        self._dirty = True
        return replace(step, until=until)

    def report(self, trial: str, epoch: int, value: float, training: float = math.nan) -> Action:
        """Extends the curve and returns the action of the trial; an epoch seen before changes nothing.

        Raises:
            ValueError: an unknown trial.
        """
        curve = self._known(trial)
        if epoch <= curve.last_epoch:
            return "continue" if curve.state == "running" and curve.last_epoch < curve.until else self._resting(curve)
        losses = curve.training or (math.nan,) * len(curve.epochs)
        curve = replace(
            curve,
            epochs=(*curve.epochs, epoch),
            values=(*curve.values, value),
            training=(*losses, training) if curve.training or not math.isnan(training) else (),
            state="running",
        )
        self._keep(curve)
        self._dirty = True
        if not math.isfinite(value):
            return self._end(trial, "failed", Decision("stop", f"not finite at epoch {epoch}"))
        if epoch >= self.limits.schedule_epochs:
            return self._end(trial, "finished", Decision("stop", "end of schedule", value, 0.0))
        if self.policy.judges_running:
            self._ask()
            if self._decisions[trial].action == "stop":
                return self._end(trial, "stopped", self._decisions[trial])
        if epoch >= curve.until:
            self._keep(replace(curve, state="paused", until=0))
            if not self.policy.judges_running or self._decisions[trial].action != "pause":
                # What the policy makes of it comes when it is asked again.
                saved = float(self.limits.schedule_epochs - epoch)
                self._decisions[trial] = Decision("pause", f"came to epoch {epoch}", saved_epochs=saved)
            return "pause"
        return "continue"

    def worst(self, trials: Sequence[str]) -> str:
        """That of the waiting trials which was worst when all of them stood abreast; one that has not begun is."""
        epoch = min(self._curves[trial].last_epoch for trial in trials)
        return min(reversed(trials), key=lambda trial: score_at(self._curves[trial], epoch, self.limits))

    def stop(self, trial: str, reason: str) -> None:
        """Stops a trial whatever the policy decides."""
        if not self._known(trial).is_over:
            self._end(trial, "stopped", Decision("stop", reason))

    def end(self, trial: str, *, failed: bool, reason: str) -> None:
        """The trial has ended by itself, after its schedule or by a failure."""
        if not self._known(trial).is_over:
            last = self._curves[trial].values[-1] if not failed and self._curves[trial].values else math.nan
            self._end(trial, "failed" if failed else "finished", Decision("stop", reason, last))

    def _keep(self, curve: Curve) -> None:
        self._used += curve.target_epoch - self._curves[curve.trial].target_epoch
        self._curves[curve.trial] = curve

    def _known(self, trial: str) -> Curve:
        if trial not in self._curves:
            raise ValueError(f"trial {trial!r} is none of the {len(self._curves)} that the driver was made with")
        return self._curves[trial]

    def _resting(self, curve: Curve) -> Action:
        return "stop" if curve.is_over else "pause"

    def _end(self, trial: str, state: str, decision: Decision) -> Action:
        curve = self._curves[trial]
        saved = float(self.limits.schedule_epochs - curve.last_epoch)
        self._keep(replace(curve, state=state, until=0))  # type: ignore[arg-type]
        self._decisions[trial] = replace(decision, saved_epochs=saved)
        self._dirty = True
        return "stop"

    def _decide(self, limits: Limits) -> Decisions:
        names = (f"{NOT_SUBMITTED}{number}" for number in range(self._expected))
        to_come = {name: Curve(name) for name in names}
        return self.policy.decide(MappingProxyType(self._curves | to_come) if to_come else self.curves, limits)

    def _ask(self) -> None:
        latest = self._decide(self.limits)
        self._latest, self._dirty = latest, False
        for trial, curve in self._curves.items():
            if trial not in latest.trials:
                raise ValueError(f"{type(self.policy).__name__} must decide on every trial, left out {trial!r}")
            decision = latest.trials[trial]
            if curve.is_over:
                self._decisions.setdefault(trial, decision)
                continue
            if decision.action == "stop" and curve.waits:
                self._keep(replace(curve, state="stopped"))
                decision = replace(decision, saved_epochs=float(self.limits.schedule_epochs - curve.last_epoch))
            self._decisions[trial] = decision
        self._queue = deque(step for step in latest.next if step.trial in self._curves)

    def _affordable(self, curve: Curve, until: int) -> int:
        """The last point up to ``until`` that the budget allows; 0 for none."""
        left = self.limits.budget_epochs - self._used
        most = min(float(until), curve.last_epoch + left + 1e-9)
        points = self.limits.points or range(1, self.limits.schedule_epochs + 1)
        place = bisect_right(points, most)
        return points[place - 1] if place else 0

    def _conclude(self) -> None:
        """Ends it if the policy would continue but cannot: the budget forbids its steps, or it has none."""
        waiting = sum(curve.waits for curve in self._curves.values())
        if not waiting or self.running or self._latest.phase == "done" or self.wants_new:
            return
        reason = self._latest.reason
        if self._latest.next:
            reason = f"the budget of {self.limits.budget_epochs:g} epochs allows no more"
        else:
            name = type(self.policy).__name__
            _log.warning("%s lets none of %d waiting trials run: %s", name, waiting, reason)
        self._latest = replace(self._latest, phase="done", reason=reason)
