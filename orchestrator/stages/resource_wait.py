"""Why no trial of a stage runs while some are ready to: what they ask of Ray, and what is free."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.util import placement_group_table

from taurank.orchestrator.session import Waiting

LOOK_SECONDS = 5.0
"""Ray is asked no more often."""


class ResourceWait:
    """Notices that trials wait for Ray while none runs.

    Args:
        asked: of each resource, by a trial, as Ray Tune names them.
        clock: Unix seconds.
        free: of each resource, as Ray names them.
        total: of each resource, as Ray names them.
        rooms: table of the places that trials are given; see ``ray.util.placement_group_table``.
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
        """What is waited for, by ``ready`` trials that were given to Ray; None while others run or nobody waits."""
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
        """Whether a place of this size was given since the stage began: Tune starts a worker in it."""
        return any(
            room["state"] == "CREATED" and list(room["bundles"].values()) == [self._asked]
            for name, room in self._rooms().items()
            if name not in self._others
        )
