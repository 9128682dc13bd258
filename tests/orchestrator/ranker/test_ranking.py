"""What a ranking tells of its order: tiers, chances to be among the best, the tau that it expects."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.ranker.ranking import Ranking
from taurank.orchestrator.tau import tau_b


def ranking(samples) -> Ranking:
    samples = np.asarray(samples, dtype=float)
    count = samples.shape[1]
    table = pd.DataFrame({"rank": np.arange(1, count + 1), "architecture": [f"c{index}" for index in range(count)]})
    return Ranking(table=table, samples=samples, weights={})


def beaten_by_first(*times: int) -> list[list[float]]:
    """Ten draws in which the first beats each of the others so many times."""
    return [[0.0, *(-1.0 if draw < wins else 1.0 for wins in times)] for draw in range(10)]


class TestTiers:
    def test_a_tier_ends_at_the_first_that_its_first_beats(self):
        # c0 beats c1 in 8, c2 in 9 and c3 in 8 of 10 draws: c2 opens a tier, and c2 does not beat c3.
        found = ranking(beaten_by_first(8, 9, 8)).tiers()
        assert found.tolist() == [1, 1, 2, 2]
        assert found.name == "tier"

    def test_the_level_is_that_of_the_first_of_the_tier(self):
        given = ranking(beaten_by_first(6, 7, 9))
        assert given.tiers(0.6).tolist()[:2] == [1, 2]
        assert given.tiers(0.7).tolist()[:3] == [1, 1, 2]
        assert given.tiers(1.0).tolist() == [1, 1, 1, 1]

    def test_a_tie_is_half_a_win(self):
        assert ranking([[0.0, 0.0]] * 2 + [[1.0, 0.0]] * 8).tiers(0.9).tolist() == [1, 2]
        assert ranking([[0.0, 0.0]] * 3 + [[1.0, 0.0]] * 7).tiers(0.9).tolist() == [1, 1]

    def test_certain_orders_have_a_tier_each_and_empty_ones_a_single_one(self):
        assert ranking(np.tile(-np.arange(200.0), (5, 1))).tiers().tolist() == list(range(1, 201))
        assert ranking(np.zeros((5, 200))).tiers().tolist() == [1] * 200
        assert ranking([[1.0]]).tiers().tolist() == [1]

    def test_a_long_tier_is_looked_through_to_its_end(self):
        # Only the very last of 500 is beaten often enough.
        samples = np.random.default_rng(0).standard_normal((100, 500))
        samples[:, -1] = -100
        assert ranking(samples).tiers(0.95).tolist() == [1] * 499 + [2]

    def test_as_defined_pair_by_pair(self):
        generator = np.random.default_rng(1)
        given = ranking(-np.arange(150) / 12 + generator.standard_normal((60, 150)))
        expected, first, tier = [], 0, 1
        for place in range(150):
            if place > first and given.probability(f"c{first}", f"c{place}") >= 0.9:
                first, tier = place, tier + 1
            expected.append(tier)
        assert given.tiers().tolist() == expected
        assert 3 < tier < 30

    @pytest.mark.parametrize("level", [0.5, 0.0, 1.01])
    def test_level_out_of_range(self, level):
        with pytest.raises(ValueError, match=f"level is {level}; it has to be above 0.5"):
            ranking([[1.0, 2.0]]).tiers(level)

    def test_stand_in_the_files_and_leave_the_table(self, tmp_path):
        given = ranking(beaten_by_first(8, 9, 8))
        given.write(tmp_path)
        for read in (pd.read_csv(tmp_path / "ranking.csv"), pd.read_parquet(tmp_path / "ranking.parquet")):
            assert list(read.columns) == ["rank", "tier", "architecture"]
            assert read["tier"].tolist() == [1, 1, 2, 2]
        assert list(given.table.columns) == ["rank", "architecture"]


class TestTopProbability:
    def test_by_hand(self):
        found = ranking([[3, 2, 1], [1, 3, 2], [3, 1, 2], [2, 3, 1]])
        assert found.top_probability(1).tolist() == [0.5, 0.5, 0.0]
        assert found.top_probability(2).tolist() == [0.75, 0.75, 0.5]
        assert found.top_probability(3).tolist() == [1.0, 1.0, 1.0]

    def test_ties_share_a_place(self):
        assert ranking([[2, 1, 1, 0]]).top_probability(2).tolist() == [1.0, 0.5, 0.5, 0.0]

    def test_adds_up_to_k(self):
        given = ranking(np.random.default_rng(2).integers(0, 6, (40, 25)))
        for k in (1, 5, 25):
            assert given.top_probability(k).sum() == pytest.approx(k)

    @pytest.mark.parametrize("k", [0, 3])
    def test_k_out_of_range(self, k):
        with pytest.raises(ValueError, match=f"k is {k}; it has to be between 1 and the 2 candidates"):
            ranking([[1.0, 2.0]]).top_probability(k)


class TestWinProbabilities:
    def test_is_that_of_each_two(self):
        found = ranking([[3, 2, 2], [1, 2, 0], [2, 2, 1], [4, 0, 1]])
        wins = found.win_probabilities(3)
        names = list(found.table["architecture"])
        assert wins.tolist() == [[found.probability(a, b) if a != b else 0.5 for b in names] for a in names]
        assert wins[0, 1] == 0.625  # two wins and a tie of four draws
        assert found.win_probabilities(2).tolist() == wins[:2, :2].tolist()

    @pytest.mark.parametrize(
        ("draws", "level", "places"),
        [
            ([[2, 1, 0]] * 9 + [[0, 1, 2]], 0.9, [0]),
            ([[2, 1, 0]] * 8 + [[0, 1, 2]] * 2, 0.9, [0, 2]),
            ([[2, 1, 0]] * 8 + [[0, 1, 2]] * 2, 0.8, [0]),
            ([[0, 0, 0]], 0.9, [0, 1, 2]),
            ([[1.0]], 0.9, [0]),
        ],
    )
    def test_the_fewest_that_may_be_the_best(self, draws, level, places):
        assert ranking(draws).likely_best(level) == places


class TestExpectedTau:
    def test_mean_and_interval_over_draws(self):
        samples = -np.arange(12) + 4 * np.random.default_rng(3).standard_normal((50, 12))
        taus = [tau_b(-np.arange(12), draw) for draw in samples]
        found = ranking(samples)
        assert found.expected_tau == pytest.approx(np.mean(taus))
        assert found.expected_tau_interval == pytest.approx(tuple(np.quantile(taus, [0.05, 0.95])))

    @pytest.mark.parametrize("count", [2, 3, 4, 12])
    def test_the_mean_lies_in_its_interval(self, count):
        """Of two candidates tau is 1 or -1, so that all quantiles are 1 while the mean is not."""
        generator = np.random.default_rng(count)
        for spread in (0.3, 1.0, 5.0):
            for _ in range(8):
                found = ranking(-np.arange(count) + spread * generator.standard_normal((60, count)))
                low, high = found.expected_tau_interval
                assert -1 <= low <= found.expected_tau <= high <= 1

    def test_one_candidate_expects_nothing(self):
        assert math.isnan(ranking([[1.0], [2.0]]).expected_tau)
        assert all(math.isnan(end) for end in ranking([[1.0], [2.0]]).expected_tau_interval)


class TestLoses:
    def table(self, count: int, evidence: str = "size, training-3", epochs: float = 3.0) -> Ranking:
        made = ranking(np.tile(-np.arange(count, dtype=float), (5, 1)))
        made.table["evidence"], made.table["epochs"] = evidence, epochs
        return made

    @pytest.mark.parametrize(
        ("poorer", "now"),
        [
            ({"count": 5}, "5 candidates from 10 sources and 15.0 epochs"),
            ({"count": 6, "evidence": "size"}, "6 candidates from 6 sources and 18.0 epochs"),
            ({"count": 6, "epochs": 2.0}, "6 candidates from 12 sources and 12.0 epochs"),
            ({"count": 6, "evidence": "", "epochs": 0.0}, "6 candidates from 0 sources and 0.0 epochs"),
        ],
    )
    def test_says_what_is_lost(self, tmp_path, poorer, now):
        self.table(6).write(tmp_path)
        text = self.table(**poorer).loses(tmp_path)
        file = tmp_path / "ranking.csv"
        assert text == (
            f"{file} had 6 candidates from 12 sources and 18.0 epochs of evidence; "
            f"it is replaced by a ranking of {now} of evidence"
        )

    @pytest.mark.parametrize("richer", [{"count": 6}, {"count": 7}, {"count": 6, "epochs": 9.0}])
    def test_nothing_is_lost(self, tmp_path, richer):
        self.table(6).write(tmp_path)
        assert self.table(**richer).loses(tmp_path) == ""

    @pytest.mark.parametrize("content", [None, b"", b"a,b\n1,2\n", b"\xff\xfe\x00"])
    def test_no_file_of_ours(self, tmp_path, content):
        if content is not None:
            (tmp_path / "ranking.csv").write_bytes(content)
        assert self.table(6).loses(tmp_path) == ""
