from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from taurank.orchestrator.ranker.inputs import CHEAP_SHARE, make_inputs, share, weight
from taurank.orchestrator.ranker.prior import RELIABILITY, SMOOTHED, PriorOrder, prior_order
from taurank.orchestrator.ranker.short_runs import complete_short_runs
from taurank.orchestrator.ranker.views import Kind, View, normal_scores

N = 200


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch):
    monkeypatch.setattr("taurank.orchestrator.ranker.short_runs.TREES", 60)


@pytest.fixture
def quality() -> np.ndarray:
    return np.random.default_rng(0).permutation(np.linspace(-2, 2, N))


def noisy(quality: np.ndarray, sd: float, seed: int) -> np.ndarray:
    return quality + np.random.default_rng(seed).normal(0, sd, len(quality))


def view(name: str, kind: Kind, values, fidelity=0.0, known=slice(None), sd=np.nan) -> View:
    order = np.full(len(values), np.nan)
    order[known] = np.asarray(values, dtype=float)[known]
    sds = np.full(len(values), float(sd))
    return View(name, kind, order, order, fidelity, np.zeros(len(values)), "stage", sds)


def prior(*views: View, encoding: np.ndarray | None = None, aggregation: str = "normal-scores") -> PriorOrder:
    columns = np.zeros((len(views[0].values), 0)) if encoding is None else encoding
    inputs = make_inputs(columns, views)
    shorts = complete_short_runs(inputs, views, np.random.default_rng(0))
    return prior_order(inputs, shorts, np.random.default_rng(1), aggregation=aggregation)


class TestGroups:
    def test_sizes_are_one_group(self, quality):
        sizes = [noisy(quality, 1, seed) for seed in (1, 2)]
        found = prior(view("parameters", "size", sizes[0]), view("flops", "size", sizes[1]))
        assert found.weights == {"size": 1.0}
        assert stats.kendalltau(found.scores, normal_scores(sizes[0]) + normal_scores(sizes[1])).statistic > 0.999

    def test_one_proxy_complements_size(self, quality):
        views = [view(f"proxy:{name}", "proxy", noisy(quality, 1, 3)) for name in ("synflow", "jacov", "fisher")]
        assert set(prior(view("flops", "size", quality), *views).weights) == {"size", "proxy:jacov"}

    @pytest.mark.parametrize("name", ["jacov", "jacob_cov"])
    def test_activations_have_half_the_weight_of_jacobians(self, quality, name):
        views = [view("flops", "size", noisy(quality[:100], 1, 3))]
        views += [
            view(f"proxy:{proxy}", "proxy", noisy(quality[:100], 1, seed)) for seed, proxy in enumerate((name, "nwot"))
        ]
        found = prior(*views)
        assert found.weights == {"size": 1.0, f"proxy:{name}": 1.0, "proxy:nwot": 0.5}
        columns = [normal_scores(one.values) for one in views]
        assert stats.kendalltau(found.scores, columns[0] + columns[1] + columns[2] / 2).statistic > 0.999

    def test_activations_alone_take_the_place_of_jacobians(self, quality):
        found = prior(view("flops", "size", quality), view("proxy:nwot", "proxy", noisy(quality, 1, 3)))
        assert found.weights == {"size": 1.0, "proxy:nwot": 1.0}

    def test_a_constant_proxy_takes_no_part(self, quality):
        views = [view("flops", "size", quality), view("proxy:nwot", "proxy", noisy(quality, 1, 3))]
        constant = view("proxy:jacov", "proxy", np.ones(N))
        assert prior(*views, constant).weights == prior(*views).weights

    def test_long_lists_have_one_proxy(self, quality):
        names = ("jacov", "nwot")
        views = [view(f"proxy:{name}", "proxy", noisy(quality, 1, seed)) for seed, name in enumerate(names)]
        assert set(prior(view("flops", "size", quality), *views).weights) == {"size", "proxy:jacov"}

    def test_each_proxy_is_judged_alone(self, quality):
        quality = quality[:100]
        short = view("short", "training", quality, fidelity=0.1)
        good, bad = noisy(quality, 0.5, 3), noisy(np.zeros(100), 1, 6)
        sources = [view("proxy:jacov", "proxy", bad), view("proxy:nwot", "proxy", good)]
        found = prior(view("flops", "size", noisy(quality, 0.5, 4)), *sources, short)
        assert found.weights["proxy:nwot"] == 0.5
        assert found.weights.get("proxy:jacov", 0.0) < 0.9

    def test_any_proxy_where_there_is_no_size(self, quality):
        assert set(prior(view("proxy:own", "proxy", quality)).weights) == {"proxy:own"}
        assert set(prior(view("flops", "size", quality), view("proxy:own", "proxy", quality)).weights) == {"size"}

    def test_the_longest_trainings_weigh_by_their_fidelity(self, quality):
        found = prior(
            view("flops", "size", noisy(quality, 1, 1)),
            view("short", "training", noisy(quality, 1, 2), fidelity=0.1),
            view("longer", "training", noisy(quality, 0.5, 3), fidelity=0.4),
        )
        assert found.weights == {"size": 1.0, "longer": pytest.approx(weight(share(0.4)))}

    def test_opposite_sizes_say_nothing(self):
        found = prior(view("parameters", "size", [1.0, 2.0]), view("flops", "size", [2.0, 1.0]))
        assert found.weights == {}
        assert (found.scores == 0).all()

    def test_equal_trainings_say_nothing(self, quality):
        size = view("flops", "size", quality)
        found = prior(size, view("short", "training", np.full(N, 0.1), fidelity=0.1))
        assert found.weights == {"size": 1.0}
        assert found.reliability == CHEAP_SHARE

    @pytest.mark.parametrize("aggregation", ["normal-scores", "log-rank", "borda", "bradley-terry"])
    def test_whatever_the_aggregation(self, quality, aggregation):
        views = [view("flops", "size", noisy(quality, 1, 1)), view("supernet:a", "supernet", noisy(quality, 1, 2))]
        found = prior(*views, aggregation=aggregation)
        taus = [stats.kendalltau(one.values, quality).statistic for one in views]
        assert stats.kendalltau(found.scores, quality).statistic > max(taus)


