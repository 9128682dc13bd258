"""Watches the workers of a stage: counts lost ones per trial and ends hanging ones."""

from __future__ import annotations

import re
import statistics
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.tune.experiment import Trial

from taurank.trainables.training import describe_lost_images

LOSSES = 3
"""Workers that a trial may lose between two results; with another loss it has failed."""
HANGS = 1
"""The same for workers that were ended because they were hanging."""
LEAST_PATIENCE = 600.0
"""Smallest derived hang limit in seconds."""
MEDIANS = 20.0
"""Hang limit as a multiple of the median duration of results."""
FIRST_PATIENCE = 86_400.0
"""Hang limit in seconds before the first result."""
LOOK_SECONDS = 5.0


class WorkerWatch:
    """Counts the workers that trials lose, and ends those that hang.

    A running trial hangs if it reports no result within the hang limit: 20 times the median duration of the results of
    the stage, and at least ten minutes.

    Args:
        patience: hang limit in seconds; None to derive it from earlier results.
        images: file with the images, if any.
        took: durations of earlier results of the stage in seconds.
        clock: returns seconds.
        end: ends a worker.
    """

    def __init__(
        self,
        *,
        patience: float | None = None,
        images: Path | None = None,
        took: list[float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        end: Callable[[Any], None] = ray.kill,
    ) -> None:
        self._patience, self._images, self._clock, self._end_worker = patience, images, clock, end
        self._took = list(took or ())
        self._heard: dict[str, float] = {}
        self._silent: dict[str, float] = {}
        self._losses: Counter[str] = Counter()
        self._hangs: Counter[str] = Counter()
        self._looked = clock()
        self.results = 0
        self.problem = ""

    @property
    def patience(self) -> float:
        """Hang limit in seconds."""
        if self._patience is not None:
            return self._patience
        return max(LEAST_PATIENCE, MEDIANS * statistics.median(self._took)) if self._took else FIRST_PATIENCE

    def started(self, key: str) -> None:
        """Notes that a worker has started a trial."""
        self._heard[key] = self._clock()
        self._silent.pop(key, None)

    def heard(self, key: str, *, new: bool, seconds: float) -> None:
        """Notes a result: whether it is ``new``, and its duration in ``seconds``."""
        self._heard[key] = self._clock()
        if new:
            self.results += 1
            self._took.append(seconds)
            self._losses[key] = self._hangs[key] = 0

    def lost(self, key: str, error: str) -> tuple[str, bool]:
        """Counts a lost worker; returns the reason, and whether the trial has lost too many."""
        silent = self._silent.pop(key, None)
        self._losses[key] += 1
        self._hangs[key] += silent is not None
        self.problem = self.problem or describe_lost_images(self._images)
        over = self._losses[key] > LOSSES or self._hangs[key] > HANGS
        return (describe_loss(error) if silent is None else f"hung: no result for {silent:.0f} s"), over

    def allow(self, trial: Trial) -> None:
        """Sets Tune's limit of failures such that it gives the trial up with the next loss that is too many."""
        key = trial.config["trial"]
        last_chance = self._losses[key] >= LOSSES or (key in self._silent and self._hangs[key] >= HANGS)
        trial.max_failures = trial.num_failures if last_chance else -1

    def look(self, trials: list[Trial]) -> bool:
        """Ends hanging workers, every few seconds; returns whether it has checked."""
        now = self._clock()
        since = now - self._looked
        if since < LOOK_SECONDS:
            return False
        self._looked = now
        if since > 2 * LOOK_SECONDS:  # the driver was suspended, not the workers
            self._heard = {key: heard + since for key, heard in self._heard.items()}
        for trial in trials:
            key = trial.config["trial"]
            silent = now - self._heard.get(key, now)
            actor = trial.temporary_state.ray_actor
            if trial.status == Trial.RUNNING and actor is not None and silent > self.patience:
                if key not in self._silent:
                    self._silent[key] = silent
                    self.allow(trial)
                self._end_worker(actor)
        return True


def describe_loss(error: str) -> str:
    """Why a worker was lost, in one line, from the error file of the trial."""
    last = re.split(r"^Failure # \d+ .*$", error, flags=re.MULTILINE)[-1].strip()
    if "running low on memory" in last:
        used = re.search(r"[\d.]+GB used / [\d.]+GB limit", last)
        return "out of memory: its worker was ended, the node was low on memory" + (f" ({used[0]})" if used else "")
    if "node" in last and "died" in last and "worker process has died" not in last:
        return "its node was lost"
    if "temporarily unavailable" in last:
        return "its worker cannot be reached"
    if "worker process has died" in last:
        return "its worker was killed or crashed (as the system does where memory runs out)"
    return last.splitlines()[-1].strip()[:300] if last else "its worker was lost"
