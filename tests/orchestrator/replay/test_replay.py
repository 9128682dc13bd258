"""A replay over a table that is made here: what is drawn, bought, counted, and scored."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.planning.rounds import LogRanker, Problem, run_rounds
from taurank.orchestrator.replay import (
    Bench,
    ReplayError,
    ReplayPlan,
    Row,
    campaigns_document,
    choose_cheap,
    draw_candidates,
    make_bench,
    plan_replay,
    read_trainings,
    replay_draw,
    replay_draws,
    summarise,
)
from taurank.orchestrator.replay.cheap import PROXY_EPOCHS, book_cheap
from taurank.orchestrator.replay.launching import ClockLaunch
from taurank.orchestrator.replay.reference import make_reference
from taurank.orchestrator.tau import tau_b
from taurank.orchestrator.text import as_json
from taurank.spaces import get_space
from taurank.trainables.table import RecordedTable

MakePlan = Callable[..., ReplayPlan]


@pytest.fixture(scope="module")
def bench(table: RecordedTable) -> Bench:
    return make_bench(table, truth="seeds 1,2")


@pytest.fixture(scope="module")
def make_plan(bench: Bench) -> MakePlan:
    """A plan for 20 of the 30, with all proxies; ``changes`` to that."""

    def make(on: Bench = bench, proxies: str = "all", supernets: str = "", **changes: object) -> ReplayPlan:
        cheap = choose_cheap(on.table, proxies=proxies, supernets=supernets)
        settings = {"candidates": 20, "budget": "4x", "seed": 3, "workers": 4} | changes
        return plan_replay(on, cheap=cheap, **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="module")
def row(bench: Bench, make_plan: MakePlan) -> Row:
    """The first draw."""
    return replay_draw(bench, make_plan(), 0)


def without_clock(row: Row) -> str:
    """For comparison: as text, in which NaN equals NaN."""
    return str({name: value for name, value in row.items() if name != "ranker_seconds"})


# --- candidates and what is bought


def test_candidates_are_the_generators_own(bench: Bench, make_plan: MakePlan) -> None:
    plan = make_plan()
    drawn = draw_candidates(bench, plan, 2)
    expected = np.random.default_rng([3, 2]).choice(sorted(bench.pool), size=20, replace=False)
    assert drawn == sorted(expected)
    assert drawn != draw_candidates(bench, plan, 1)


@pytest.mark.parametrize("budget", ["1.5x", "7.3x", "40x"])
def test_cost_adds_up_and_keeps_to_the_budget(budget: str, bench: Bench, make_plan: MakePlan) -> None:
    plan = make_plan(budget=budget)
    row = replay_draw(bench, plan, 0)
    assert row["epochs_proxies"] == pytest.approx(20 * 2 * PROXY_EPOCHS, abs=1e-9)
    spent = row["epochs_trainings"] + row["epochs_proxies"] + row["epochs_supernets"]
    assert row["cost"] == pytest.approx(spent / (20 * 10), abs=1e-9)
    assert row["cost"] <= 1 / float(budget[:-1]) + 1e-9
    assert row["shorts"] + row["fulls"] > 0 or plan.trainings == ()


def test_cost_of_trainings_that_are_asked_for(bench: Bench, make_plan: MakePlan) -> None:
    trainings = read_trainings("[{epochs: 10, until: 2, candidates: all}, {epochs: 10, candidates: 3}]")
    row = replay_draw(bench, make_plan(budget="2x", trainings=trainings), 0)
    assert (row["shorts"], row["fulls"]) == (20, 3)
    assert row["epochs_trainings"] == 20 * 2 + 3 * 10
    assert row["seconds_trainings"] == pytest.approx(2.0 * (20 * 2 + 3 * 10))
    assert row["cost"] == pytest.approx((70 + 20 * 2 * PROXY_EPOCHS) / 200, abs=1e-9)


def test_proxies_cost_what_the_plan_says(bench: Bench, make_plan: MakePlan) -> None:
    plan = make_plan()
    dearer = replace(plan, cheap=replace(plan.cheap, proxy_epochs=0.05))
    assert dearer.cheap.epochs(20) == pytest.approx(20 * 2 * 0.05)
    assert replay_draw(bench, dearer, 0)["epochs_proxies"] == pytest.approx(20 * 2 * 0.05, abs=1e-9)


def test_supernets_cost_what_the_option_says(bench: Bench, make_plan: MakePlan) -> None:
    row = replay_draw(bench, make_plan(proxies="none", supernets="shared=12.5"), 0)
    assert row["epochs_supernets"] == pytest.approx(12.5, abs=1e-9)
    assert row["epochs_proxies"] == 0
    assert row["cost"] <= 0.25 + 1e-9


def test_depth_is_that_of_the_space_where_the_table_records_none(table: RecordedTable, make_plan: MakePlan) -> None:
    space = get_space("nasbench201")
    cells = space.sample(len(table.architectures), np.random.default_rng(1))
    codes = dict(zip(table.architectures, (cell.code for cell in cells), strict=True))
    rows = table.rows[table.rows["source"] != "encoding"]
    rows = rows.assign(architecture=rows["architecture"].astype(str).map(codes))
    info = replace(table.info, space=space.name)
    bench = make_bench(RecordedTable(info, rows), truth="seeds 1,2")
    assert bench.sizes["depth"].loc[[cell.code for cell in cells]].tolist() == [space.depth(cell) for cell in cells]

    plan, log = make_plan(bench), EvidenceLog(Path(":memory:"))
    book_cheap(bench, plan.cheap, log, drawn := draw_candidates(bench, plan, 0))
    logged = log.evidence().query("source == 'size' and metric == 'depth'").set_index("architecture")["value"]
    assert logged.to_dict() == {cell.code: space.depth(cell) for cell in cells if cell.code in drawn}
    assert np.isfinite(replay_draw(bench, plan, 0)["tau_depth"])

    flops = rows[rows["metric"] == "flops"]
    recorded = pd.concat([rows, flops.assign(metric="depth", value=7.0)], ignore_index=True)
    assert set(make_bench(RecordedTable(info, recorded), truth="seeds 1,2").sizes["depth"]) == {7.0}


def test_a_table_of_no_space_has_no_depth(bench: Bench, row: Row) -> None:
    assert "depth" not in bench.sizes
    assert math.isnan(row["tau_depth"])


def test_a_failed_proxy_is_paid_and_one_never_computed_is_not(table: RecordedTable) -> None:
    codes = table.architectures
    rows = table.rows
    dropped = (rows["source"] == "proxy:jacov") & rows["architecture"].isin([codes[0], codes[1]])
    dropped |= (rows["source"] == "proxy:nwot") & (rows["architecture"] == codes[1])
    sparse = make_bench(RecordedTable(table.info, rows[~dropped]), truth="seeds 1,2")
    plan = plan_replay(
        sparse, candidates=30, budget="4x", seed=0, workers=1, cheap=choose_cheap(table, proxies="all", supernets="")
    )
    assert replay_draw(sparse, plan, 0)["epochs_proxies"] == pytest.approx(29 * 2 * PROXY_EPOCHS, abs=1e-9)


# --- the truth stays out


def test_the_truth_is_never_among_the_evidence(bench: Bench, make_plan: MakePlan) -> None:
    plan = make_plan(budget="1.2x")
    log = EvidenceLog(Path(":memory:"))
    candidates = draw_candidates(bench, plan, 0)
    problem = Problem(tuple(candidates), bench.encoding(candidates), bench.full_epochs, plan.seed)
    launch = ClockLaunch(bench, log, plan.workers)
    run_rounds(
        LogRanker(problem, log), plan.trainings, launch=launch, budget_epochs=plan.budget_epochs, adaptive=plan.adaptive
    )
    rows = log.evidence()
    trained = rows[rows["source"] == "training"]
    assert set(trained["seed"]) == {0}
    assert not trained["metric"].str.startswith("test").any()
    assert (trained["epoch"] == 10).any()


def test_changing_the_truth_changes_no_order(table: RecordedTable, row: Row, make_plan: MakePlan) -> None:
    rows = table.rows.copy()
    of_truth = (rows["source"] == "training") & (rows["seed"] > 0)
    rows.loc[of_truth, "value"] = 1 - rows.loc[of_truth, "value"].clip(0, 1)
    other = make_bench(RecordedTable(table.info, rows), truth="seeds 1,2")
    after = replay_draw(other, make_plan(on=other), 0)
    assert row["tau"] == pytest.approx(-after["tau"])
    assert row["expected_tau"] == after["expected_tau"]


# --- results


def test_a_draw_repeats_itself(bench: Bench, row: Row, make_plan: MakePlan) -> None:
    first, second = replay_draws(bench, make_plan(), 2)
    assert without_clock(first) == without_clock(row) != without_clock(second)


def test_rows_before_training_change_nothing(table: RecordedTable, bench: Bench, row: Row, make_plan: MakePlan) -> None:
    first = table.rows[(table.rows["source"] == "training") & (table.rows["epoch"] == table.rows["schedule_epochs"])]
    untrained = first.assign(epoch=0, value=0.1, seconds=0.0)
    unscheduled = untrained.assign(schedule_epochs=0)
    other = make_bench(RecordedTable(table.info, pd.concat([untrained, unscheduled, table.rows])), truth="seeds 1,2")
    assert other.seeds == bench.seeds
    spec = TrainingSpec(epochs=bench.full_epochs)
    assert other.points(spec) == bench.points(spec)
    assert without_clock(replay_draw(other, make_plan(), 0)) == without_clock(row)


@pytest.mark.slow
def test_processes_change_nothing(bench: Bench, make_plan: MakePlan) -> None:
    alone = [without_clock(drawn) for drawn in replay_draws(bench, make_plan(), 2)]
    assert [without_clock(drawn) for drawn in replay_draws(bench, make_plan(), 2, jobs=2)] == alone


def test_the_order_of_the_table_does_not_matter(
    table: RecordedTable, bench: Bench, row: Row, make_plan: MakePlan
) -> None:
    shuffled = RecordedTable(table.info, table.rows.sample(frac=1, random_state=1))
    other = make_bench(shuffled, truth="seeds 1,2")
    assert other.pool == bench.pool
    assert without_clock(replay_draw(other, make_plan(on=other), 0)) == without_clock(row)


def test_all_bought_in_full_is_one_seed_of_everybody(bench: Bench, make_plan: MakePlan) -> None:
    """With every full training bought the order is that of one seed, and single views say what they are."""
    row = replay_draw(bench, make_plan(proxies="none", budget="1x", trainings=read_trainings("[{epochs: 10}]")), 0)
    assert row["cost"] == pytest.approx(1.0)
    assert row["tau_training-10"] == pytest.approx(row["ceiling"], abs=1e-12)
    assert row["retained"] == pytest.approx(row["tau"] / row["ceiling"], abs=1e-12)
    assert row["tau"] > 0.8 * row["ceiling"]


def test_views_of_some_have_no_tau(bench: Bench, make_plan: MakePlan) -> None:
    trainings = read_trainings("[{epochs: 10, until: 2}, {epochs: 10, candidates: 3}]")
    row = replay_draw(bench, make_plan(budget="2x", trainings=trainings), 0)
    assert math.isnan(row["tau_training-10"])
    candidates = draw_candidates(bench, make_plan(), 0)
    short = bench.table.at("validation_accuracy", epoch=2, schedule_epochs=10, seed=0).loc[candidates]
    assert row["tau_training-10@2"] == tau_b(short, bench.truth.values.loc[candidates])


def test_coverage_of_a_known_posterior() -> None:
    from taurank.orchestrator.ranker import Ranking
    from taurank.orchestrator.replay.summary import calibration_columns

    codes = ["a", "b", "c", "d"]
    # The order of the samples is always a, b, c, d; the truth has a and b exchanged.
    samples = np.tile([4.0, 3.0, 2.0, 1.0], (10, 1))
    ranking = Ranking(pd.DataFrame({"architecture": codes}), samples, {})
    columns = calibration_columns(ranking, pd.Series([3.0, 4.0, 2.0, 1.0], index=codes))
    assert columns == {
        "expected_tau": 1.0,
        "expected_low": 1.0,
        "expected_high": 1.0,
        "coverage50": 0.5,
        "coverage90": 0.5,
        "width90": 0.0,
    }


def test_reference_is_the_sum_of_log_ranks(bench: Bench) -> None:
    candidates = bench.pool[:3]
    found = make_reference(bench, [TrainingSpec(epochs=10, until=2)], candidates)
    assert found is not None
    short = bench.table.at("validation_accuracy", epoch=2, schedule_epochs=10, seed=0).loc[list(candidates)]
    views = [short, bench.sizes["flops"].loc[list(candidates)], bench.proxies["jacov"].loc[list(candidates)]]
    assert found.scores == pytest.approx(sum(np.log(view.rank().to_numpy()) for view in views))
    assert found.cost == pytest.approx((2 + PROXY_EPOCHS) / 10)


def test_reference_needs_a_short_training_of_all(bench: Bench) -> None:
    assert make_reference(bench, [TrainingSpec(epochs=10)], bench.pool) is None


def test_summary_is_mean_and_deviation_of_the_draws() -> None:
    rows = [{"draw": 0, "n": 2, "budget": 4, "tau": 0.2, "x": math.nan}, {"draw": 1, "n": 2, "budget": 4, "tau": 0.6}]
    found = summarise(rows)
    assert list(found.index) == ["tau", "x"]
    assert found.loc["tau"].tolist() == pytest.approx([0.4, 0.2, 2])
    assert found.loc["x", "draws"] == 0


def test_json_has_null_for_what_is_missing(bench: Bench, row: Row, make_plan: MakePlan) -> None:
    content = as_json(campaigns_document(bench, make_plan(), [row | {"ceiling": math.nan}]))
    assert content["draws"][0]["ceiling"] is None
    assert content["mean"]["tau"] == row["tau"]
    assert content["evidence_seed"] == 0


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"candidates": 31}, "--candidates: 31 asked, but the table has 30 among architectures"),
        ({"budget": "400x"}, "proxies and supernets cost 0.6"),
        ({"budget": "0.5x"}, "--budget: 0.5x is more than full"),
        ({"trainings": [TrainingSpec(epochs=7)]}, "no schedule of 7 epochs is recorded, but 10"),
        ({"trainings": [TrainingSpec(epochs=10)]}, "they cost up to 200.0 epochs"),
        ({"trainings": [TrainingSpec(epochs=10, candidates=2, seed=1)]}, "seed 1 is not the evidence, but seed 0 is"),
        ({"trainings": [TrainingSpec(epochs=10, until=1, candidates=21)]}, "asks for 21 candidates; there are 20"),
    ],
)
def test_plans_that_cannot_be(changes: dict[str, object], message: str, make_plan: MakePlan) -> None:
    with pytest.raises(ReplayError, match=message) as caught:
        make_plan(**changes)
    assert "\n" not in str(caught.value)


def test_schedulers_of_ray_need_ray(bench: Bench, make_plan: MakePlan) -> None:
    trainings = read_trainings("[{epochs: 10, candidates: 2, scheduler: ray-asha}]")
    with pytest.raises(ReplayError, match="add --ray"):
        replay_draw(bench, make_plan(trainings=trainings), 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{epoch: 3}]", r"^--trainings\.0\.epoch: unknown key; did you mean 'epochs'\?$"),
        ("- {epochs: 3", "^--trainings: line 1"),
    ],
)
def test_broken_trainings(text: str, message: str) -> None:
    with pytest.raises(ReplayError, match=message):
        read_trainings(text)


def test_a_table_without_early_epochs_is_ranked_by_full_trainings(table: RecordedTable) -> None:
    rows = table.rows
    last = RecordedTable(table.info, rows[(rows["epoch"] == 0) | (rows["epoch"] == 10)])
    bench = make_bench(last, truth="seeds 1,2")
    cheap = choose_cheap(last, proxies="none", supernets="")
    plan = plan_replay(bench, candidates=20, budget="4x", seed=0, workers=1, cheap=cheap)
    assert [(spec.stage, spec.candidates) for spec in plan.trainings] == [("training-10", 5)]
    assert replay_draw(bench, plan, 0)["cost"] == 0.25


def test_a_short_schedule_of_another_seed_is_bought_as_it_is(table: RecordedTable) -> None:
    rows = table.rows
    own = rows[(rows["source"] == "training") & (rows["seed"] == 0) & (rows["epoch"] == 3)].copy()
    own = own[own["metric"] == "validation_accuracy"].assign(schedule_epochs=3, seed=-1, seconds=6.0)
    both = RecordedTable(table.info, pd.concat([rows, own]))
    bench = make_bench(both, truth="seeds 1,2")
    assert bench.seeds == {3: -1, 10: 0}
    plan = plan_replay(
        bench, candidates=20, budget="4x", seed=0, workers=1, cheap=choose_cheap(both, proxies="none", supernets="")
    )
    assert plan.trainings[0].stage == "training-3"
    row = replay_draw(bench, plan, 0)
    assert row["epochs_trainings"] == 3 * row["shorts"] + 10 * row["fulls"] <= 50


def test_ranking_does_not_depend_on_the_order_of_candidates(bench: Bench, make_plan: MakePlan) -> None:
    plan = make_plan()
    candidates = draw_candidates(bench, plan, 0)
    orders = []
    for given in (candidates, candidates[::-1]):
        log = EvidenceLog(Path(":memory:"))
        problem = Problem(tuple(given), bench.encoding(given), bench.full_epochs, plan.seed)
        launch = ClockLaunch(bench, log, plan.workers)
        ranker = LogRanker(problem, log)
        run_rounds(ranker, plan.trainings, launch=launch, budget_epochs=plan.budget_epochs, adaptive=False)
        orders.append(ranker.ranking().table["architecture"].tolist())
    assert orders[0] == orders[1]


def test_recorded_nasbench201(recorded: Path) -> None:
    """One small draw over the real thing; its figures are those of the benchmark's own seeds."""
    from taurank.trainables.table.importers import import_table

    files = [recorded / "nb201_cifar10.parquet", recorded / "nb201_cifar10_proxies.parquet"]
    table = import_table(files)
    assert len(make_bench(table, truth="seeds 1,2", among="live").pool) == 5035
    bench = make_bench(table, truth="seeds 1,2")
    assert len(bench.pool) == 2541
    plan = plan_replay(
        bench, candidates=60, budget="10x", seed=0, workers=8, cheap=choose_cheap(table, proxies="jacov", supernets="")
    )
    row = replay_draw(bench, plan, 0)
    assert 0.88 < row["ceiling"] < 0.94
    assert 0.65 < row["tau"] < row["ceiling"]
    assert row["cost"] <= 0.1 + 1e-9
    assert row["tau_depth"] > 0.2


