"""Tables that are not whole: trainings of which only the end is recorded, tables of one seed."""

from __future__ import annotations

import numpy as np
import pytest

from taurank.orchestrator.replay import ReplayError, choose_cheap, make_bench, plan_replay, replay_draw, replay_draws
from taurank.orchestrator.replay.curves import read_curves, whole_trainings
from taurank.trainables.table import RecordedTable


def ends_only(table: RecordedTable, count: int) -> RecordedTable:
    """The table in which the trainings of the first architectures have only their last epoch."""
    rows = table.rows
    cut = rows["architecture"].isin(table.architectures[:count]) & (rows["source"] == "training")
    return RecordedTable(table.info, rows[~cut | (rows["epoch"] == 10)])


def one_seed(table: RecordedTable, seed: int) -> RecordedTable:
    """The table with the first training of each architecture, under this seed and without test accuracies."""
    rows = table.rows[(table.rows["source"] != "training") | (table.rows["seed"] == 0)]
    rows = rows[rows["metric"] != "test_accuracy"]
    training = rows["source"] == "training"
    return RecordedTable(table.info, rows.assign(seed=rows["seed"].mask(training, seed)))


def replayed(bench, **options):
    cheap = choose_cheap(bench.table, proxies="all", supernets="")
    return plan_replay(bench, candidates=12, budget="4x", seed=0, workers=2, cheap=cheap, **options)


def test_epochs_that_most_trainings_have():
    known = np.array([[1, 1, 0, 1], [1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 1]], dtype=bool)
    epochs, trainings = whole_trainings(known)
    assert (epochs.tolist(), trainings.tolist()) == ([True, True, False, True], [True, True, True, False])
    epochs, trainings = whole_trainings(np.eye(4, dtype=bool) | np.array([False, False, False, True]))
    assert (epochs.tolist(), trainings.tolist()) == ([False, False, False, True], [True] * 4)


def test_trainings_with_only_their_end_are_counted_and_left_out(table):
    bench = make_bench(ends_only(table, 5))
    assert bench.pool == make_bench(table).pool[5:]
    assert bench.epochs == {10: tuple(range(1, 11))}
    assert bench.notes == (
        "left out: 5 of 30 trainings over 10 epochs, which lack epochs that most have (5 have only the last)",
    )
    plan = replayed(bench)
    for draw in range(5):
        assert replay_draw(bench, plan, draw)["cost"] <= 0.25
    curves = read_curves(ends_only(table, 5), metric="validation_accuracy", schedule_epochs=10)
    assert (len(curves.architectures), curves.left_out) == (75, 15)
    assert np.isfinite(curves.matrix.values).all()


def test_where_most_trainings_have_only_their_end_none_is_stopped_early(table):
    bench = make_bench(ends_only(table, 20))
    assert len(bench.pool) == 30
    assert bench.epochs == {10: (10,)}
    assert bench.notes == ("20 of 30 trainings over 10 epochs have only the last epoch: none is stopped early",)
    plan = replayed(bench)
    assert all(spec.until is None for spec in plan.trainings)
    assert replay_draw(bench, plan, 0)["cost"] <= 0.25


@pytest.mark.parametrize("seed", [0, -1])
def test_a_table_of_one_seed_is_replayed_against_its_own_last_value(table, seed):
    own = one_seed(table, seed)
    with pytest.raises(ReplayError, match=r"--truth last|truth: there is .*last"):
        make_bench(own)
    bench = make_bench(own, truth="last")
    assert (bench.truth.metric, bench.truth.evidence_seed, bench.truth.seeds) == ("validation_accuracy", seed, (seed,))
    np.testing.assert_array_equal(bench.truth.values, bench.final)
    plan = replayed(bench)
    rows = [replay_draw(bench, plan, draw) for draw in range(6)]
    assert [row["ceiling"] for row in rows] == pytest.approx([1.0] * 6)
    assert np.mean([row["tau"] for row in rows]) > 0.3


@pytest.mark.ray
def test_through_ray_it_is_the_same(table):
    bench = make_bench(one_seed(ends_only(table, 5), -1), truth="last")
    plan = replayed(bench)
    (through_ray,) = replay_draws(bench, plan, 1, through_ray=True)
    simulated = replay_draw(bench, plan, 0)
    assert through_ray["tau"] == simulated["tau"]
    assert through_ray["cost"] == pytest.approx(simulated["cost"])
