from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from taurank.orchestrator.ranker import RankerOptions, make_views, normal_scores, rank_evidence
from tests.orchestrator.ranker.tables import FULL, Table, accuracy, bare, order


class TestOrder:
    def test_of_one_view_is_the_view(self, quality):
        found = Table(30).size(np.exp(quality)).rank()
        assert order(found) == np.argsort(-quality).tolist()
        assert found.weights == {"size": 1.0}
        assert found.table["predicted_accuracy"].isna().all()
        # A single cheap view explains half of the variance: a correlation of .71, a tau of .50.
        assert found.expected_tau == pytest.approx(0.5, abs=0.08)

    def test_agreement_of_cheap_views_is_no_proof(self, quality):
        # What they have in common may be an error in common.
        agreed = Table(30).size(np.exp(quality)).supernet(quality).rank()
        assert agreed.expected_tau < 0.6

    def test_disagreement_makes_less_sure(self, quality):
        def expected(other) -> float:
            return Table(30).size(np.exp(quality)).supernet(other).rank().expected_tau

        generators = [np.random.default_rng(seed) for seed in range(4)]
        half = np.mean([expected(quality + generator.normal(0, 1.9, 30)) for generator in generators])
        none = np.mean([expected(generator.permutation(quality)) for generator in generators])
        assert none < half - 0.03

    def test_two_equal_views_are_the_sum_of_normal_scores(self):
        quality = np.random.default_rng(6).standard_normal((2, 25))
        found = Table(25).size(np.exp(quality[0])).supernet(quality[1]).rank()
        total = normal_scores(quality[0]) + normal_scores(quality[1])
        assert order(found) == np.argsort(-total).tolist()
        assert found.weights == {"size": pytest.approx(0.5), "supernet:uniform": pytest.approx(0.5)}

    def test_without_any_evidence_everybody_may_be_anywhere(self):
        found = Table(20).rank()
        assert found.table["architecture"].tolist() == Table(20).codes
        assert (found.table["score"] == 0).all()
        assert (found.table["rank_high"] - found.table["rank_low"] >= 15).all()
        assert found.weights == {}
        assert found.expected_tau == pytest.approx(0.0, abs=0.05)

    def test_fewer_than_seven_full_trainings_only_give_a_scale(self, usual):
        without = [row for row in usual.rows if row["stage"] != "training-40"]
        expected = rank_evidence(pd.DataFrame(without), bare(usual.codes), full_epochs=FULL, seed=0)
        contradicting = usual.rank()  # the two full trainings say the opposite of each other's place
        assert order(contradicting) == order(expected)
        assert "training-40" not in contradicting.weights

    def test_many_full_trainings_are_followed(self, quality):
        misled = -quality
        table = Table(30).size(np.exp(misled)).training(3, accuracy(misled)).training(FULL, accuracy(quality))
        assert stats.kendalltau(table.rank().table["score"], accuracy(quality)[order(table.rank())]).statistic > 0.95

    def test_labels_tell_a_good_view_from_a_useless_one(self, quality):
        useless = np.random.default_rng(10).standard_normal(30)
        cheap = Table(30).size(np.exp(useless)).supernet(quality)
        before = cheap.rank()
        # Among cheap views nothing says which one is right; the trainings do, of those whom nobody trained too.
        assert before.weights["supernet:uniform"] == pytest.approx(before.weights["size"])
        found = cheap.training(FULL, {index: accuracy(quality)[index] for index in range(0, 30, 2)}).rank()

        def tau_of_untrained(ranking) -> float:
            places = ranking.table.set_index("architecture")["rank"].sort_index().to_numpy()
            return float(stats.kendalltau(-places[1::2], quality[1::2]).statistic)

        assert tau_of_untrained(before) < 0.6
        assert tau_of_untrained(found) > 0.8
        assert found.weights["full trainings"] > 0.1

    def test_a_candidate_without_evidence_is_in_the_middle(self, quality):
        table = Table(30).size(np.exp(quality)).training(3, accuracy(quality))
        table.rows = [row for row in table.rows if row["architecture"] != "c007"]
        row = table.rank().table.set_index("architecture").loc["c007"]
        assert 12 <= row["rank"] <= 19
        assert row["score"] == pytest.approx(0.0, abs=0.1)
        assert row["evidence"] == ""
        assert row["rank_high"] - row["rank_low"] > 20

    def test_a_missing_view_makes_less_sure_of_that_candidate(self, quality):
        table = Table(30).size(np.exp(quality)).training(3, accuracy(quality))
        table.rows = [row for row in table.rows if (row["architecture"], row["stage"]) != ("c007", "training-3")]
        found = table.rank()
        widths = (found.table["rank_high"] - found.table["rank_low"]).set_axis(found.table["architecture"])
        assert widths["c007"] > widths.median()
        assert found.table.set_index("architecture").loc["c007", "evidence"] == "size"

    def test_failed_candidates_come_last(self, usual):
        usual.rows = [
            row | {"value": math.nan} if row["architecture"] == "c011" and row["stage"] == "training-3" else row
            for row in usual.rows
        ]
        found = usual.rank()
        assert sorted(found.table["architecture"]) == usual.codes
        row = found.table.set_index("architecture").loc["c011"]
        assert row["rank"] == 30
        assert row[["score", "predicted_accuracy", "accuracy_low", "accuracy_high"]].isna().all()
        assert row["evidence"] == "size"
        assert row["epochs"] == 3.0  # what it cost is not forgotten

    def test_early_ends_are_trusted_less_than_full_trainings(self):
        table, quality = Table(20), np.linspace(-1, 1, 20)
        for index, code in enumerate(table.codes):
            epoch = FULL if index >= 10 else 2
            table.add(
                "training-40:asha", "training", code, epoch, FULL, "validation_accuracy", accuracy(quality)[index]
            )
        found = table.rank()
        spread = pd.Series(found.samples.std(axis=0), index=found.table["architecture"])
        early, full = spread[[f"c{i:03d}" for i in range(10)]], spread[[f"c{i:03d}" for i in range(10, 20)]]
        assert early.median() > 1.5 * full.median()

    @pytest.mark.parametrize("count", [1, 2, 3])
    def test_very_few_candidates(self, count):
        quality = np.linspace(1, -1, count)
        found = Table(count).size(np.exp(quality)).training(3, accuracy(quality)).training(FULL, {0: 0.9}).rank()
        assert order(found) == list(range(count))
        final = found.table.set_index("architecture")["predicted_accuracy"]
        assert final["c000"] == 0.9
        assert final.drop("c000").isna().all()  # one full training says nothing of others


