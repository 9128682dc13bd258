"""Watches the workers of a stage: which are lost, which hang, and when a trial has lost too many."""

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
"""Workers that a trial may lose from one result to the next; with another one it has failed."""
HANGS = 1
"""The same for workers that were ended because they hung."""
LEAST_PATIENCE = 600.0
"""Seconds that a trial may always take for a result."""
MEDIANS = 20.0
"""Medians of what results of the stage took that a trial may take for one."""
FIRST_PATIENCE = 86_400.0
"""The same in seconds where nothing is known yet."""
LOOK_SECONDS = 5.0


class WorkerWatch:
    """Keeps count of the workers that trials lose, and ends those that report nothing any more.

    A result is a sign of life; only trials that run are watched, so neither one that waits nor one that was just
    started. How long a trial may be silent follows from how long results of the stage took so far: 20 times their
    median, and at least ten minutes.

    Args:
        patience: seconds that a trial may be silent; None for what follows from the others.
        images: file that trials read their images from, if there is one.
        took: seconds that results took which the stage has from an earlier part of the run.
        clock: seconds.
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
        """Seconds that a trial may be silent."""
        if self._patience is not None:
            return self._patience
        return max(LEAST_PATIENCE, MEDIANS * statistics.median(self._took)) if self._took else FIRST_PATIENCE

    def started(self, key: str) -> None:
        """A worker has taken up a trial."""
        self._heard[key] = self._clock()
        self._silent.pop(key, None)

    def heard(self, key: str, *, new: bool, seconds: float) -> None:
        """A trial has reported; ``new`` says whether that was not known before, ``seconds`` what it took."""
        self._heard[key] = self._clock()
        if new:
            self.results += 1
            self._took.append(seconds)
            self._losses[key] = self._hangs[key] = 0

    def lost(self, key: str, error: str) -> tuple[str, bool]:
        """A trial has lost its worker: why, and whether it was one too many."""
        silent = self._silent.pop(key, None)
        self._losses[key] += 1
        self._hangs[key] += silent is not None
        self.problem = self.problem or describe_lost_images(self._images)
        over = self._losses[key] > LOSSES or self._hangs[key] > HANGS
        return (describe_loss(error) if silent is None else f"hung: no result for {silent:.0f} s"), over

    def allow(self, trial: Trial) -> None:
        """Tells Tune to give a trial up with the loss that is one too many, and no earlier."""
        key = trial.config["trial"]
        last_chance = self._losses[key] >= LOSSES or (key in self._silent and self._hangs[key] >= HANGS)
        trial.max_failures = trial.num_failures if last_chance else -1

    def look(self, trials: list[Trial]) -> bool:
        """Ends workers that hang, every few seconds; returns whether it was time to look."""
        now = self._clock()
        since = now - self._looked
        if since < LOOK_SECONDS:
            return False
        self._looked = now
        if since > 2 * LOOK_SECONDS:  # we were away, not they
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
    """Why a worker was lost, in one line, from what Tune has written of the losses of a trial."""
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
