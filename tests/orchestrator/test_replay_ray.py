"""The same replay on the simulated clock and through Ray Tune: the same rows, the same order."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from orchestrator.evidence import EvidenceLog
from orchestrator.replay import Bench, ReplayError, ReplayPlan, choose_cheap, make_bench, plan_replay, read_trainings
from orchestrator.replay.draw import replay_draw
from orchestrator.replay.draws import replay_draws
from orchestrator.replay.launching import ray_launcher
from trainables.table import RecordedTable

pytestmark = pytest.mark.slow

STAGES = """
- {epochs: 10, until: 2}
- {epochs: 10, candidates: 5, scheduler: {name: penguin, options: {tolerance_points: 2}}}
- {epochs: 10, candidates: 2}
"""


@pytest.fixture(scope="module")
def bench(table: RecordedTable) -> Bench:
    return make_bench(table, truth="seeds 1,2")


@pytest.fixture(scope="module")
def plan(bench: Bench) -> ReplayPlan:
    cheap = choose_cheap(bench.table, proxies="jacov", supernets="")
    trainings = read_trainings(STAGES)
    return plan_replay(bench, candidates=12, budget="1.2x", seed=1, workers=2, cheap=cheap, trainings=trainings)


def kept(log: EvidenceLog) -> tuple[pd.DataFrame, dict[str, tuple[str, str]]]:
    """Rows and outcomes of a log, in an order of their own."""
    rows = log.evidence().drop(columns="time").sort_values(["trial", "architecture", "epoch", "metric"])
    return rows.reset_index(drop=True), log.outcomes()


def test_both_leave_the_same_rows_and_give_the_same_order(bench: Bench, plan: ReplayPlan, tmp_path: Path) -> None:
    simulated = replay_draw(bench, plan, 0, log=EvidenceLog(tmp_path / "clock.sqlite"))
    with ray_launcher(bench) as launcher:
        through_ray = replay_draw(bench, plan, 0, launcher, log=EvidenceLog(tmp_path / "ray.sqlite"))
    differing = {name for name in simulated if str(simulated[name]) != str(through_ray[name])}
    assert differing <= {"ranker_seconds", "wall_seconds"}

    rows, outcomes = kept(EvidenceLog(tmp_path / "clock.sqlite"))
    ray_rows, ray_outcomes = kept(EvidenceLog(tmp_path / "ray.sqlite"))
    pd.testing.assert_frame_equal(rows, ray_rows, check_exact=True)
    assert outcomes == ray_outcomes
    stopped = {trial for trial, (event, _) in outcomes.items() if event == "stopped"}
    assert stopped, "penguin stops none: the comparison would say nothing about it"
    assert set(rows.loc[rows["metric"] == "predicted_accuracy", "trial"]) == stopped


def test_ray_runs_one_draw_at_a_time(bench: Bench, plan: ReplayPlan) -> None:
    with pytest.raises(ReplayError, match="leave out --jobs"):
        list(replay_draws(bench, plan, 2, jobs=2, through_ray=True))
