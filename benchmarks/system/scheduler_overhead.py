"""Time that a scheduler takes for one result of a trial, ours against Ray's ASHA, without Ray's processes.

A loop calls the hooks of the scheduler in the order in which Tune's controller does: all trials are added, the
scheduler is asked for a trial in every step, and eight running trials report in turn. Only the calls of the scheduler
are timed. Tune itself takes about one millisecond for a result. Synthetic curves of 27 epochs, one training each.

    python -m benchmarks.system.scheduler_overhead [--trials 8 200 1000] [--output FILE.csv]
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from ray.tune import Trainable
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, TrialScheduler

from taurank.schedulers import AshaScheduler, MedianScheduler, OrderSettlingScheduler, PenguinScheduler

EPOCHS, SLOTS = 27, 8
COLUMNS = ("scheduler", "trials", "results", "ms_per_result", "largest_ms", "seconds")

SCHEDULERS: dict[str, Callable[[int], TrialScheduler]] = {
    "ray's ASHA": lambda trials: AsyncHyperBandScheduler(
        metric="accuracy", mode="max", max_t=EPOCHS, reduction_factor=3
    ),
    "asha": lambda trials: AshaScheduler(metric="accuracy", mode="max", max_t=EPOCHS, slots=SLOTS),
    "order-settling": lambda trials: OrderSettlingScheduler(
        metric="accuracy", mode="max", max_t=EPOCHS, slots=SLOTS, budget=0.3 * EPOCHS * trials
    ),
    "median": lambda trials: MedianScheduler(metric="accuracy", mode="max", max_t=EPOCHS, slots=SLOTS),
    "penguin": lambda trials: PenguinScheduler(metric="accuracy", mode="max", max_t=EPOCHS, slots=SLOTS),
}


class Saved(Trainable):
    """A trainable that can be paused."""

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Saves nothing: no trial is run."""


class Stub:
    """What schedulers use of a trial of Tune."""

    def __init__(self, number: int) -> None:
        self.trial_id, self.status = f"trial-{number}", Trial.PENDING
        self.config: dict[str, Any] = {}
        self.last_result: dict[str, Any] = {}
        self.epoch = 0

    def init_local_path(self) -> None:
        """A trial without a folder."""

    def set_status(self, status: str) -> None:
        """Holds the trial."""
        self.status = status

    def is_finished(self) -> bool:
        """Whether it has ended."""
        return self.status in (Trial.TERMINATED, Trial.ERROR)

    def get_trainable_cls(self) -> type[Trainable]:
        """Its class."""
        return Saved


class Loop:
    """Runs trials under a scheduler and times its calls."""

    def __init__(self, scheduler: TrialScheduler, trials: int) -> None:
        self.scheduler, self.trials = scheduler, [Stub(number) for number in range(trials)]
        rng = np.random.default_rng(0)
        gain, rate = rng.uniform(0.2, 0.6, (trials, 1)), rng.uniform(2, 8, (trials, 1))
        noise = rng.normal(0, 0.01, (trials, EPOCHS))
        self.values = np.clip(0.3 + gain * (1 - np.exp(-np.arange(1, EPOCHS + 1) / rate)) + noise, 0, 1)
        self.seconds: list[float] = []

    def get_trials(self) -> list[Stub]:
        """All trials."""
        return self.trials

    def stop_trial(self, trial: Stub) -> None:
        """Ends a trial."""
        running = trial.status == Trial.RUNNING
        trial.status = Trial.TERMINATED
        if running:
            self.scheduler.on_trial_complete(self, trial, trial.last_result)

    def run(self) -> None:
        """Runs all trials to their ends."""
        before = time.perf_counter()
        for trial in self.trials:
            self.scheduler.on_trial_add(self, trial)
        carried = time.perf_counter() - before
        running: deque[Stub] = deque()
        while True:
            before = time.perf_counter()
            while len(running) < SLOTS:
                chosen = self.scheduler.choose_trial_to_run(self)
                if chosen is None:
                    break
                chosen.status = Trial.RUNNING
                running.append(chosen)
            if not running:
                return
            trial = running.popleft()
            value = float(self.values[self.trials.index(trial), trial.epoch])
            trial.epoch += 1
            trial.last_result = {"training_iteration": trial.epoch, "accuracy": value}
            answer = self.scheduler.on_trial_result(self, trial, dict(trial.last_result))
            if answer == TrialScheduler.PAUSE:
                trial.status = Trial.PAUSED
            elif answer == TrialScheduler.STOP or trial.epoch == EPOCHS:
                self.stop_trial(trial)
            else:
                running.append(trial)
            self.seconds.append(time.perf_counter() - before + carried)
            carried = 0.0


def measure(name: str, trials: int) -> dict[str, Any]:
    """One row of the table."""
    loop = Loop(SCHEDULERS[name](trials), trials)
    loop.run()
    taken = np.array(loop.seconds)
    return {
        "scheduler": name,
        "trials": trials,
        "results": len(taken),
        "ms_per_result": round(1e3 * float(taken.mean()), 3),
        "largest_ms": round(1e3 * float(taken.max()), 1),
        "seconds": round(float(taken.sum()), 2),
    }


def main() -> None:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[8, 200, 1000])
    parser.add_argument("--schedulers", nargs="+", default=list(SCHEDULERS), choices=list(SCHEDULERS))
    parser.add_argument("--output")
    options = parser.parse_args()
    measure("order-settling", 8)  # imports
    rows = []
    for trials in options.trials:
        for name in options.schedulers:
            rows.append(measure(name, trials))
            print(rows[-1], file=sys.stderr, flush=True)
    with open(options.output, "w", newline="") if options.output else sys.stdout as stream:
        table = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    main()
