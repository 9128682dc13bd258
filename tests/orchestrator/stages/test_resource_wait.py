"""Trials that wait for Ray: what is said of them, and when; with what Ray would say made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taurank.orchestrator.session.state import Waiting
from taurank.orchestrator.stages.resource_wait import ResourceWait


class Ray:
    """A cluster of two cores and a GPU, on which nothing is free."""

    now = 1000.0
    asked = 0

    def __init__(self) -> None:
        self.rooms: dict[str, Mapping[str, Any]] = {
            "of the stage before": {"state": "CREATED", "bundles": {0: {"CPU": 2.0, "GPU": 0.5}}}
        }

    def free(self) -> Mapping[str, float]:
        self.asked += 1
        return {"CPU": 0.0, "memory": 5.0}

    def wait(self) -> ResourceWait:
        return ResourceWait(
            {"cpu": 2.0, "gpu": 0.5},
            clock=lambda: self.now,
            free=self.free,
            total=lambda: {"CPU": 2.0, "GPU": 1.0, "memory": 9.0},
            rooms=lambda: self.rooms,
        )


def test_what_is_waited_for_after_some_seconds() -> None:
    ray = Ray()
    wait = ray.wait()
    assert wait.look(running=0, ready=3) is None
    ray.now += 4.9
    assert wait.look(running=0, ready=3) is None
    ray.now += 0.1
    assert wait.look(running=0, ready=3) == Waiting(
        since=1000.0,
        starting=False,
        asked={"CPU": 2.0, "GPU": 0.5},
        free={"CPU": 0.0, "GPU": 0.0},
        total={"CPU": 2.0, "GPU": 1.0},
    )


def test_ray_is_asked_every_few_seconds_only() -> None:
    ray = Ray()
    wait = ray.wait()
    for _ in range(101):
        wait.look(running=0, ready=1)
        ray.now += 0.1
    assert ray.asked == 2


def test_a_place_that_was_given_means_that_a_worker_starts() -> None:
    ray = Ray()
    wait = ray.wait()
    ray.rooms["of others"] = {"state": "CREATED", "bundles": {0: {"CPU": 1.0}}}
    ray.rooms["ours"] = {"state": "PENDING", "bundles": {0: {"CPU": 2.0, "GPU": 0.5}}}
    found = []
    for state in ("PENDING", "CREATED"):
        ray.rooms["ours"] = {**ray.rooms["ours"], "state": state}
        wait.look(running=0, ready=1)
        ray.now += 5
        found.append(wait.look(running=0, ready=1))
    assert [one.starting for one in found if one is not None] == [False, True]


def test_nobody_waits_while_one_runs_or_none_is_ready() -> None:
    ray = Ray()
    wait = ray.wait()
    for running, ready in ((1, 3), (0, 0), (1, 0)):
        wait.look(running=0, ready=1)
        ray.now += 60
        assert wait.look(running=running, ready=ready) is None
    wait.look(running=0, ready=1)
    ray.now += 5
    waiting = wait.look(running=0, ready=1)
    assert waiting is not None
    assert waiting.since == ray.now - 5  # from the last time on that something ran
