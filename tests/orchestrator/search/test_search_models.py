"""Closed forms of what searchers are made of, and what each is told to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from taurank.orchestrator.search import Observation, Problem, SearchError, final_list, make_searcher
from taurank.orchestrator.search.drawing import listed, mutant
from taurank.orchestrator.search.hurricane import HurricaneSearcher
from taurank.orchestrator.search.pnas import PnasSearcher, ensemble_mean, progression_of
from taurank.orchestrator.search.pool import Pool
from taurank.orchestrator.search.posterior import expected_improvement
from taurank.orchestrator.search.regularised_evolution import EvolutionSearcher
from taurank.orchestrator.search.surrogate import Surrogate
from taurank.spaces import Architecture, RestrictedSpace, get_space
from taurank.spaces.cells.pnas import OPERATIONS, PNAS

CELLS = get_space("nasbench201")
SMALL = RestrictedSpace(CELLS, [("skip_connect", "nor_conv_1x1", "nor_conv_3x3")] * 5 + [("nor_conv_3x3",)])


def additive(architecture: Architecture) -> float:
    worth = (0.0, 0.1, 0.5, 1.0, 0.3)
    return float(0.5 + 0.08 * np.mean([worth[choice] for choice in CELLS.choices(architecture)]))


def tell(searcher: EvolutionSearcher | PnasSearcher | HurricaneSearcher, architectures: Sequence[Architecture]) -> None:
    searcher.tell(Observation(one, {"accuracy": additive(one)}) for one in architectures)


class TestExpectedImprovement:
    def test_at_the_best_it_is_the_density_at_0_times_the_sd(self) -> None:
        assert expected_improvement([2.0], [3.0], 2.0) == pytest.approx([3 / math.sqrt(2 * math.pi)])

    def test_one_sd_above_and_below(self) -> None:
        assert expected_improvement([1.0, -1.0], [1.0, 1.0], 0.0) == pytest.approx([1.0833154706, 0.0833154706])

    def test_without_uncertainty_it_is_what_is_above_the_best(self) -> None:
        assert expected_improvement([0.5, 2.0, 1.0], [0.0, 0.0, 0.0], 1.0).tolist() == [0.0, 1.0, 0.0]

    def test_it_is_the_mean_of_what_draws_are_above_the_best(self) -> None:
        draws = np.random.default_rng(0).normal(0.3, 0.7, 400_000)
        assert expected_improvement([0.3], [0.7], 0.8) == pytest.approx(np.maximum(draws - 0.8, 0).mean(), abs=0.002)

    def test_far_below_the_best_it_is_never_negative(self) -> None:
        assert (expected_improvement(np.linspace(-60, 0, 50), np.ones(50), 0.0) >= 0).all()


class TestSurrogate:
    @pytest.fixture(scope="class")
    def told(self) -> list[tuple[Architecture, float, float]]:
        everybody = listed(SMALL) or ()
        drawn = np.random.default_rng(0).choice(len(everybody), 25, replace=False)
        return [(everybody[place], additive(everybody[place]), 1.0) for place in drawn]

    @pytest.fixture(scope="class")
    def surrogate(self, told: list[tuple[Architecture, float, float]]) -> Surrogate:
        return Surrogate(Pool(SMALL, listed(SMALL) or (), None, 0), told, regressor="gaussian-process", seed=0)

    def test_it_orders_what_it_has_not_seen(self, surrogate: Surrogate) -> None:
        truth = [additive(one) for one in surrogate.pool.architectures]
        assert stats.spearmanr(surrogate.mean[~surrogate.trained], np.array(truth)[~surrogate.trained])[0] > 0.85

    def test_imagined_labels_shrink_the_sd_as_real_ones_do(self, surrogate: Surrogate) -> None:
        others = [one for one in surrogate.pool.architectures if not surrogate.trained[surrogate.pool.place[one]]][:7:2]
        found = surrogate.sd_given(others)
        process = surrogate._regressor.process  # type: ignore[attr-defined]
        factors = np.concatenate([surrogate._labels.noise_factors, np.ones(len(others))])
        rows = np.concatenate([surrogate._labels.rows, [surrogate.pool.place[one] for one in others]])
        process.condition(rows, np.zeros(len(rows)), noise_factors=factors)
        expected = np.sqrt(process.posterior_variance(np.arange(len(surrogate.mean))))
        assert found == pytest.approx(expected, abs=1e-6)
        assert (found <= surrogate.sd + 1e-9).all()

    def test_a_size_that_tells_everything_is_the_order_where_labels_are_few(self) -> None:
        def size(architectures: Sequence[Architecture]) -> Mapping[str, Sequence[float]]:
            return {"parameters": [additive(one) for one in architectures]}

        everybody = listed(SMALL) or ()
        told = [(one, additive(one), 1.0) for one in everybody[:60:20]]
        truth = [additive(one) for one in sorted(everybody)]

        def spearman(free: bool) -> float:
            pool = Pool(SMALL, everybody, size if free else None, 0)
            return float(stats.spearmanr(Surrogate(pool, told, regressor="gaussian-process", seed=0).mean, truth)[0])

        assert spearman(free=True) > 0.9 > spearman(free=False)

    def test_short_trainings_are_evidence_too(self, told: list[tuple[Architecture, float, float]]) -> None:
        everybody = listed(SMALL) or ()
        truth = np.array([additive(one) for one in sorted(everybody)])
        shorts = [(one, 0.5 * additive(one), 0.1) for one in everybody]

        def spearman(known: list[tuple[Architecture, float, float]]) -> float:
            pool = Pool(SMALL, everybody, None, 0)
            return float(stats.spearmanr(Surrogate(pool, known, regressor="gaussian-process", seed=0).mean, truth)[0])

        assert spearman(told[:6] + shorts) > 0.95 > spearman(told[:6])


def test_a_mutant_takes_another_option_for_one_decision() -> None:
    generator = np.random.default_rng(0)
    parent = CELLS.sample(1, generator)[0]
    for _ in range(50):
        taken, before = CELLS.choices(mutant(CELLS, parent, generator)), CELLS.choices(parent)
        assert sum(one != other for one, other in zip(taken, before, strict=True)) == 1


class TestEvolution:
    def test_the_oldest_die_though_they_are_the_best(self) -> None:
        searcher = EvolutionSearcher(Problem(CELLS), population=3, sample=3)
        best = CELLS.parse("3-33-333")
        others = [CELLS.parse(code) for code in ("1-nn-s1n", "1-1n-nnp", "p-nn-sps")]
        searcher.tell([Observation(best, {"accuracy": 0.9})])
        searcher.tell(Observation(one, {"accuracy": 0.1}) for one in others)
        (child,) = searcher.ask()
        near = {CELLS.canonical(one) for other in others for one in CELLS.neighbours(CELLS.canonical(other))}
        assert child in near
        assert child not in {CELLS.canonical(one) for one in CELLS.neighbours(best)}

    def test_lower_is_better_where_the_objective_says_so(self) -> None:
        searcher = EvolutionSearcher(Problem(CELLS, objectives={"loss": "lower"}), population=2, sample=2)
        good, bad = CELLS.parse("3-33-333"), CELLS.parse("n-nn-snn")
        searcher.tell([Observation(good, {"loss": 0.1}), Observation(bad, {"loss": 2.0})])
        assert searcher.best(1) == [CELLS.canonical(good)]
        assert searcher.ask()[0] in {CELLS.canonical(one) for one in CELLS.neighbours(CELLS.canonical(good))}

    def test_the_highest_fidelity_counts_and_equal_ones_are_averaged(self) -> None:
        searcher = EvolutionSearcher(Problem(CELLS))
        one = CELLS.canonical(CELLS.parse("3-33-333"))
        for value, fidelity in ((0.2, 0.1), (0.6, 1.0), (0.8, 1.0), (0.3, 0.5)):
            searcher.tell([Observation(one, {"accuracy": value}, fidelity)])
        assert searcher.scored == {one: pytest.approx(0.7)}


def test_nsga2_keeps_the_front_of_two_objectives() -> None:
    def shares(objectives: Mapping[str, str]) -> tuple[float, float]:
        """Mean accuracy and mean number of 3x3 convolutions of the last 40 of 120."""
        searcher = make_searcher("nsga2", CELLS, objectives=objectives, population=20)  # type: ignore[arg-type]
        for _ in range(6):
            searcher.tell(
                Observation(one, {"accuracy": additive(one), "latency": one.code.count("3x3")})
                for one in searcher.ask(20)
            )
        last = [observation.values for observation in searcher.observations[-40:]]
        return float(np.mean([one["accuracy"] for one in last])), float(np.mean([one["latency"] for one in last]))

    accurate, slow = shares({"accuracy": "higher"})
    less, quick = shares({"accuracy": "higher", "latency": "lower"})
    assert less < accurate
    assert quick < slow - 1


class TestProgression:
    def test_pnas_has_136_cells_of_one_block_and_each_grows_into_300(self) -> None:
        space = get_space("pnas")
        growing = progression_of(space)
        assert (growing.levels, len(growing.first)) == (5, 136)
        assert len(growing.grow(growing.first[0])) == 300

    def test_nasbench201_grows_by_nodes_from_1_edge_to_3_to_6(self) -> None:
        growing = progression_of(CELLS)
        first = growing.first
        second = growing.grow(CELLS.parse("n-nn-3nn"))
        third = growing.grow(CELLS.parse("1-nn-3pn"))
        assert [CELLS.parse(code) for code in ("n-nn-nnn", "n-nn-snn", "n-nn-1nn", "n-nn-3nn", "n-nn-pnn")] == first
        assert len(set(second)) == 25
        assert {CELLS.choices(one)[3] for one in second} == {3}
        assert {place for one in second for place, choice in enumerate(CELLS.choices(one)) if choice} == {0, 3, 4}
        assert len(set(third)) == 125
        assert {tuple(CELLS.choices(one)[place] for place in (0, 3, 4)) for one in third} == {(2, 3, 4)}

    def test_all_of_the_first_level_then_a_beam_of_each_and_none_before_the_last_is_told(self) -> None:
        searcher = PnasSearcher(Problem(CELLS), beam=5, members=2, regressor="gaussian-process")
        first = searcher.ask(50)
        assert sorted(CELLS.short(one) for one in first) == ["n-nn-1nn", "n-nn-3nn", "n-nn-pnn", "n-nn-snn"]
        tell(searcher, first[:-1])
        assert searcher.ask() == []
        assert searcher.ended == ""
        tell(searcher, first[-1:])
        before = set(first)
        for _ in (2, 3):
            asked, level = searcher.ask(50), searcher.predictions().keys()
            assert len(asked) == 5
            assert set(asked) <= level
            assert before.isdisjoint(level)
            before |= level
            tell(searcher, asked)

    def test_where_the_whole_first_level_failed_nothing_grows(self) -> None:
        searcher = PnasSearcher(Problem(CELLS))
        searcher.tell(Observation(one, {"accuracy": math.nan}) for one in searcher.ask(50))
        assert searcher.ask() == []
        assert "no trained architecture to grow" in searcher.ended


class TestPnasOracle:
    """The synthetic test of the source's method: additive accuracies with interplay instead of trainings."""

    SPACE = get_space("pnas", blocks=2)

    def oracle(self, seed: int) -> dict[Architecture, float]:
        space = self.SPACE
        assert isinstance(space, PNAS)
        generator = np.random.default_rng(seed)
        worth = dict(zip(OPERATIONS, generator.normal(0, 1, len(OPERATIONS)), strict=True))
        source = generator.normal(0, 0.3, 3)
        pair = {(one, other): generator.normal(0, 0.4) for one in OPERATIONS for other in OPERATIONS}

        def value(one: Architecture) -> float:
            cell = space.cell(one)
            blocks = [
                sum(worth[name] + source[state] for state, name in block) + pair[block[0][1], block[1][1]]
                for block in cell
            ]
            return float(1 / (1 + np.exp(-0.5 * np.mean(blocks))))

        return {one: value(one) for one in listed(space) or ()}

    def test_it_finds_one_of_the_best_percent_and_trains_less_than_two_percent(self) -> None:
        truth = self.oracle(0)
        searcher = PnasSearcher(Problem(self.SPACE), beam=20, members=2, regressor="gaussian-process")
        for _ in range(2):
            asked = searcher.ask(136)
            searcher.tell(Observation(one, {"accuracy": truth[one]}) for one in asked)
        found = max(searcher.scored.values())
        assert len(searcher.observations) == 136 + 20 < 0.02 * len(truth)
        assert np.mean([value > found for value in truth.values()]) < 0.01

    def test_cells_of_one_block_predict_the_order_of_those_of_two(self) -> None:
        correlations = []
        for seed in range(2):
            truth = self.oracle(seed)
            told = [(one, value, 1.0) for one, value in truth.items() if "_" not in one.code]
            drawn = np.random.default_rng(seed).choice(len(truth), 1_500, replace=False)
            children = [list(truth)[place] for place in drawn]
            pool = Pool(self.SPACE, [*children, *(one for one, _, _ in told)], None, 0)
            mean = ensemble_mean(pool, told, regressor="gaussian-process", seed=seed, members=2)
            assert mean is not None
            ours = [mean[pool.place[one]] for one in children]
            correlations.append(stats.spearmanr(ours, [truth[one] for one in children])[0])
        assert np.mean(correlations) > 0.5