class TestSeconds:
    """Budgets in recorded seconds; an epoch of ``net-k`` takes k + 1 of them."""

    @pytest.fixture(scope="class")
    def uneven(self, table: RecordedTable) -> Bench:
        rows = table.rows.copy()
        number = rows["architecture"].astype(str).str.rpartition("-")[2].astype(int)
        rows["seconds"] = rows["seconds"].where(rows["source"] != "training", rows["seconds"] / 2 * (number + 1))
        return make_bench(RecordedTable(table.info, rows), truth="seeds 1,2")

    @pytest.mark.parametrize("budget", ["4x seconds", "0.1 gpu-hours", "200s"])
    @pytest.mark.parametrize("workers", [1, 4])
    def test_nothing_is_overspent(self, uneven: Bench, make_plan: MakePlan, budget: str, workers: int) -> None:
        plan = make_plan(uneven, budget=budget, workers=workers)
        row = replay_draw(uneven, plan, 0)
        drawn = [int(code[-2:]) + 1 for code in draw_candidates(uneven, plan, 0)]
        spent = row["seconds_trainings"] + row["seconds_proxies"]
        if budget == "200s":
            assert 100.0 < row["wall_seconds"] <= 200.0 + max(drawn)
        else:
            allowed = 10 * sum(drawn) / 4 if budget.endswith("x seconds") else 360.0
            assert 0.7 * allowed < spent <= allowed + max(drawn)

    def test_own_stages_end_with_the_time(self, uneven: Bench, make_plan: MakePlan) -> None:
        policy = read_trainings("[{epochs: 10, scheduler: order-settling, budget_epochs: 38}]")
        row = replay_draw(uneven, make_plan(uneven, budget="5x seconds", trainings=policy), 0)
        drawn = [int(code[-2:]) + 1 for code in draw_candidates(uneven, make_plan(uneven), 0)]
        assert row["seconds_trainings"] <= 10 * sum(drawn) / 5 + max(drawn)

    def test_a_table_without_seconds(self, table: RecordedTable, make_plan: MakePlan) -> None:
        untimed = RecordedTable(table.info, table.rows.assign(seconds=math.nan))
        with pytest.raises(ReplayError, match=r"--budget: the table has no seconds of 30 of 30 full trainings"):
            make_plan(make_bench(untimed, truth="seeds 1,2"), budget="4x seconds")

    @pytest.mark.parametrize(
        ("budget", "problem"),
        [
            ("4 hours", r"--budget: 4 hours is no budget \(perhaps 4h\)"),
            ("0.5s", "--budget: 0.5s is less than one epoch"),
        ],
    )
    def test_refused(self, uneven: Bench, make_plan: MakePlan, budget: str, problem: str) -> None:
        with pytest.raises(ReplayError, match=problem):
            make_plan(uneven, budget=budget)
