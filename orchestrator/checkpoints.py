"""Bounds what the states of unfinished trainings take on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from schedulers.policies import Curve
from trainables.trials import TrialSpec


@dataclass(frozen=True)
class CheckpointStore:
    """The states of the trainings of a stage, which they need to go on.

    Attributes:
        specs: the trainings.
        most_bytes: that the states of those that do not run may take together.
    """

    specs: tuple[TrialSpec, ...]
    most_bytes: float

    def trim(self, curves: Mapping[str, Curve]) -> list[str]:
        """Deletes states until the rest fits; returns whose, for thawed they start over.

        First those of trainings that have ended, then of those that wait, each time of the one that has trained least:
        it is the cheapest to repeat. A running training keeps its own.

        Args:
            curves: of all trainings of the stage, by key.
        """
        sizes = {spec.trial: _size(Path(spec.checkpoint)) for spec in self.specs}
        idle = [curves[key] for key, size in sizes.items() if size and curves[key].state != "running"]
        left = sum(sizes[curve.trial] for curve in idle)
        paths = {spec.trial: Path(spec.checkpoint) for spec in self.specs}
        dropped = []
        for curve in _least_loss_first(idle):
            if left <= self.most_bytes:
                break
            paths[curve.trial].unlink(missing_ok=True)
            left -= sizes[curve.trial]
            dropped.append(curve.trial)
        return dropped


def _least_loss_first(curves: Iterable[Curve]) -> list[Curve]:
    return sorted(curves, key=lambda curve: (curve.waits, curve.last_epoch, curve.trial))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