class TestInvariance:
    def test_another_seed_moves_the_intervals_and_not_the_order(self, usual):
        first, second = usual.rank(seed=0), usual.rank(seed=1)
        assert order(first) == order(second)
        assert not (first.samples == second.samples).all()

    def test_monotone_transforms_leave_the_order(self, usual):
        bent = [
            row | {"value": row["value"] ** 3 if row["source"] == "training" else math.log(row["value"])}
            for row in usual.rows
        ]
        found = rank_evidence(pd.DataFrame(bent), bare(usual.codes), full_epochs=FULL, seed=0)
        expected = usual.rank()
        assert order(found) == order(expected)
        for column in ("score", "rank_low", "rank_high"):
            assert found.table[column].to_numpy() == pytest.approx(expected.table[column].to_numpy())


class TestRanking:
    def test_predicted_accuracies(self, usual):
        table = usual.rank().table
        assert (table["accuracy_low"] < table["predicted_accuracy"]).all()
        assert (table["predicted_accuracy"] < table["accuracy_high"]).all()
        assert table["accuracy_low"].min() > 0
        assert table["accuracy_high"].max() < 1
        measured = table["architecture"].isin(["c004", "c017", "c020"])
        assert table["predicted_accuracy"][~measured].is_monotonic_decreasing  # in the order of the ranking
        assert table["predicted_accuracy"][~measured].mean() == pytest.approx(0.8, abs=0.06)
        own = table[measured].set_index("architecture")["predicted_accuracy"]
        assert own.to_dict() == {"c004": 0.9, "c017": 0.7, "c020": 0.8}

    def test_no_predicted_accuracy_without_a_full_training(self, quality):
        table = Table(30).size(np.exp(quality)).training(3, accuracy(quality)).supernet(quality).rank().table
        assert table[["predicted_accuracy", "accuracy_low", "accuracy_high"]].isna().all(axis=None)

    def test_costs_add_up(self, usual):
        usual.supernet(np.arange(30.0))
        table = usual.rank().table
        assert table["epochs"].sum() == pytest.approx(30 * 3 + 3 * 40 + 10 + 30 * 0.25)
        assert table["seconds"].sum() == pytest.approx(usual.frame["seconds"].sum())
        # A candidate's own, and its part of what all share.
        row = table.set_index("architecture").loc["c004"]
        assert row["epochs"] == pytest.approx(3 + 40 + 0.25 + 10 / 30)

    def test_evidence_names_the_views(self, usual):
        table = usual.rank().table.set_index("architecture")
        assert table.loc["c004", "evidence"] == "size, training-3, training-40"
        assert table.loc["c005", "evidence"] == "size, training-3"

    def test_probability(self, usual):
        found = usual.rank()
        best, worst = found.table["architecture"].iloc[[0, -1]]
        assert found.probability(best, worst) > 0.9
        assert found.probability(best, worst) + found.probability(worst, best) == pytest.approx(1.0)
        assert found.probability(best, best) == 0.5
        with pytest.raises(KeyError):
            found.probability(best, "nobody")


