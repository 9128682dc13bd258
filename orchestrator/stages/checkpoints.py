"""Bounds the disk space of checkpoints over all stages of a run."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from taurank.trainables.trials import PARTIAL, drop_state


class CheckpointStore:
    """The checkpoint files of the trainings of a run, and their sizes.

    Args:
        folder: the folder of all files.
        most_bytes: upper bound of their total size.
        needed: files that are always kept: supernets, from whose weights other stages start.
    """

    def __init__(self, folder: Path, most_bytes: float = math.inf, needed: Collection[Path] = ()) -> None:
        self._folder, self._most_bytes, self._needed = folder, most_bytes, frozenset(needed)
        self._sizes: dict[Path, int] = {}
        self._bare: set[Path] = set()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Total size of all files."""
        return self._bytes

    @property
    def is_full(self) -> bool:
        """Whether the total size exceeds the bound."""
        return self._bytes > self._most_bytes

    def tidy(self) -> None:
        """Measures all files and removes partial ones of dead workers; only valid while no trial runs."""
        self._sizes, self._bytes = {}, 0
        self._bare.clear()
        for entry in os.scandir(self._folder) if self._folder.is_dir() else ():
            if entry.name.endswith(PARTIAL):
                Path(entry.path).unlink(missing_ok=True)
            else:
                self._measure(Path(entry.path))

    def written(self, file: Path) -> None:
        """Notes that a training has replaced its file."""
        self._bare.discard(file)
        self._measure(file)

    def trim(self, stage: Mapping[str, Path], idle: Sequence[str]) -> list[str]:
        """Drops states until the rest fits; returns the affected trials of this stage, which start over if resumed.

        States of other stages are dropped first, then idle ones of this stage. Running trainings keep theirs.

        Args:
            stage: files of the current stage, by trial.
            idle: trials of it that do not run, in the order in which to drop their states.
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
