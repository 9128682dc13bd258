"""The same replay on the simulated clock and through Ray Tune: the same rows, the same order."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.replay import (
    Bench,
    ReplayError,
    ReplayPlan,
    choose_cheap,
    make_bench,
    plan_replay,
    read_trainings,
)
from taurank.orchestrator.replay.draw import replay_draw, replay_draws
from taurank.orchestrator.replay.launching import ray_launcher
from taurank.trainables.table import RecordedTable

pytestmark = pytest.mark.ray

TWO_WORKERS = """
- {epochs: 10, until: 2}
- {epochs: 10, candidates: 5, scheduler: {name: penguin, options: {tolerance_points: 2}}}
- {epochs: 10, candidates: 2}
"""
ONE_WORKER = """
- {epochs: 10, candidates: 6, scheduler: asha, budget_epochs: 30}
- {epochs: 10, candidates: 6, scheduler: successive-halving, budget_epochs: 30}
- {epochs: 10, candidates: 4, scheduler: median}
- {epochs: 10, until: 5, candidates: 6, scheduler: uniform, budget_epochs: 18}
"""


@pytest.fixture(scope="module")
def bench(table: RecordedTable) -> Bench:
    return make_bench(table, truth="seeds 1,2")


def make_plan(bench: Bench, stages: str, workers: int) -> ReplayPlan:
    cheap = choose_cheap(bench.table, proxies="jacov", supernets="")
    trainings = read_trainings(stages)
    return plan_replay(bench, candidates=12, budget="1x", seed=1, workers=workers, cheap=cheap, trainings=trainings)


def kept(log: EvidenceLog) -> tuple[pd.DataFrame, dict[str, list[tuple[str, str]]]]:
    """Rows in an order of their own, and what happened to each trial, in order."""
    rows = log.evidence().drop(columns="time").sort_values(["trial", "architecture", "epoch", "metric"])
    events = log.events()
    events = events[events["trial"] != ""]
    histories = {
        str(trial): list(zip(own["event"], own["reason"], strict=True)) for trial, own in events.groupby("trial")
    }
    return rows.reset_index(drop=True), histories


@pytest.mark.parametrize(("stages", "workers"), [(TWO_WORKERS, 2), (ONE_WORKER, 1)])
def test_both_leave_the_same_rows_and_give_the_same_order(
    bench: Bench, stages: str, workers: int, tmp_path: Path
) -> None:
    plan = make_plan(bench, stages, workers)
    simulated = replay_draw(bench, plan, 0, log=EvidenceLog(tmp_path / "clock.sqlite"))
    with ray_launcher(bench, workers) as launcher:
        through_ray = replay_draw(bench, plan, 0, launcher, log=EvidenceLog(tmp_path / "ray.sqlite"))
    differing = {name for name in simulated if str(simulated[name]) != str(through_ray[name])}
    assert differing <= {"ranker_seconds", "wall_seconds"}

    rows, histories = kept(EvidenceLog(tmp_path / "clock.sqlite"))
    ray_rows, ray_histories = kept(EvidenceLog(tmp_path / "ray.sqlite"))
    pd.testing.assert_frame_equal(rows, ray_rows, check_exact=True)
    assert histories == ray_histories
    ends = {history[-1][0] for history in histories.values()}
    if workers == 1:
        assert ends == {"completed", "stopped", "frozen"}
        assert {event for history in histories.values() for event, _ in history} >= {"started", "resumed", "paused"}
        spent = rows.groupby("stage")["epochs"].sum()
        assert spent["training-10:asha"] <= 30
        assert spent["training-10@5:uniform"] <= 18
    else:
        assert ends == {"completed", "stopped"}, "penguin stops none: the comparison would say nothing about it"
        stopped = {trial for trial, history in histories.items() if history[-1][0] == "stopped"}
        assert set(rows.loc[rows["metric"] == "predicted_accuracy", "trial"]) == stopped


def test_ray_runs_one_draw_at_a_time(bench: Bench) -> None:
    with pytest.raises(ReplayError, match="leave out --jobs"):
        list(replay_draws(bench, make_plan(bench, TWO_WORKERS, 2), 2, jobs=2, through_ray=True))