def test_intervals_cover_where_the_model_holds():
    """Views with independent errors and the loadings that the model expects: close to 90 % of ranks are inside."""
    generator = np.random.default_rng(12)
    inside, expected, reached = [], [], []
    for draw in range(12):
        z = generator.standard_normal(60)
        views = [math.sqrt(0.5) * z + math.sqrt(0.5) * generator.standard_normal(60) for _ in range(2)]
        found = Table(60).size(np.exp(views[0])).supernet(views[1]).rank(seed=draw)
        table = found.table.sort_values("architecture")
        ranks = stats.rankdata(-z)
        inside.append(np.mean((table["rank_low"] <= ranks) & (ranks <= table["rank_high"])))
        expected.append(found.expected_tau)
        reached.append(stats.kendalltau(-table["rank"], z).statistic)
    assert 0.85 <= np.mean(inside) <= 0.97
    assert np.mean(expected) == pytest.approx(np.mean(reached), abs=0.08)


DATA = os.environ.get("TAURANK_DATA")


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="needs the recorded trainings: set TAURANK_DATA")
class TestOnRecordedTrainings:
    """NAS-Bench-201 on CIFAR-10: size and 12 of 200 epochs of all, 3 full trainings; truth by two other seeds."""

    DRAWS, COUNT = 8, 100

    @pytest.fixture(scope="class")
    def measured(self):
        folder = Path(str(DATA)) / "nb201"
        cells = pd.read_parquet(folder / "nb201_cifar10.parquet")
        proxies = pd.read_parquet(folder / "nb201_cifar10_proxies.parquet", columns=["arch_index", "c10_flops"])
        cells = cells.merge(proxies, on="arch_index")  # the live ones
        seeds = [f"c10_val_hp200_s{seed}" for seed in range(3)]
        cells = cells[cells[seeds].notna().all(axis=1)]
        # Cells of one function have the same size and nearly the same accuracies.
        cells = cells.drop_duplicates(["c10_params_M", "c10_flops", "c10_val_hp12"])
        return pd.DataFrame([self.one(cells, seeds, draw) for draw in range(self.DRAWS)]).mean()

    def one(self, cells: pd.DataFrame, seeds: list[str], draw: int) -> dict[str, float]:
        drawn = cells.sample(self.COUNT, random_state=draw)
        truth = drawn[seeds[1:]].mean(axis=1).to_numpy() / 100
        short, first = drawn["c10_val_hp12"].to_numpy() / 100, drawn[seeds[0]].to_numpy() / 100
        table = Table(self.COUNT).training(12, short, stage="training-12")
        for code, parameters, flops in zip(table.codes, drawn["c10_params_M"], drawn["c10_flops"], strict=True):
            table.add("size", "size", code, 0, 0, "parameters", parameters)
            table.add("size", "size", code, 0, 0, "flops", flops)
        known = rank_evidence(table.frame, bare(table.codes), full_epochs=200, seed=0).table["architecture"]
        anchors = [int(known[place][1:]) for place in (16, 50, 83)]
        table.training(200, {index: first[index] for index in anchors}, stage="training-200")
        ranking = rank_evidence(table.frame, bare(table.codes), full_epochs=200, seed=0)
        found = ranking.table.sort_values("architecture")
        true_rank = stats.rankdata(-truth)

        def tau(scores) -> float:
            return float(stats.kendalltau(scores, truth).statistic)

        def log_rank(scores) -> np.ndarray:
            return -np.log(stats.rankdata(-np.asarray(scores)))

        size = log_rank(drawn["c10_params_M"]) / 2 + log_rank(drawn["c10_flops"]) / 2
        low, high = found["accuracy_low"].to_numpy(), found["accuracy_high"].to_numpy()
        return {
            "ours": tau(-found["rank"]),
            "size": tau(size),
            "short": tau(short),
            "log rank": tau(size + log_rank(short)),
            "expected": ranking.expected_tau,
            "ranks inside": np.mean((found["rank_low"] <= true_rank) & (true_rank <= found["rank_high"])),
            "accuracies inside": np.mean((low <= truth) & (truth <= high)),
        }

    def test_beats_each_source_alone(self, measured):
        assert measured["ours"] > measured["size"] + 0.1
        assert measured["ours"] > measured["short"] + 0.05

    def test_is_no_worse_than_the_sum_of_log_ranks(self, measured):
        assert measured["ours"] > measured["log rank"] - 0.01
        assert measured["ours"] > 0.72

    def test_intervals_hold_the_truth(self, measured):
        assert measured["ranks inside"] > 0.85
        assert measured["accuracies inside"] > 0.85

    def test_does_not_promise_more_than_it_keeps(self, measured):
        assert measured["ours"] - 0.2 < measured["expected"] < measured["ours"] + 0.05