class TestHurricane:
    def test_later_decisions_first_then_earlier_ones_and_the_end(self) -> None:
        space = get_space("nasbench_macro")
        searcher = HurricaneSearcher(Problem(space), initial=4, first=10, population=4, sample=2)
        weights = np.random.default_rng(0).random((8, 3))

        def value(one: Architecture) -> float:
            return float(np.mean([weights[place, choice] for place, choice in enumerate(space.choices(one))]))

        proposed: list[Architecture] = []
        while asked := searcher.ask(3):
            proposed += asked
            searcher.tell(Observation(one, {"accuracy": value(one)}) for one in asked)
        default = max(proposed[:4], key=value)
        first, second = proposed[4:14], proposed[14:]
        assert {space.choices(one)[:4] for one in first} == {space.choices(default)[:4]}
        best = max([default, *first], key=value)
        assert {space.choices(one)[4:] for one in second} == {space.choices(best)[4:]}
        assert searcher.ended == "the second stage has no more architectures"
        # Where decisions add up, the earlier ones are found to the last.
        late = sum(weights[place, space.choices(best)[place]] for place in range(4, 8))
        assert max(map(value, second)) == pytest.approx((weights.max(axis=1)[:4].sum() + late) / 8)


class TestFinalList:
    def test_it_ranks_all_that_were_looked_at_and_the_best_predicted_others(self) -> None:
        searcher = make_searcher("random", CELLS, seed=1)
        searcher.tell(Observation(one, {"accuracy": additive(one)}, cost=0.5) for one in searcher.ask(40))
        found = final_list(searcher, full_epochs=10, unseen=6, candidates=CELLS.sample(60, np.random.default_rng(3)))
        table = found.ranking.table
        assert len(table) == 46
        assert sum(found.looked_at) == 40
        assert table["rank"].tolist() == list(range(1, 47))
        assert (table["rank_low"] <= table["rank"]).all()
        assert (table["rank"] <= table["rank_high"]).all()
        assert table["rank_high"].max() <= 46
        assert found.ranking.samples.shape[1] == 46
        looked_at = np.array(found.looked_at)
        assert set(table["architecture"][looked_at]) == {one.architecture.code for one in searcher.observations}
        assert table["epochs"].sum() == pytest.approx(40 * 0.5 * 10)
        truth = [additive(CELLS.parse(code)) for code in table["architecture"]]
        assert stats.kendalltau(-table["rank"], truth)[0] > 0.75

    def test_a_failed_training_is_in_the_list_without_an_accuracy_of_its_own(self) -> None:
        searcher = make_searcher("random", CELLS)
        asked = searcher.ask(12)
        searcher.tell(
            Observation(one, {"accuracy": math.nan if place == 3 else additive(one)}) for place, one in enumerate(asked)
        )
        found = final_list(searcher, full_epochs=10, unseen=0)
        assert len(found.ranking.table) == 12
        failed = found.ranking.table.set_index("architecture").loc[asked[3].code]
        assert failed["evidence"] == ""

    def test_who_violates_the_constraints_is_not_in_it(self) -> None:
        class NoPooling:
            nearest = ""

            def fitting(self, codes: Sequence[str]) -> list[str]:
                return [code for code in codes if "pool" not in code]

        searcher = make_searcher("random", CELLS, constraints=NoPooling())
        searcher.tell(Observation(one, {"accuracy": additive(one)}) for one in searcher.ask(15))
        found = final_list(searcher, full_epochs=10, unseen=10)
        assert len(found.ranking.table) == 25
        assert not found.ranking.table["architecture"].str.contains("pool").any()

    def test_nothing_observed_is_nothing_to_rank(self) -> None:
        with pytest.raises(SearchError, match="has no results"):
            final_list(make_searcher("random", CELLS), full_epochs=10)
