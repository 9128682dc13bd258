"""Policies side by side on recorded curves that can be worked out by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.replay import (
    Comparison,
    PolicyRow,
    ReplayError,
    compare_draw,
    compare_policies,
    policy_draws,
    read_policies,
    summarise_policies,
)
from taurank.orchestrator.replay.curves import architecture_features, metric_kind, read_curves, varied
from taurank.trainables.table import RecordedTable, TableInfo, write_table
from taurank.trainables.table.format import Metric
from taurank.trainables.table.metrics import describe_all
from taurank.trainables.table.rows import Rows

Taurank = Callable[..., tuple[int, str, str]]
COUNT, EPOCHS = 12, np.arange(1, 11)
FINAL = np.linspace(0.9, 0.35, COUNT)
"""Of net-00, which is best, to net-11."""


def make_table(
    values: np.ndarray, *, metric: str = "validation_accuracy", seeds: int = 1, described: Metric | None = None
) -> RecordedTable:
    """Curves (trainings, epochs), the same for all seeds, with the number of each training as its encoding."""
    rows = Rows([f"net-{number:02d}" for number in range(len(values))])
    epochs = np.arange(1, values.shape[1] + 1)
    for seed in range(seeds):
        rows.add("training", {metric: values}, epoch=epochs, schedule_epochs=len(epochs), seed=seed, seconds=1.0)
    metrics = describe_all(rows.metrics) | ({metric: described} if described else {})
    return RecordedTable(TableInfo("by-hand", "nothing", metrics), rows.frame())


PARALLEL = FINAL[:, None] * EPOCHS / 10
"""Curves that never cross: every epoch tells the final order."""


def compare(table: RecordedTable, policies: str = "uniform, order-settling", **settings: Any) -> Comparison:
    return compare_policies(table, read_policies(policies), **({"candidates": 10, "budget": "5x"} | settings))


def by_policy(rows: list[PolicyRow]) -> dict[tuple[str, str], PolicyRow]:
    return {(str(row["policy"]), str(row["ranked_by"])): row for row in rows}


class TestCurves:
    def test_are_those_of_the_table(self) -> None:
        curves = read_curves(make_table(PARALLEL), metric="validation_accuracy", schedule_epochs=10)
        np.testing.assert_allclose(curves.matrix.values, PARALLEL)
        assert curves.architectures[[0, -1]].tolist() == ["net-00", "net-11"]
        assert curves.matrix.training is None

    def test_a_row_of_epoch_0_is_not_the_end_of_a_training(self) -> None:
        rows = Rows(["done", "half"])
        before = np.array([[0.1], [0.1]])
        rows.add(
            "training", {"validation_accuracy": before}, epoch=np.array([0]), schedule_epochs=3, seed=0, seconds=1.0
        )
        values = np.array([[0.2, 0.3, 0.4], [0.5, 0.6, np.nan]])
        epochs = np.array([1, 2, 3])
        rows.add("training", {"validation_accuracy": values}, epoch=epochs, schedule_epochs=3, seed=0, seconds=1.0)
        table = RecordedTable(TableInfo("s", "d", describe_all(rows.metrics)), rows.frame())
        curves = read_curves(table, metric="validation_accuracy", schedule_epochs=3)
        assert curves.architectures.tolist() == ["done"]
        np.testing.assert_allclose(curves.matrix.values, [[0.2, 0.3, 0.4]])

    def test_a_training_loss_from_the_training_accuracy(self) -> None:
        rows = Rows(["a", "b"])
        accuracy = np.array([[0.5, 1.0], [0.0, 0.25]])
        curves = {"validation_accuracy": accuracy, "train_accuracy": accuracy}
        rows.add("training", curves, epoch=np.array([1, 2]), schedule_epochs=2, seed=0, seconds=1.0)
        table = RecordedTable(TableInfo("s", "d", describe_all(rows.metrics)), rows.frame())
        found = read_curves(table, metric="validation_accuracy", schedule_epochs=2).matrix.training
        assert found is not None
        np.testing.assert_allclose(found, [[math.log(2), 0], [math.log(1000), math.log(4)]])

    def test_features_are_log_sizes_and_one_hot_labels(self, table: RecordedTable) -> None:
        features = architecture_features(table, None, table.architectures)
        assert features is not None
        assert features.shape == (30, 2 + 2 + 3 + 1)  # parameters and flops, width and depth, kind one-hot, stem
        parameters = table.wide("size")["parameters"].to_numpy()
        np.testing.assert_allclose(features[:, 0], np.log(parameters))
        kept = varied(features)
        assert kept is not None
        assert kept.shape == (30, 7)  # the stem is the same everywhere

    @pytest.mark.parametrize(
        ("name", "described", "kind"),
        [
            ("validation_accuracy", None, "accuracy"),
            ("validation_loss", None, "loss"),
            ("validation_perplexity", None, "perplexity"),
            ("top1", Metric("lower", "share"), "error"),
            ("bleu", Metric("higher"), "score"),
        ],
    )
    def test_kinds_of_metrics(self, name: str, described: Metric | None, kind: str) -> None:
        assert metric_kind(make_table(PARALLEL, metric=name, described=described), name) == kind


class TestPolicies:
    @pytest.mark.parametrize("text", ["asha,uniform", "[asha, uniform]", "- asha\n- uniform", " asha , uniform,asha"])
    def test_names(self, text: str) -> None:
        assert [str(spec) for spec in read_policies(text)] == ["asha", "uniform"]

    def test_options(self) -> None:
        found = read_policies("order-settling: {goal: top}, order-settling, asha: {reduction_factor: 4}")
        assert [str(spec) for spec in found] == [
            "order-settling {goal: top}",
            "order-settling",
            "asha {reduction_factor: 4}",
        ]

    def test_all(self) -> None:
        found = [spec.name for spec in read_policies("all, order-settling: {goal: best}")]
        assert found[:2] == ["full", "uniform"]
        assert found[-2:] == ["order-settling", "order-settling"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("ashe", "unknown policy 'ashe'; allowed: .*; did you mean 'asha'?"),
            ("asha: {factor: 3}", "unknown option 'factor' of policy 'asha'"),
            ("asha: {reduction_factor: many}", "--policy: "),
            ("order-settling: top", "is neither a name nor a name with options"),
            ("asha: {", "is not a list"),
            ("3", "is neither a name"),
            ("[]", "names no policy; there are all, full"),
        ],
    )
    def test_mistakes(self, text: str, message: str) -> None:
        with pytest.raises(ReplayError, match=message) as caught:
            read_policies(text)
        assert "\n" not in str(caught.value)


class TestComparison:
    def test_curves_that_never_cross_give_the_true_order(self) -> None:
        rows = by_policy(compare_draw(compare(make_table(PARALLEL)), 0))
        assert set(rows) == {
            ("uniform", "ladder"),
            ("uniform", "own rule"),
            ("order-settling", "ladder"),
            ("last value", "equal cut"),
            ("best so far", "equal cut"),
        }
        for row in rows.values():
            assert row["tau"] == pytest.approx(1.0)
            assert row["top1_regret"] == 0.0
            assert row["epochs"] == pytest.approx(0.2)
        assert all(math.isnan(float(row["expected_tau"])) for (_, by), row in rows.items() if by != "ladder")

    def test_an_order_that_turns_at_the_end_is_seen_by_nobody_who_stops_before(self) -> None:
        turned = PARALLEL.copy()
        turned[:, -1] = FINAL[::-1]
        rows = by_policy(compare_draw(compare(make_table(turned), "uniform, full"), 0))
        assert rows["uniform", "own rule"]["tau"] == pytest.approx(-1.0)
        assert rows["last value", "equal cut"]["tau"] == pytest.approx(-1.0)
        drawn = float(rows["uniform", "own rule"]["top1_regret"])
        assert drawn >= 0.05 * 9 - 1e-9  # of ten drawn the best is taken for the worst
        assert rows["full", "own rule"]["tau"] == pytest.approx(1.0)
        assert rows["full", "own rule"]["epochs"] == 1.0

    def test_a_loss_is_better_when_it_is_lower(self) -> None:
        losses = 1 - PARALLEL
        comparison = compare(make_table(losses, metric="validation_loss"), metric="validation_loss")
        assert comparison.limits.metric == "loss"
        for row in compare_draw(comparison, 0):
            assert row["tau"] == pytest.approx(1.0)
            assert row["top1_regret"] == 0.0

    def test_at_equal_phase_only(self) -> None:
        # At odd epochs the order is upside down.
        swinging = np.where(EPOCHS % 2 == 1, PARALLEL[::-1], PARALLEL)
        table = make_table(swinging)
        in_phase = compare(table, period=2)
        assert in_phase.limits.cut_points == (2, 4, 6, 8, 10)
        found = by_policy(compare_draw(in_phase, 0))
        assert found["last value", "equal cut"]["tau"] == pytest.approx(1.0)
        assert found["order-settling", "ladder"]["tau"] == pytest.approx(1.0)
        out_of_phase = by_policy(compare_draw(compare(table, budget="10x"), 0))
        assert out_of_phase["last value", "equal cut"]["tau"] == pytest.approx(-1.0)

    def test_who_was_never_begun_is_last(self) -> None:
        found = by_policy(compare_draw(compare(make_table(PARALLEL), "hyperband: {seed: 1}", budget="3x"), 0))
        # Nobody is left out of a tau: two of ten at the end and nothing of the others would else be a tau of 1.
        assert -1 <= float(found["hyperband {seed: 1}", "own rule"]["tau"]) < 1

    def test_the_same_seed_gives_the_same_and_all_see_the_same_draw(self) -> None:
        generator = np.random.default_rng(0)
        table = make_table(np.clip(PARALLEL + generator.normal(0, 0.05, PARALLEL.shape), 0, 1))
        once, again = (list(policy_draws(compare(table), 2)) for _ in range(2))
        assert pd.DataFrame(once[0] + once[1]).equals(pd.DataFrame(again[0] + again[1]))
        other = list(policy_draws(compare(table, seed=1), 2))
        assert [row["tau"] for row in other[0]] != [row["tau"] for row in once[0]]
        # Beside others a policy does what it does alone.
        alone = compare_draw(compare(table, "order-settling"), 0)
        assert by_policy(alone)["order-settling", "ladder"] == by_policy(once[0])["order-settling", "ladder"]

    @pytest.mark.slow
    def test_in_processes_it_is_the_same(self) -> None:
        comparison = compare(make_table(PARALLEL), "uniform")
        assert str(list(policy_draws(comparison, 2, jobs=2))) == str(list(policy_draws(comparison, 2)))

    def test_a_policy_that_cannot_keep_to_the_budget_says_why(self) -> None:
        rows = compare_draw(compare(make_table(PARALLEL), "successive-halving, uniform", budget="10x"), 0)
        assert rows[0]["policy"] == "successive-halving"
        assert "budget" in str(rows[0]["problem"])
        assert math.isnan(float(rows[0]["tau"]))
        assert rows[1]["problem"] == ""
        found = summarise_policies(rows)
        assert found["problem"].tolist()[1:] == ["", "", "", ""]

    def test_the_sd_is_that_of_the_draws(self) -> None:
        row: PolicyRow = {"ranked_by": "ladder", "problem": "", "expected_tau": 0.5, "tau_top20": 0.1}
        row |= {"policy": "asha", "epochs": 0.1, "top1_regret": 0.0, "sent": 3.0, "clock_epochs": 9.0}
        found = summarise_policies([row | {"draw": 0, "tau": 0.2}, row | {"draw": 1, "tau": 0.6}]).iloc[0]
        assert found[["tau", "tau_sd", "draws"]].tolist() == pytest.approx([0.4, 0.2, 2])


class TestTruth:
    def test_another_seed_if_there_is_one(self) -> None:
        comparison = compare(make_table(PARALLEL, seeds=3))
        assert str(comparison.truth) == "validation_accuracy of training, mean of seeds 1, 2"
        assert not comparison.meets_evidence

    def test_else_a_test_metric(self) -> None:
        rows = Rows([f"net-{number:02d}" for number in range(COUNT)])
        rows.add("training", {"validation_accuracy": PARALLEL}, epoch=EPOCHS, schedule_epochs=10, seed=0, seconds=1.0)
        rows.add("training", {"test_accuracy": FINAL[::-1]}, epoch=10, schedule_epochs=10, seed=0, seconds=0.0)
        table = RecordedTable(TableInfo("s", "d", describe_all(rows.metrics)), rows.frame())
        comparison = compare(table)
        assert comparison.truth.metric == "test_accuracy"
        assert compare_draw(comparison, 0)[0]["tau"] == pytest.approx(-1.0)
        asked = compare(table, truth="seeds 0")
        assert asked.meets_evidence
        assert compare_draw(asked, 0)[0]["tau"] == pytest.approx(1.0)

    def test_else_the_end_of_the_same_curves(self) -> None:
        comparison = compare(make_table(PARALLEL))
        assert comparison.meets_evidence
        assert str(comparison.truth) == "validation_accuracy of training, seed 0"

    def test_a_seed_that_few_have_is_none(self) -> None:
        rows = Rows([f"net-{number:02d}" for number in range(COUNT)])
        few = np.where(np.arange(COUNT)[:, None] < 3, PARALLEL, np.nan)
        for seed, values in enumerate((PARALLEL, few)):
            curves = {"validation_accuracy": values}
            rows.add("training", curves, epoch=EPOCHS, schedule_epochs=10, seed=seed, seconds=1.0)
        comparison = compare(RecordedTable(TableInfo("s", "d", describe_all(rows.metrics)), rows.frame()))
        assert comparison.truth.seeds == (0,)

    def test_an_unknown_seed_will_do(self) -> None:
        rows = Rows([f"net-{number:02d}" for number in range(COUNT)])
        rows.add("training", {"validation_accuracy": PARALLEL}, epoch=EPOCHS, schedule_epochs=10, seed=-1, seconds=1.0)
        comparison = compare(RecordedTable(TableInfo("s", "d", describe_all(rows.metrics)), rows.frame()))
        assert compare_draw(comparison, 0)[0]["tau"] == pytest.approx(1.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "by-hand.parquet"
    write_table(make_table(PARALLEL), path)
    return path


ASKED = ("--policy", "order-settling, uniform, median", "--candidates", 10, "--budget", "5x", "--draws", 2)


class TestCommand:
    def test_prints_what_is_compared_and_the_means(self, taurank: Taurank, file: Path, tmp_path: Path) -> None:
        out = tmp_path / "rows.csv"
        code, written, err = taurank("replay", "--table", file, *ASKED, "--out", out)
        assert (code, err) == (0, "")
        lines = written.splitlines()
        assert lines[:4] == [
            "by-hand on nothing: 2 draws of 10 from 12 architectures",
            "curves: validation_accuracy (accuracy) of training, seed 0, 10 epochs",
            "truth: validation_accuracy of training, seed 0, after 10 epochs, where evidence and truth meet",
            "budget: 20 epochs (5x cheaper), 8 trainings at once",
        ]
        assert lines[4].startswith("draw 0: tau of order-settling 1.000, uniform 1.000, median ")
        median = next(line for line in lines if line.startswith("median"))
        assert "% *" in median
        assert "* above the budget of 20.0%: it chooses its own" in written
        assert any(line.split()[:4] == ["order-settling", "ladder", "20.0%", "1.000"] for line in lines)
        assert any(line.split()[:5] == ["last", "value", "equal", "cut", "20.0%"] for line in lines)
        rows = pd.read_csv(out)
        assert len(rows) == 2 * (1 + 2 + 2 + 2)
        assert rows["draw"].tolist() == [0] * 7 + [1] * 7

    def test_json_is_all_there_is_on_the_output(self, taurank: Taurank, file: Path) -> None:
        code, written, err = taurank("replay", "--table", file, *ASKED, "--json")
        assert code == 0
        content = json.loads(written)
        assert content["truth_is_end_of_curves"] is True
        assert content["policies"][0] == {"name": "order-settling", "options": {}}
        assert content["mean"][0]["tau"] == pytest.approx(1.0)
        assert content["mean"][-1]["expected_tau"] is None
        assert "draw 1: tau of" in err

    def test_what_came_before_an_interruption_is_kept(
        self, taurank: Taurank, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def cut_off(comparison: Comparison, draw: int) -> list[PolicyRow]:
            if draw == 1:
                raise KeyboardInterrupt
            return compare_draw(comparison, draw)

        monkeypatch.setattr("taurank.orchestrator.replay.policies.compare_draw", cut_off)
        out = tmp_path / "rows.csv"
        code, written, _ = taurank("replay", "--table", file, *ASKED, "--out", out)
        assert code == 130
        assert written.splitlines()[-1] == "interrupted"
        assert set(pd.read_csv(out)["draw"]) == {0}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--policy", "asha", "--trainings", "[{epochs: 3}]"), "--trainings: --policy replays learning curves"),
            (("--policy", "asha", "--proxies", "none"), "--proxies: --policy replays"),
            (("--policy", "asha", "--supernets", "a=1"), "--supernets: --policy replays"),
            (("--policy", "asha", "--ray"), "--ray: --policy replays"),
            (("--metric", "validation_loss"), "use them with --policy"),
            (("--period", 2), "use them with --policy"),
            (("--policy", "ahsa"), "did you mean 'asha'?"),
            (
                ("--policy", "asha", "--candidates", 1000),
                "--candidates: 1,000 asked, but the table has 12 among architectures",
            ),
            (("--policy", "asha", "--metric", "validation_los"), "there is validation_accuracy"),
            (("--policy", "asha", "--metric", "test_accuracy"), "is no evidence, it may be the truth"),
            (("--policy", "asha", "--candidates", 10, "--truth", "test"), "--truth: the table has no test_accuracy"),
            (("--policy", "asha", "--candidates", 10, "--budget", "0.5x"), "--budget: 0.5x is more than full training"),
            (("--policy", "asha", "--candidates", 10, "--period", 11), "take a shorter --period"),
            (("--policy", "asha", "--candidates", 10, "--among", "some"), "--among: 'some' is none of"),
            (("--policy", "asha", "--candidates", 10, "--buy-seed", 4), "--buy-seed: 4 has no full training"),
        ],
    )
    def test_a_mistake_gets_one_line(
        self, arguments: tuple[object, ...], message: str, taurank: Taurank, file: Path
    ) -> None:
        code, _, err = taurank("replay", "--table", file, *arguments)
        assert code == 2
        assert message in err
        assert err.startswith("taurank: ")
        assert err.count("\n") == 1
