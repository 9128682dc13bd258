from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from taurank.orchestrator.ranker.aggregation import (
    AGGREGATIONS,
    ITERATIONS,
    PSEUDO_WINS,
    borda,
    bradley_terry,
    log_rank_sum,
    normal_score_sum,
)

NAN = float("nan")


@pytest.fixture
def sources() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    quality = generator.standard_normal(25)
    return [quality + generator.normal(0, 0.7, 25) for _ in range(3)]


def order(scores: np.ndarray) -> list[int]:
    return np.argsort(-scores, kind="stable").tolist()


class TestByHand:
    FIRST, SECOND = np.array([3.0, 1.0, 2.0]), np.array([5.0, 9.0, NAN])

    def test_normal_scores(self):
        a, b = stats.norm.ppf([5 / 6, 1 / 6]), stats.norm.ppf([1 / 4, 3 / 4])
        expected = [(a[0] + 3 * b[0]) / 4, (a[1] + 3 * b[1]) / 4, 0.0]
        assert normal_score_sum([self.FIRST, self.SECOND], [1.0, 3.0]) == pytest.approx(expected)

    def test_log_rank(self):
        expected = [(np.log(1) + 3 * np.log(1 / 2)) / 4, (np.log(1 / 3) + 3 * np.log(1)) / 4, np.log(2 / 3)]
        assert log_rank_sum([self.FIRST, self.SECOND], [1.0, 3.0]) == pytest.approx(expected)

    def test_borda(self):
        expected = [(1 + 3 * 1 / 2) / 4, (1 / 3 + 3 * 1) / 4, 2 / 3]
        assert borda([self.FIRST, self.SECOND], [1.0, 3.0]) == pytest.approx(expected)

    def test_bradley_terry_of_a_pair(self):
        # The better one of two has 1 of 1 games, and half a win and half a loss on top: strengths 1.5 to 0.5.
        scores = bradley_terry([np.array([2.0, 1.0])], [1.0])
        assert scores[0] - scores[1] == pytest.approx(np.log((1 + PSEUDO_WINS) / PSEUDO_WINS), abs=1e-6)

    def test_bradley_terry_of_a_tie(self):
        assert bradley_terry([np.array([1.0, 1.0])], [1.0]) == pytest.approx([0.0, 0.0])


class TestBradleyTerry:
    def test_wins_are_what_the_strengths_expect(self, sources):
        """The condition of the maximum: each one's wins equal the sum of its winning probabilities."""
        strengths = np.exp(bradley_terry(sources, [1.0, 1.0, 1.0]))
        wins = np.sum([stats.rankdata(source) - 1 for source in sources], axis=0) + PSEUDO_WINS * 24
        games = 3 + 2 * PSEUDO_WINS
        expected = [
            sum(games * strengths[i] / (strengths[i] + strengths[j]) for j in range(25) if j != i) for i in range(25)
        ]
        assert wins == pytest.approx(expected, abs=1e-4)

    def test_order_is_borda_s_where_everybody_is_known(self, sources):
        # Binary fractions, so that candidates with equal sums are equal in both.
        shares, strengths = (each(sources, [1.0, 2.0, 0.25]) for each in (borda, bradley_terry))
        by_share = np.argsort(shares)
        assert (np.diff(strengths[by_share]) > -1e-6).all()
        apart = np.diff(shares[by_share]) > 1e-9
        assert (np.diff(strengths[by_share])[apart] > 1e-4).all()

    def test_who_beats_only_weak_ones_is_not_as_good(self):
        # a > b > c of the first source, and d > c of the second: Borda gives d the same first place as a.
        first, second = np.array([3.0, 2.0, 1.0, NAN]), np.array([NAN, NAN, 1.0, 2.0])
        shares = borda([first, second], [1.0, 1.0])
        assert shares[3] == shares[0] == 1.0
        strengths = bradley_terry([first, second], [1.0, 1.0])
        assert strengths[0] > strengths[3]

    def test_converges(self, sources, monkeypatch):
        found = bradley_terry(sources, [1.0, 1.0, 1.0])
        monkeypatch.setattr("taurank.orchestrator.ranker.aggregation.ITERATIONS", 10 * ITERATIONS)
        assert bradley_terry(sources, [1.0, 1.0, 1.0]) == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize("name", AGGREGATIONS)
class TestAll:
    def test_one_source_is_its_order(self, name, sources):
        assert order(AGGREGATIONS[name](sources[:1], [0.7])) == order(sources[0])

    def test_candidates_can_be_permuted(self, name, sources):
        shuffled = np.random.default_rng(1).permutation(25)
        found = AGGREGATIONS[name]([source[shuffled] for source in sources], [1.0, 2.0, 3.0])
        assert found == pytest.approx(AGGREGATIONS[name](sources, [1.0, 2.0, 3.0])[shuffled])

    def test_monotone_transforms_change_nothing(self, name, sources):
        bent = [np.exp(sources[0]), sources[1] ** 3, sources[2] - 7]
        assert AGGREGATIONS[name](bent, [1.0, 1.0, 1.0]) == pytest.approx(AGGREGATIONS[name](sources, [1.0, 1.0, 1.0]))

    def test_who_has_no_source_has_no_score(self, name):
        found = AGGREGATIONS[name]([np.array([1.0, NAN, 2.0]), np.array([3.0, NAN, NAN])], [1.0, 1.0])
        assert np.isfinite(found).tolist() == [True, False, True]

    def test_the_heavier_source_is_followed(self, name, sources):
        light, heavy = sources[0], -sources[0]
        assert order(AGGREGATIONS[name]([light, heavy], [1.0, 20.0])) == order(heavy)