class TestTrainingLoss:
    """Trainings of equal length are seen by their training loss too."""

    def views(self, *losses: tuple[int, int, float]):
        table = Table(4).training(2, [0.5, 0.6, 0.7, 0.8])
        for index, epoch, value in losses:
            table.add("training-2", "training", table.codes[index], epoch, 2, "train_loss", value)
        return {view.name: view for view in make_views(table.frame, table.codes, full_epochs=FULL)}

    def test_lower_is_better_and_the_last_epoch_counts(self):
        last = [(index, 2, value) for index, value in enumerate([0.4, 0.1, 0.3, 0.2])]
        views = self.views(*((index, 1, float(index)) for index in range(4)), *last)
        np.testing.assert_array_equal(views["training-2:train_loss"].order, [-0.4, -0.1, -0.3, -0.2])
        assert views["training-2:train_loss"].stage == "training-2"

    def test_trainings_that_ended_at_different_epochs_have_no_such_view(self):
        views = self.views((0, 1, 0.4), (1, 2, 0.1), (2, 2, 0.3), (3, 2, 0.2))
        assert list(views) == ["training-2"]

    def test_it_moves_the_order_where_accuracies_are_tied(self):
        table = Table(8).training(2, [0.5] * 4 + [0.7] * 4)
        for index, value in enumerate([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]):
            table.add("training-2", "training", table.codes[index], 2, 2, "train_loss", value)
        assert list(table.rank().table["architecture"]) == table.codes[::-1]

    def test_it_counts_for_nothing_where_it_is_not_to_count(self):
        table = Table(8).training(2, [0.5] * 4 + [0.7] * 4)
        unseen = table.rank(options=RankerOptions(training_loss=False)).samples
        for index, value in enumerate([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]):
            table.add("training-2", "training", table.codes[index], 2, 2, "train_loss", value)
        np.testing.assert_array_equal(table.rank(options=RankerOptions(training_loss=False)).samples, unseen)
        assert not np.array_equal(table.rank().samples, unseen)