class TestSupernets:
    def test_several_are_one_group(self, quality):
        both = [noisy(quality, 1, seed) for seed in (1, 2)]
        found = prior(view("supernet:a", "supernet", both[0]), view("supernet:b", "supernet", both[1]))
        assert found.weights == {"supernets": 1.0}
        assert stats.kendalltau(found.scores, normal_scores(both[0]) + normal_scores(both[1])).statistic > 0.999

    def test_so_many_of_them_do_not_outvote_size(self, quality):
        size, wrong = view("flops", "size", quality), noisy(np.zeros(N), 1, 3)
        one = prior(size, view("supernet:a", "supernet", wrong))
        many = prior(size, *(view(f"supernet:{name}", "supernet", wrong) for name in "abcde"))
        assert many.scores.tolist() == one.scores.tolist()

    def test_noise_of_few_images_takes_weight(self, quality):
        # Variance 4 in all, 1 of it noise.
        values = 2 * normal_scores(quality) / np.std(normal_scores(quality), ddof=1)
        found = prior(view("flops", "size", quality), view("supernet:a", "supernet", values, sd=1.0))
        assert found.weights == {"size": 1.0, "supernet:a": pytest.approx(0.75)}

    def test_nothing_but_noise_takes_no_part(self, quality):
        noise = view("supernet:a", "supernet", quality, sd=10.0)
        assert prior(view("flops", "size", quality), noise).weights == {"size": 1.0}
        assert prior(noise).weights == {}

    def test_a_group_is_weighted_by_reliability(self, quality):
        values = 2 * normal_scores(quality) / np.std(normal_scores(quality), ddof=1)
        other = noisy(quality, 1, 4)
        found = prior(view("supernet:a", "supernet", values, sd=np.sqrt(2)), view("supernet:b", "supernet", other))
        # Reliabilities of 1/2 and 1: their mean weighted by themselves.
        assert found.weights == {"supernets": pytest.approx((0.25 + 1) / 1.5)}
        expected = normal_scores(0.5 * normal_scores(values) + normal_scores(other))
        assert stats.kendalltau(found.scores, expected).statistic > 0.999

    def test_one_that_trainings_refute_leaves_the_others_alone(self, quality):
        trained = noisy(quality, 0.3, 1)
        short = view("short", "training", trained, fidelity=0.1)
        good = view("supernet:a", "supernet", noisy(quality, 0.3, 2))
        useless = view("supernet:b", "supernet", np.argsort(np.argsort(trained)) % 2)
        found = prior(good, useless, short)
        assert found.weights == {"supernet:a": 1.0, "short": pytest.approx(weight(share(0.1)))}
        assert stats.kendalltau(found.scores, prior(good, short).scores).statistic > 0.99


