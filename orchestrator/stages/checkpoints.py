"""Bounds what the states of trainings take on disk, over all stages of a run together."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from taurank.trainables.trials import PARTIAL, drop_state


class CheckpointStore:
    """The files in which the trainings of a run keep their states, which they need to go on.

    Who needs a state is known elsewhere and said with each call; here is known what each takes.

    Args:
        folder: that all of them are in.
        most_bytes: that they may take together.
        needed: files that stay whatever they take: those of supernets, whose weights other stages start from.
    """

    def __init__(self, folder: Path, most_bytes: float = math.inf, needed: Collection[Path] = ()) -> None:
        self._folder, self._most_bytes, self._needed = folder, most_bytes, frozenset(needed)
        self._sizes: dict[Path, int] = {}
        self._bare: set[Path] = set()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """What all files take."""
        return self._bytes

    @property
    def is_full(self) -> bool:
        """Whether that is more than they may."""
        return self._bytes > self._most_bytes

    def tidy(self) -> None:
        """Looks what is there, and removes what dead workers left half written. For when no trial runs."""
        self._sizes, self._bytes = {}, 0
        self._bare.clear()
        for entry in os.scandir(self._folder) if self._folder.is_dir() else ():
            if entry.name.endswith(PARTIAL):
                Path(entry.path).unlink(missing_ok=True)
            else:
                self._measure(Path(entry.path))

    def written(self, file: Path) -> None:
        """A training has just replaced its file."""
        self._bare.discard(file)
        self._measure(file)

    def trim(self, stage: Mapping[str, Path], idle: Sequence[str]) -> list[str]:
        """Takes states out of files until the rest fits; returns whose of this stage: thawed, they start over.

        First those of other stages, which are settled, then the idle ones of this stage, in their order. A training
        that runs keeps its own.

        Args:
            stage: files of the trainings of the stage that runs, by trial.
            idle: trials of it that do not run; those that can best be spared first.
        """
        if not self.is_full:
            return []
        own = set(stage.values())
        others = sorted(self._sizes.keys() - own - self._needed)
        dropped = []
        for trial, file in [*(("", file) for file in others), *((trial, stage[trial]) for trial in idle)]:
            if not self.is_full:
                break
            if self._sizes.get(file) and file not in self._bare:
                drop_state(file)
                self._measure(file)
                self._bare.add(file)
                dropped += [trial] * bool(trial)
        return dropped

    def _measure(self, file: Path) -> None:
        try:
            size = file.stat().st_size
        except OSError:
            size = 0
        self._bytes += size - self._sizes.get(file, 0)
        self._sizes[file] = size
