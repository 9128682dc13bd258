"""The draws of a replay, one after another or in parallel processes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from typing import Any, TypeVar

from orchestrator.replay.bench import Bench
from orchestrator.replay.draw import replay_draw
from orchestrator.replay.errors import ReplayError
from orchestrator.replay.launching import ray_launcher
from orchestrator.replay.measures import Row
from orchestrator.replay.plan import ReplayPlan

Result = TypeVar("Result")
_process: dict[str, Callable[[int], Any]] = {}
"""What a worker process does with a draw; sent to it once, since a table is large."""


def replay_draws(
    bench: Bench, plan: ReplayPlan, draws: int, *, jobs: int = 1, through_ray: bool = False
) -> Iterator[Row]:
    """The results of draws 0, 1, ... in this order, each as soon as it and those before are there.

    Args:
        bench: what is recorded.
        plan: what every draw does.
        draws: how many.
        jobs: processes; what comes out does not depend on it.
        through_ray: run trainings as trials of Ray Tune instead of on the simulated clock; one draw at a time.

    Raises:
        ReplayError: jobs and Ray at once, or a process that was killed.
    """
    if through_ray:
        if jobs > 1:
            raise ReplayError("--ray runs one draw at a time; leave out --jobs")
        with ray_launcher(bench, plan.workers) as launcher:
            for draw in range(draws):
                yield replay_draw(bench, plan, draw, launcher)
    else:
        yield from each_draw(partial(replay_draw, bench, plan), draws, jobs=jobs)


def each_draw(replay: Callable[[int], Result], draws: int, *, jobs: int) -> Iterator[Result]:
    """What ``replay`` makes of draws 0, 1, ... in this order, each as soon as it and those before are there.

    Raises:
        ReplayError: a process was killed.
    """
    if jobs == 1 or draws == 1:
        yield from map(replay, range(draws))
        return
    # Not forked: the threads of BLAS do not survive it.
    with ProcessPoolExecutor(min(jobs, draws), get_context("spawn"), _receive, (replay,)) as pool:
        try:
            yield from pool.map(_replay, range(draws))
        except BrokenProcessPool:
            raise ReplayError("a process of --jobs was killed, perhaps for lack of memory; use fewer") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _receive(replay: Callable[[int], Any]) -> None:
    # Ctrl-C goes to all processes of a terminal; these have nothing to say about it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _process["replay"] = replay


def _replay(draw: int) -> Any:
    return _process["replay"](draw)