class TestCredible:
    def test_an_inverted_one_is_turned(self, quality):
        short = view("short", "training", noisy(quality, 0.3, 1), fidelity=0.1)
        right = prior(view("supernet:a", "supernet", noisy(quality, 0.3, 2)), short)
        turned = prior(view("supernet:a", "supernet", -noisy(quality, 0.3, 2)), short)
        assert turned.weights == pytest.approx(right.weights)
        assert stats.kendalltau(turned.scores, quality).statistic > 0.8

    def test_a_useless_one_weighs_little(self, quality):
        short = view("short", "training", noisy(quality, 0.3, 1), fidelity=0.1)
        useless = [view("supernet:a", "supernet", noisy(np.zeros(N), 1, seed)) for seed in range(2, 8)]
        weights = [prior(one, short).weights.get("supernet:a", 0.0) for one in useless]
        assert np.mean(weights) < 0.35
        assert stats.kendalltau(prior(useless[0], short).scores, quality).statistic > 0.75

    def test_trainings_of_few_accuse_nobody(self, quality):
        short = view("short", "training", -quality, fidelity=0.1, known=slice(0, 7))
        assert prior(view("supernet:a", "supernet", quality), short).weights["supernet:a"] == 1.0


class TestReliability:
    def test_one_source_is_believed_as_its_fidelity_is(self, quality):
        assert prior(view("flops", "size", quality)).reliability == CHEAP_SHARE
        trained = prior(view("short", "training", quality, fidelity=0.25))
        assert trained.reliability == pytest.approx(share(0.25))

    def test_cheap_sources_that_agree_are_believed_no_more(self, quality):
        agreed = prior(view("flops", "size", quality), view("supernet:a", "supernet", quality))
        assert agreed.reliability == CHEAP_SHARE

    def test_settled_trainings_are_believed_however_others_disagree(self, quality):
        other = view("flops", "size", noisy(np.zeros(N), 1, 1))
        assert prior(other, view("short", "training", quality, fidelity=0.1)).reliability == pytest.approx(share(0.1))

    def test_sources_that_disagree_are_believed_less(self, quality):
        found = prior(view("flops", "size", quality), view("supernet:a", "supernet", noisy(np.zeros(N), 1, 1)))
        assert found.reliability < 0.3

    def test_spearman_brown(self, quality):
        size, short = noisy(quality, 1, 1), noisy(quality, 1, 2)
        found = prior(view("flops", "size", size), view("short", "training", short, fidelity=0.1))
        r = np.corrcoef(normal_scores(size), normal_scores(short))[0, 1]
        assert found.reliability == pytest.approx(2 * r / (1 + r))

    def test_is_bounded(self, quality):
        views = [view("flops", "size", quality), view("short", "training", quality, fidelity=0.1)]
        assert prior(*views).reliability == RELIABILITY[1]


class TestSmoothing:
    def test_similar_architectures_correct_each_other(self):
        generator = np.random.default_rng(3)
        encoding = generator.standard_normal((N, 5))
        truth = np.sin(encoding[:, 0]) + encoding[:, 1]
        views = [view("flops", "size", noisy(truth, 1.0, 4))]
        rough, smooth = prior(*views), prior(*views, encoding=encoding)
        taus = [stats.kendalltau(one.scores, truth).statistic for one in (rough, smooth)]
        assert taus[1] > taus[0] + 0.08
        assert set(np.argsort(smooth.scales)[:2]) == {0, 1}

    @pytest.mark.parametrize(("count", "smoothed"), [(SMOOTHED - 1, False), (SMOOTHED, True)])
    def test_short_lists_are_not_smoothed(self, count, smoothed):
        encoding = np.random.default_rng(3).standard_normal((count, 3))
        source = view("supernet:a", "supernet", noisy(encoding[:, 0], 1.0, 4))
        rough, smooth = prior(source), prior(source, encoding=encoding)
        assert np.array_equal(rough.scores, smooth.scores) != smoothed

    def test_nothing_to_smooth(self):
        found = prior(view("flops", "size", np.ones(30)), encoding=np.random.default_rng(0).standard_normal((30, 2)))
        assert (found.scores == 0).all()
        assert found.weights == {}
        assert found.reliability == 0.0
