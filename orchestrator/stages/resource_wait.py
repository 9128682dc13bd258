"""Detects that all trials of a stage wait for resources: which ones they request, and which are free."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.util import placement_group_table

from taurank.orchestrator.session import Waiting

LOOK_SECONDS = 5.0
"""Interval of queries to Ray."""


class ResourceWait:
    """Detects that trials wait for resources while none runs.

    Args:
        asked: resources of a trial, by Ray Tune's names.
        clock: returns Unix seconds.
        free: returns free resources, by Ray's names.
        total: returns all resources, by Ray's names.
        rooms: returns the placement groups; see ``ray.util.placement_group_table``.
    """

    def __init__(
        self,
        asked: Mapping[str, float],
        *,
        clock: Callable[[], float] = time.time,
        free: Callable[[], Mapping[str, float]] = ray.available_resources,
        total: Callable[[], Mapping[str, float]] = ray.cluster_resources,
        rooms: Callable[[], Mapping[str, Mapping[str, Any]]] = placement_group_table,
    ) -> None:
        self._asked = {name.upper(): amount for name, amount in asked.items()}
        self._clock, self._free, self._total, self._rooms = clock, free, total, rooms
        self._others = set(rooms())
        self._since: float | None = None
        self._looked = 0.0
        self._found: Waiting | None = None

    def look(self, *, running: int, ready: int) -> Waiting | None:
        """The resources that ``ready`` submitted trials wait for; None while a trial runs or none is ready."""
        now = self._clock()
        if running or not ready:
            self._since = self._found = None
            return None
        if self._since is None:
            self._since = self._looked = now
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            free, total = self._free(), self._total()
            self._found = Waiting(
                since=self._since,
                starting=self._is_starting(),
                asked=self._asked,
                free={name: float(free.get(name, 0.0)) for name in self._asked},
                total={name: float(total.get(name, 0.0)) for name in self._asked},
            )
        return self._found

    def _is_starting(self) -> bool:
        """Whether a placement group of this size was created since the stage began: its worker is starting."""
        return any(
            room["state"] == "CREATED" and list(room["bundles"].values()) == [self._asked]
            for name, room in self._rooms().items()
            if name not in self._others
        )
