"""The ranker as a whole, on what it is hardest for."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.ranker import (
    RankerOptions,
    RankingModel,
    choose_full_trainings,
    choose_short_runs,
    rank_evidence,
)
from taurank.orchestrator.tau import tau_b

FULL = 40
NAN = float("nan")


@pytest.fixture(autouse=True)
def _small_forests(monkeypatch, request):
    if "slow" not in request.keywords:
        monkeypatch.setattr("taurank.orchestrator.ranker.short_runs.TREES", 50)
        monkeypatch.setattr("taurank.orchestrator.ranker.regressors.TREES", 50)


class Case:
    """Candidates with an encoding, a quality that it tells half of, and the evidence on them."""

    def __init__(self, count: int, seed: int = 0) -> None:
        generator = np.random.default_rng(seed)
        self.codes = [f"c{index:04d}" for index in range(count)]
        values = generator.standard_normal((count, 4))
        self.encoding = pd.DataFrame(values, index=self.codes, columns=list("abcd"))
        self.quality = np.tanh(values[:, 0]) + 0.5 * values[:, 1] + generator.normal(0, 0.2, count)
        self.generator = generator
        self.rows: list[tuple] = []

    def noisy(self, sd: float) -> np.ndarray:
        return self.quality + self.generator.normal(0, sd, len(self.quality))

    def add(self, stage, source, values, epoch=0, schedule=0, metric="validation_accuracy", places=None) -> Case:
        for place in range(len(self.codes)) if places is None else places:
            own = epoch[place] if isinstance(epoch, Sequence) else epoch
            code, cost = self.codes[place], float(own)
            self.rows.append(
                (stage, f"{stage}/{code}", code, source, own, schedule, 0, metric, values[place], cost, cost)
            )
        return self

    def size(self, sd: float = 1.0) -> Case:
        return self.add("size", "size", np.exp(self.noisy(sd)), metric="parameters")

    def training(self, epochs: int, places=None, values=None, sd: float = 0.3) -> Case:
        values = 1 / (1 + np.exp(-self.noisy(sd))) if values is None else values
        return self.add(f"training-{epochs}", "training", values, epochs, epochs, places=places)

    @property
    def frame(self) -> pd.DataFrame:
        names = ["stage", "trial", "architecture", "source", "epoch", "schedule_epochs", "seed", "metric", "value"]
        frame = pd.DataFrame(self.rows, columns=[*names, "seconds", "epochs"])
        return frame.astype({"value": float, "seconds": float, "epochs": float})

    def model(self, encoding: pd.DataFrame | None = None, **options) -> RankingModel:
        encoding = self.encoding if encoding is None else encoding
        return RankingModel(self.frame, encoding, full_epochs=FULL, seed=0, options=RankerOptions(**options))

    def tau(self, ranking) -> float:
        places = ranking.table.set_index("architecture")["rank"].loc[self.codes]
        return tau_b(-places, self.quality)


def check(ranking, codes: Sequence[str]) -> None:
    table = ranking.table
    assert sorted(table["architecture"]) == sorted(codes)
    assert table["rank"].tolist() == list(range(1, len(codes) + 1))
    assert np.isfinite(table["score"]).all()
    assert table["score"].is_monotonic_decreasing
    assert np.isfinite(ranking.samples).all()
    assert ((table["rank_low"] >= 1) & (table["rank_low"] <= table["rank"])).all()
    assert ((table["rank"] <= table["rank_high"]) & (table["rank_high"] <= len(codes))).all()
    if len(codes) > 1:
        assert -0.3 <= ranking.expected_tau <= 1
    assert not ranking.weights or sum(ranking.weights.values()) == pytest.approx(1.0)


@pytest.mark.filterwarnings("error::RuntimeWarning")
class TestHardCases:
    @pytest.mark.parametrize(
        ("count", "labels"),
        [(count, labels) for count in (1, 2, 3, 8, 20) for labels in (0, 1, 2, 3, 7, 8, 15) if labels <= count],
    )
    def test_few_candidates_and_labels(self, count, labels):
        case = Case(count).size().training(4).training(FULL, places=range(labels))
        check(case.model().ranking(), case.codes)

    @pytest.mark.parametrize("count", [2, 8, 30])
    def test_everybody_at_chance(self, count):
        flat = np.full(count, 0.1)
        case = Case(count).size().training(4, values=flat).training(FULL, values=flat)
        ranking = case.model().ranking()
        check(ranking, case.codes)
        # What is left is the order by size, and nothing to calibrate it on.
        by_size = Case(count).size().model().ranking().table["architecture"]
        assert ranking.table["architecture"].tolist() == by_size.tolist()
        assert ranking.certainty == "uncalibrated"
        assert ranking.expected_tau < 0.75

    @pytest.mark.parametrize("labels", [1, 7, 20])
    def test_equal_labels_leave_the_prior_order(self, labels):
        case = Case(40).size().training(4)
        before = case.model().ranking().table["architecture"].tolist()
        after = case.training(FULL, places=range(labels), values=np.full(40, 0.9)).model().ranking()
        assert after.table["architecture"].tolist() == before

    @pytest.mark.parametrize(
        ("labels", "certainty"), [(1, "uncalibrated"), (6, "uncalibrated"), (7, "doubtful"), (14, "doubtful")]
    )
    def test_certainty(self, labels, certainty):
        assert Case(30).size().training(FULL, places=range(labels)).model().ranking().certainty == certainty
        assert Case(30).size().training(FULL, places=range(15)).model().ranking().certainty == "calibrated"

    @pytest.mark.parametrize(("count", "ranks"), [(1, [16]), (3, [6, 16, 26]), (6, [3, 8, 13, 18, 23, 28])])
    def test_few_full_trainings_are_spread_over_the_order(self, count, ranks):
        model = Case(30).size().training(4).model()
        places = model.ranking().table.set_index("architecture")["rank"]
        assert places[choose_full_trainings(model, count)].tolist() == ranks

    def test_encoding_with_gaps_and_giants(self):
        case = Case(40).size().training(4, places=range(20)).training(FULL, places=range(10))
        broken = case.encoding.assign(gap=[NAN] + [1.0] * 39, flat=7.0, huge=case.encoding["a"] * 1e300, inf=math.inf)
        check(case.model(broken).ranking(), case.codes)

    def test_duplicate_encodings(self):
        case = Case(40)
        case.encoding.iloc[20:] = case.encoding.iloc[:20].to_numpy()
        case.size().training(4, places=range(0, 40, 2)).training(FULL, places=range(0, 40, 3))
        check(case.model().ranking(), case.codes)
        assert len(set(choose_full_trainings(case.model(), 10))) == 10

    @pytest.mark.parametrize("columns", [[], ["a"]])
    def test_hardly_an_encoding(self, columns):
        case = Case(40).size().training(4, places=range(20)).training(FULL, places=range(10))
        check(case.model(case.encoding[columns]).ranking(), case.codes)

    def test_every_training_failed(self):
        case = Case(20).size().training(4, values=np.full(20, NAN)).training(FULL, range(5), np.full(20, NAN))
        ranking = case.model().ranking()
        # Sizes order them, and nothing says how well.
        by_size = Case(20).size().model().ranking().table["architecture"]
        assert ranking.table["architecture"].tolist() == by_size.tolist()
        assert ranking.table["predicted_accuracy"].isna().all()
        assert ((ranking.table["rank_high"] - ranking.table["rank_low"]) > 15).all()
        assert math.isnan(ranking.expected_tau)

    def test_failed_ones_are_unknown_and_in_the_middle(self):
        case = Case(60).size().training(4).training(FULL, places=range(20))
        case.rows = [row if row[2] != "c0030" else (*row[:8], NAN, *row[9:]) for row in case.rows]
        bare = case.encoding[[]]
        row = case.model(bare, failed="unknown").ranking().table.set_index("architecture").loc["c0030"]
        assert 20 <= row["rank"] <= 41
        assert row["rank_high"] - row["rank_low"] > 40
        assert row["epochs"] == 4

    def test_failed_short_trainings_are_not_chosen_again(self):
        case = Case(20).size().training(4, places=range(8), values=np.full(20, NAN))
        case.training(4, places=range(8, 14))
        assert sorted(choose_short_runs(case.model(), 20, had=case.codes[8:14])) == case.codes[14:]


class TestAllTrained:
    """Where all candidates are trained to the end, the prior order has nothing to add, however few they are."""

    @pytest.mark.parametrize("count", [2, 4, 6, 8, 12, 25])
    def test_the_order_is_that_of_the_trainings(self, count):
        case = Case(count).size(sd=0.1).training(4, sd=0.1)
        worst_first = np.argsort(case.quality)
        values = np.empty(count)
        values[worst_first] = np.linspace(0.9, 0.5, count)  # against size and short trainings
        ranking = case.training(FULL, values=values).model().ranking()
        found = ranking.table.set_index("architecture").loc[case.codes, "rank"]
        assert tau_b(-found.to_numpy(), values) >= 0.9
        assert ranking.expected_tau > 0.3 or count == 2

    def test_failed_ones_are_none_that_is_missing(self):
        case = Case(5).size(sd=0.1)
        case.training(FULL, values=np.array([0.2, 0.5, 0.9, 0.6, NAN]))
        assert case.model().ranking().table["architecture"].tolist() == [case.codes[at] for at in (2, 3, 1, 0, 4)]

    def test_one_that_is_missing_leaves_the_prior_its_order(self):
        case = Case(6).size(sd=0.1)
        before = case.model().ranking().table["architecture"].tolist()
        case.training(FULL, places=range(5), values=-case.quality)
        assert case.model().ranking().table["architecture"].tolist() == before


class TestWithoutAPrior:
    """No size, no proxy, no short training: a few full trainings are all that is known."""

    @pytest.mark.parametrize("labels", [2, 5, 6, 7, 20])
    def test_without_an_encoding_the_trained_ones_are_ordered(self, labels):
        case = Case(100)
        case.training(FULL, places=case.generator.permutation(100)[:labels].tolist())
        ranking = case.model(case.encoding[[]]).ranking()
        check(ranking, case.codes)
        values = {row[2]: row[8] for row in case.rows}
        placed = [code for code in ranking.table["architecture"] if code in values]
        assert placed == sorted(values, key=lambda code: -values[code])
        assert ranking.expected_tau < 0.3

    @pytest.mark.parametrize("labels", [2, 5, 6])
    def test_they_order_what_resembles_them(self, labels):
        taus = []
        for seed in range(6):
            case = Case(100, seed)
            case.encoding = case.encoding[["a", "b"]]
            model = case.model()
            case.training(
                FULL, places=[case.codes.index(code) for code in choose_full_trainings(model, labels)], sd=0.1
            )
            ranking = case.model().ranking()
            values = {row[2]: row[8] for row in case.rows}
            placed = [code for code in ranking.table["architecture"] if code in values]
            assert placed == sorted(values, key=lambda code: -values[code])
            taus.append(case.tau(ranking))
        assert np.mean(taus) > (0.1 if labels == 2 else 0.25)


class TestFewImages:
    def measured(self, images: int, seed: int) -> tuple[float, float]:
        """Tau that a ranking expects, and tau to a truth that is measured on as many images."""
        case = Case(30, seed)
        accuracy = 1 / (1 + np.exp(-1.5 - 0.4 * case.quality))

        def measure() -> np.ndarray:
            return case.generator.binomial(images, accuracy) / images

        case.size(1.0).training(4, values=measure()).training(FULL, places=range(0, 30, 6), values=measure())
        model = RankingModel(case.frame, case.encoding[[]], full_epochs=FULL, seed=0, images=images)
        ranking = model.ranking()
        places = ranking.table.set_index("architecture")["rank"].loc[case.codes]
        return ranking.expected_tau, tau_b(-places, measure())

    def test_the_expected_tau_counts_their_noise(self):
        found = np.mean([self.measured(38, seed) for seed in range(6)], axis=0)
        assert found[0] < 0.6
        assert found[0] < found[1] + 0.15

    def test_many_images_change_nothing(self):
        case = Case(30).size().training(4).training(FULL, places=range(0, 30, 6))
        plain = case.model().ranking()
        many = RankingModel(case.frame, case.encoding, full_epochs=FULL, seed=0, images=10**7).ranking()
        assert many.table["architecture"].tolist() == plain.table["architecture"].tolist()
        assert many.expected_tau == pytest.approx(plain.expected_tau, abs=0.01)

    @pytest.mark.parametrize("images", [None, 12, 400])
    def test_what_is_expected_lies_in_its_interval(self, images):
        """Over random logs: accuracies, ranks and tau."""
        for seed in range(5):
            case = Case(2 + 3 * seed, seed)
            count = len(case.codes)
            case.size().training(4, places=range(0, count, 2)).training(FULL, places=range(min(seed, count)))
            model = RankingModel(case.frame, case.encoding, full_epochs=FULL, seed=0, images=images)
            ranking = model.ranking()
            check(ranking, case.codes)
            low, high = ranking.expected_tau_interval
            assert low <= ranking.expected_tau <= high
            known = ranking.table.dropna(subset="predicted_accuracy")
            assert len(known) == (count if min(seed, count) >= 3 else min(seed, count))
            assert (known["accuracy_low"] <= known["predicted_accuracy"]).all()
            assert (known["predicted_accuracy"] <= known["accuracy_high"]).all()


class TestMixedEvidence:
    def test_everything_at_once(self):
        case = Case(60).size()
        case.add("proxies", "proxy:jacov", case.noisy(1.0), metric="score")
        case.add("supernet:uniform", "supernet:uniform", 1 / (1 + np.exp(-case.noisy(0.8))), 10, 10)
        case.training(2, places=range(0, 60, 2)).training(8, places=range(0, 60, 3)).training(FULL, range(0, 60, 5))
        ranking = case.model().ranking()
        check(ranking, case.codes)
        groups = {"size", "proxy:jacov", "supernet:uniform", "training-8", "full trainings"}
        assert set(ranking.weights) <= groups
        assert case.tau(ranking) > 0.7

    def test_mixed_epochs_of_a_scheduler(self):
        """As ASHA leaves them: the good ones trained longer, few to the end."""
        case = Case(60).size()
        quality_rank = stats.rankdata(-case.quality)
        epochs = [FULL if rank <= 6 else 10 if rank <= 20 else 2 for rank in quality_rank]
        values = 1 / (1 + np.exp(-case.noisy(0.2))) * (1 - 0.5 / np.array(epochs))
        case.add(f"training-{FULL}:asha", "training", values, epochs, FULL)
        ranking = case.model().ranking()
        check(ranking, case.codes)
        assert case.tau(ranking) > 0.6
        assert set(ranking.table["architecture"][:6]) & {case.codes[i] for i in np.flatnonzero(quality_rank <= 6)}

    def test_predictions_of_a_scheduler(self):
        """As PENGUIN leaves them: ended early, with a predicted end."""
        case = Case(40).size()
        final = 1 / (1 + np.exp(-case.noisy(0.1)))
        case.add(f"training-{FULL}:penguin", "training", 0.5 * final, 6, FULL)
        case.add(f"training-{FULL}:penguin", "training", final, 6, FULL, metric="predicted_accuracy")
        ranking = case.model().ranking()
        check(ranking, case.codes)
        assert case.tau(ranking) > 0.7
        assert ranking.table["predicted_accuracy"].notna().all()

    @pytest.mark.parametrize("models", [("gaussian-process",), ("extra-trees", "boosted-trees")])
    @pytest.mark.parametrize("aggregation", ["log-rank", "bradley-terry"])
    def test_options(self, models, aggregation):
        case = Case(40).size().training(4, places=range(30)).training(FULL, places=range(0, 40, 2))
        ranking = case.model(models=models, aggregation=aggregation).ranking()
        check(ranking, case.codes)
        assert case.tau(ranking) > 0.6


class TestInvariance:
    @pytest.fixture
    def case(self) -> Case:
        return Case(50).size().training(4, places=range(30)).training(FULL, places=range(0, 50, 3))

    def test_permuting_candidates_permutes_nothing(self, case):
        shuffled = case.encoding.sample(frac=1, random_state=1)
        pd.testing.assert_frame_equal(case.model(shuffled).ranking().table, case.model().ranking().table)
        assert choose_full_trainings(case.model(shuffled), 5) == choose_full_trainings(case.model(), 5)

    def test_permuting_rows_changes_nothing(self, case):
        frame = case.frame.sample(frac=1, random_state=1).sort_values("stage", kind="stable")
        again = rank_evidence(frame, case.encoding, full_epochs=FULL, seed=0)
        before = case.frame.sort_values("stage", kind="stable")
        expected = rank_evidence(before, case.encoding, full_epochs=FULL, seed=0)
        pd.testing.assert_frame_equal(again.table, expected.table)

    def test_units_of_the_encoding_change_nothing(self, case):
        scaled = case.encoding * [2.0**-20, 2.0**20, 4.0, 1.0]
        pd.testing.assert_series_equal(
            case.model(scaled).ranking().table["architecture"], case.model().ranking().table["architecture"]
        )

    @pytest.mark.slow
    def test_another_process_ranks_and_chooses_the_same(self, case, tmp_path):
        case.frame.to_parquet(tmp_path / "rows.parquet")
        case.encoding.to_parquet(tmp_path / "encoding.parquet")
        script = (
            "import sys, pandas as pd; from taurank.orchestrator.ranker import *\n"
            "rows, encoding = (pd.read_parquet(f'{sys.argv[1]}/{name}.parquet') for name in ('rows', 'encoding'))\n"
            f"model = RankingModel(rows, encoding, full_epochs={FULL}, seed=0)\n"
            "print(choose_short_runs(model, 9), choose_full_trainings(model, 9), repr(model.imputability))\n"
            "ranking = model.ranking(); print(ranking.table.to_csv(), ranking.samples.tobytes().hex())\n"
        )

        def said(hash_seed: str) -> str:
            environment = os.environ | {"PYTHONHASHSEED": hash_seed}
            root = Path(__file__).parents[3]
            command = [sys.executable, "-c", script, str(tmp_path)]
            return subprocess.run(command, env=environment, cwd=root, check=True, capture_output=True, text=True).stdout

        assert said("1") == said("2")


class TestTwoStages:
    """A smooth synthetic space: what is relevant is learned on short trainings and used on full ones."""

    def one(self, seed: int) -> dict[str, float]:
        generator = np.random.default_rng(seed)
        count, columns = 250, 24
        values = generator.standard_normal((count, columns))
        codes = [f"c{index:03d}" for index in range(count)]
        case = Case(count, seed)
        case.encoding = pd.DataFrame(values, index=codes).set_axis(case.codes)
        weights = generator.standard_normal((4, 3))
        other = np.sin(values[:, :4] @ generator.standard_normal((4, 3))).sum(axis=1)
        case.quality = np.sin(values[:, :4] @ weights).sum(axis=1) + values[:, 0]
        # Early on other things of the same features count.
        case.training(4, places=range(150), values=1 / (1 + np.exp(-other - 0.3 * case.quality)))
        case.training(FULL, places=generator.permutation(count)[:30].tolist(), sd=0.05)
        model = case.model(models=("gaussian-process",))
        with_transfer = case.tau(model.ranking())
        flat = case.model(models=("gaussian-process",))
        learned = flat.final_inputs
        flat.__dict__["final_inputs"] = type(learned)(
            encoding=flat.inputs.encoding,
            scores=learned.scores,
            linear=learned.linear,
            prior=learned.prior,
            flat=learned.flat,
        )
        return {"transfer": with_transfer, "isotropic": case.tau(flat.ranking())}

    @pytest.mark.slow
    def test_learned_length_scales_help(self):
        found = pd.DataFrame([self.one(seed) for seed in range(8)]).mean()
        assert found["transfer"] > found["isotropic"] + 0.01


@pytest.mark.slow
class TestOnNASBench201:
    """The method's published figures, CIFAR-10: one seed is bought, the truth is the mean of the two others."""

    @pytest.fixture(scope="class")
    def bench(self):
        folder = os.environ.get("TAURANK_DATA")
        if not folder:
            pytest.skip("TAURANK_DATA is unset: it names the folder with the recorded trainings")
        from taurank.orchestrator.replay import make_bench
        from taurank.trainables.table.importers import import_table

        files = [Path(folder) / "nb201" / f"nb201_cifar10{part}.parquet" for part in ("", "_proxies", "_proxy_times")]
        return make_bench(import_table(files), truth="seeds 1,2", buy_seed=0, among="live")

    def measured(self, bench, count: int, draws: int) -> pd.Series:
        from taurank.orchestrator.planning.rounds import LogRanker, Problem, run_rounds
        from taurank.orchestrator.replay import choose_cheap, draw_candidates, plan_replay
        from taurank.orchestrator.replay.cheap import book_cheap
        from taurank.orchestrator.replay.launching import ClockLaunch

        cheap = choose_cheap(bench.table, proxies="all", supernets="")
        plan = plan_replay(bench, candidates=count, budget="10x", seed=0, workers=8, cheap=cheap)
        found = []
        for draw in range(draws):
            codes = draw_candidates(bench, plan, draw)
            problem = Problem(tuple(codes), bench.encoding(codes), bench.full_epochs, seed=0)
            log = EvidenceLog(Path(":memory:"))
            book_cheap(bench, cheap, log, codes)
            launch = ClockLaunch(bench, log, plan.workers)
            ranker = LogRanker(problem, log)
            run_rounds(ranker, plan.trainings, launch=launch, budget_epochs=plan.budget_epochs, adaptive=plan.adaptive)
            assert log.evidence()["epochs"].sum() <= count * bench.full_epochs / 10 + 1e-6
            model = ranker.model()
            ranking = model.ranking(truth_seeds=2)
            truth = bench.truth.values.loc[codes]
            ranks = pd.Series(stats.rankdata(-truth), index=codes).loc[ranking.table["architecture"]].to_numpy()
            inside = (ranking.table["rank_low"] <= ranks) & (ranks <= ranking.table["rank_high"])
            places = ranking.table.set_index("architecture")["rank"].loc[codes]
            found.append(
                {
                    "tau": tau_b(-places, truth),
                    "prior": tau_b(model.prior.scores, truth.loc[model.codes]),
                    "expected": ranking.expected_tau,
                    "inside": inside.mean(),
                }
            )
        return pd.DataFrame(found).mean()

    def test_thousand_candidates_for_a_tenth(self, bench):
        found = self.measured(bench, 1000, draws=3)
        assert found["tau"] >= 0.865
        # Published .80; smoothed by architecture it has been better.
        assert 0.785 <= found["prior"] < found["tau"] - 0.03
        assert found["expected"] == pytest.approx(found["tau"], abs=0.02)
        assert 0.87 <= found["inside"] <= 0.94

    def test_three_hundred_for_a_tenth(self, bench):
        found = self.measured(bench, 300, draws=3)
        assert found["tau"] >= 0.81
        assert found["expected"] < found["tau"] + 0.02
        assert found["inside"] >= 0.87
