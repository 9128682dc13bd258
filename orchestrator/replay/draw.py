"""One draw of a replay: draw candidates, replay their evidence, rank them, score the order."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from taurank.orchestrator.evidence import PROXIES, EvidenceLog
from taurank.orchestrator.experiment import TrainingSpec
from taurank.orchestrator.planning import LogRanker, Problem, Purse, book_pace, forecast, run_rounds, shipped_replays
from taurank.orchestrator.ranker import KNOWLEDGE, Ranking
from taurank.orchestrator.replay.bench import SIZES, Bench
from taurank.orchestrator.replay.cheap import book_cheap
from taurank.orchestrator.replay.launching import ClockLaunch, Launch, Launcher, check_simulated, ray_launcher
from taurank.orchestrator.replay.plan import ReplayPlan
from taurank.orchestrator.replay.reference import make_reference
from taurank.orchestrator.replay.summary import Row, agreement_columns, calibration_columns, last_accuracies, tau_of_all
from taurank.orchestrator.replay.truth import ReplayError
from taurank.orchestrator.tau import tau_b


def draw_candidates(bench: Bench, plan: ReplayPlan, draw: int) -> list[str]:
    """The candidates of a draw, without repeats, sorted."""
    generator = np.random.default_rng([plan.seed, draw])
    return sorted(str(code) for code in generator.choice(bench.pool, size=plan.candidates, replace=False))


def replay_draw(
    bench: Bench, plan: ReplayPlan, draw: int, launcher: Launcher | None = None, *, log: EvidenceLog | None = None
) -> Row:
    """Replays the evidence of one draw, ranks, and scores the order; docs/how-to/replay.md lists the columns.

    Args:
        bench: what is recorded.
        plan: the stages to replay.
        draw: number of the draw.
        launcher: how trainings are run; by default on the simulated clock.
        log: where the evidence goes; by default nowhere but memory.

    Raises:
        ReplayError: a scheduler that only Ray has, on the simulated clock.
    """
    if launcher is None:
        check_simulated(plan.trainings)
    candidates = draw_candidates(bench, plan, draw)
    log = log or EvidenceLog(Path(":memory:"))
    launch = launcher(log, draw) if launcher else ClockLaunch(bench, log, plan.workers)
    order, seconds = _rank(bench, plan, candidates, log, launch)
    evidence = log.evidence()
    log.close()

    truth = bench.truth.values.loc[candidates]
    ceiling = tau_b(bench.final.loc[candidates], truth)
    table = order.table.set_index("architecture")
    row: Row = {"draw": draw, "n": plan.candidates, "budget": plan.speed_up}
    row |= agreement_columns(-table.loc[candidates, "rank"].to_numpy(dtype=float), truth.to_numpy(), ceiling)
    for metric in SIZES:
        sizes = bench.sizes[metric] if metric in bench.sizes else pd.Series(dtype=float)
        row[f"tau_{metric}"] = tau_of_all(sizes, truth)
    for spec in plan.trainings:
        row[f"tau_{spec.stage}"] = tau_of_all(last_accuracies(evidence, spec.stage), truth)
    reference = make_reference(bench, plan.trainings, candidates)
    row["tau_reference"] = tau_b(reference.scores, truth) if reference else math.nan
    row["reference_cost"] = reference.cost if reference else math.nan
    row |= calibration_columns(order, truth) | {"predicted_tau": _predicted_tau(bench, plan)}
    if plan.knowledge:
        row["weight_knowledge"] = order.weights.get(KNOWLEDGE, 0.0)
    row |= _costs(bench, plan, evidence, launch)
    row["ranker_seconds"] = seconds
    return row


def _rank(
    bench: Bench, plan: ReplayPlan, candidates: Sequence[str], log: EvidenceLog, launch: Launch
) -> tuple[Ranking, float]:
    """The order that the evidence gives, and the seconds that choosing and ranking took."""
    problem = Problem(
        tuple(candidates),
        bench.encoding(candidates),
        bench.full_epochs,
        plan.seed,
        plan.options.for_candidates(foreign=bench.space is not None and bench.space.foreign),
        images=plan.images,
        classes=plan.classes,
        knowledge=plan.knowledge,
        knowledge_encoding=plan.knowledge_encoding,
    )
    book_cheap(bench, plan.cheap, log, candidates)
    launch.purse = _purse(bench, plan, candidates, log, launch)
    launching = 0.0

    def timed(spec: TrainingSpec, codes: Sequence[str]) -> None:
        nonlocal launching
        started = time.perf_counter()
        launch(spec, codes)
        launching += time.perf_counter() - started

    started = time.perf_counter()
    ranker = LogRanker(problem, log)
    run_rounds(
        ranker,
        list(plan.trainings),
        launch=timed,
        budget_epochs=plan.budget_epochs,
        adaptive=plan.adaptive,
        purse=launch.purse,
    )
    order = ranker.ranking(truth_seeds=len(bench.truth.seeds))
    return order, time.perf_counter() - started - launching


def _purse(bench: Bench, plan: ReplayPlan, candidates: Sequence[str], log: EvidenceLog, launch: Launch) -> Purse | None:
    """A budget in time, with the recorded seconds as measured beforehand; their measurement is not recorded."""
    if not plan.budget.is_time:
        return None
    pace = bench.pace(candidates, workers=plan.workers, device=plan.budget.device or "core")
    book_pace(log, pace)

    def wall_seconds() -> float:
        return launch.wall_seconds + log.spent_in(PROXIES)[0] / plan.workers

    return Purse(plan.budget, log, tuple(candidates), bench.full_epochs, wall_seconds)


def _predicted_tau(bench: Bench, plan: ReplayPlan) -> float:
    """What `taurank plan` promises for our own split of this budget; NaN where the stages were asked for."""
    if not plan.adaptive or not shipped_replays():
        return math.nan
    return forecast(bench.setting, plan.candidates, plan.speed_up, proxies=bool(plan.cheap.proxies)).tau


def _costs(bench: Bench, plan: ReplayPlan, evidence: pd.DataFrame, launch: Launch) -> Row:
    """What was spent, by source, and the numbers of trainings; seconds are NaN where the table has none."""
    kind = evidence["source"].str.partition(":")[0]
    epochs = evidence.groupby(kind)["epochs"].sum()
    seconds = evidence.groupby(kind)["seconds"].sum()
    trained = evidence[kind == "training"]
    full = {spec.stage for spec in plan.trainings if spec.is_full(bench.full_epochs)}
    is_full = trained["stage"].isin(full)
    row: Row = {f"epochs_{name}": float(epochs.get(source, 0.0)) for name, source in _SOURCES.items()}
    row["cost"] = sum(row.values()) / (plan.candidates * bench.full_epochs)
    for name, source in _SOURCES.items():
        spent = float(seconds.get(source, 0.0))
        row[f"seconds_{name}"] = spent if spent > 0 else (math.nan if row[f"epochs_{name}"] else 0.0)
    proxies = row[f"seconds_{PROXIES}"] / plan.workers
    row["wall_seconds"] = launch.wall_seconds + proxies
    row["shorts"] = trained.loc[~is_full, "architecture"].nunique()
    row["fulls"] = trained.loc[is_full, "architecture"].nunique()
    return row


_SOURCES = {"trainings": "training", PROXIES: "proxy", "supernets": "supernet"}


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
    # Ctrl-C goes to all processes of a terminal; these must not handle it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _process["replay"] = replay


def _replay(draw: int) -> Any:
    return _process["replay"](draw)
