from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.figures import measures
from taurank.orchestrator.scoring import ScoringError, baseline_truth, read_truth, score_ranking
from taurank.orchestrator.tau import partial_tau, tau_b
from taurank.trainables.table import Metric, RecordedTable, TableError, TableInfo, write_table
from taurank.trainables.table.format import COLUMNS

CODES = ("a", "b", "c", "d")


@pytest.fixture
def log(tmp_path):
    return EvidenceLog(tmp_path / "evidence.sqlite")


def book_size(log: EvidenceLog, sizes: dict[str, float], seconds: float = 0.0) -> None:
    for code, size in sizes.items():
        log.append(
            [
                Evidence("size", f"size/{code}", code, "size", 0, 0, 0, "parameters", size, seconds),
                Evidence("size", f"size/{code}", code, "size", 0, 0, 0, "flops", size),
            ]
        )


def book_trial(
    log: EvidenceLog, stage: str, code: str, value: float, *, seed: int, epochs: int, seconds: float, ended: bool = True
) -> None:
    trial = f"{stage}/{code}/{seed}"
    for epoch in range(1, epochs + 1):
        log.append(
            [
                Evidence(
                    stage,
                    trial,
                    code,
                    "training",
                    epoch,
                    epochs,
                    seed,
                    "validation_accuracy",
                    value,
                    seconds / epochs,
                    1.0,
                )
            ]
        )
    if ended:
        log.append([Evidence(stage, trial, code, "training", epochs, epochs, seed, "test_accuracy", value)])
        log.append_event(stage, trial, "completed")


def book_baseline(log: EvidenceLog, values: dict[str, float], *, seed: int, seconds: float = 10.0) -> None:
    for code, value in values.items():
        book_trial(log, BASELINE, code, value, seed=seed, epochs=10, seconds=seconds)


def ranked(codes: Sequence[str] = CODES, low: float = math.nan, high: float = math.nan) -> Ranking:
    """The order in which codes are given; all with the same interval of predicted accuracy."""
    count = len(codes)
    table = pd.DataFrame({"rank": np.arange(1, count + 1), "architecture": list(codes)})
    table = table.assign(accuracy_low=low, accuracy_high=high)
    return Ranking(table=table, samples=np.zeros((1, count)), weights={})


def same(found: object, expected: list[float]) -> bool:
    return bool(np.allclose(np.asarray(found, dtype=float), expected, equal_nan=True))


class TestBaselineTruth:
    def test_mean_over_seeds(self, log):
        book_baseline(log, {"a": 0.9, "b": 0.8}, seed=1)
        book_baseline(log, {"a": 0.7, "b": 0.8}, seed=2)
        truth = baseline_truth(log, ["a", "b"])
        assert same(truth.values, [0.8, 0.8])
        assert [seed.tolist() for seed in truth.seeds] == [[0.9, 0.8], [0.7, 0.8]]
        assert truth.metric == "test accuracy"

    def test_a_seed_that_was_cut_off_does_not_count(self, log):
        book_baseline(log, {"a": 0.9, "b": 0.8, "c": 0.7}, seed=1)
        book_baseline(log, {"a": 0.1, "b": 0.2}, seed=2)
        truth = baseline_truth(log, CODES[:3])
        assert same(truth.values, [0.9, 0.8, 0.7])
        assert len(truth.seeds) == 1

    def test_unless_there_is_no_other(self, log):
        book_baseline(log, {"b": 0.8, "c": 0.7}, seed=1)
        assert same(baseline_truth(log, CODES).values, [math.nan, 0.8, 0.7, math.nan])

    def test_a_candidate_that_never_finishes_has_no_truth_and_does_not_spoil_the_seeds(self, log):
        for seed in (1, 2):
            book_baseline(log, {"a": 0.9, "c": 0.7, "d": 0.6}, seed=seed)
            log.append([Evidence(BASELINE, f"b/{seed}", "b", "training", 1, 10, seed, "validation_accuracy", math.nan)])
            log.append_event(BASELINE, f"b/{seed}", "failed", "out of memory")
        truth = baseline_truth(log, CODES)
        assert same(truth.values, [0.9, math.nan, 0.7, 0.6])
        assert len(truth.seeds) == 2

    def test_none(self, log):
        with pytest.raises(ScoringError, match="has no finished baseline trainings; run them, or give --baseline"):
            baseline_truth(log, CODES)

    def test_only_unfinished_ones(self, log):
        for code in CODES:
            book_trial(log, BASELINE, code, 0.5, seed=1, epochs=3, seconds=1.0, ended=False)
        with pytest.raises(ScoringError):
            baseline_truth(log, CODES)


class TestReadTruth:
    @pytest.fixture
    def csv(self, tmp_path):
        def write(text: str):
            file = tmp_path / "truth.csv"
            file.write_text(text)
            return file

        return write

    def test_from_a_table(self, csv):
        truth = read_truth(csv("architecture,value\nb,0.8\na,0.9\nz,0.1\n"), CODES)
        assert same(truth.values, [0.9, 0.8, math.nan, math.nan])
        assert truth.metric == "value"

    def test_rows_of_one_architecture_are_seeds(self, csv):
        truth = read_truth(csv("value,architecture\n1,a\n3,a\n4,b\n6,b\n"), CODES[:2])
        assert same(truth.values, [2, 5])
        assert [seed.tolist() for seed in truth.seeds] == [[1, 4], [3, 6]]

    def test_empty_values_are_missing(self, csv):
        truth = read_truth(csv("architecture,value\na,0.9\nb,\nc,nan\nd,0.5\n"), CODES)
        assert same(truth.values, [0.9, math.nan, math.nan, 0.5])

    def test_other_spellings(self, csv):
        def parse(text: str) -> str:
            if text.upper() not in "ABCD":
                raise ValueError(text)
            return text.lower()

        truth = read_truth(csv("architecture, value\nA,0.9\n B,0.8\nx,0.7\n"), CODES, parse=parse)
        assert same(truth.values[:2], [0.9, 0.8])

    def test_from_another_run(self, tmp_path):
        folder = tmp_path / "other"
        folder.mkdir()
        book_baseline(EvidenceLog(folder / "evidence.sqlite"), {"a": 0.9, "b": 0.8}, seed=1)
        assert same(read_truth(folder, ("b", "a")).values, [0.8, 0.9])

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "cannot be read as CSV: No columns to parse from file"),
            ("code,accuracy\na,1\n", "needs the columns 'architecture' and 'value'; it has code, accuracy"),
            ("architecture,value\na,good\n", "row 1: value 'good' is not a number"),
            ("architecture,value\na,1\n", "has fewer than two of the ranked architectures"),
            ("architecture,value\nx,1\ny,2\n", "has fewer than two of the ranked architectures"),
            ("architecture,value\na,1\nb,2,3,4\n", "cannot be read as CSV: Error tokenizing data"),
        ],
    )
    def test_a_bad_table(self, csv, text, message):
        with pytest.raises(ScoringError) as caught:
            read_truth(csv(text), CODES)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_no_file(self, tmp_path):
        with pytest.raises(ScoringError, match=r"nope\.csv cannot be read as CSV: No such file or directory"):
            read_truth(tmp_path / "nope.csv", CODES)

    def test_a_folder_that_is_no_run(self, tmp_path):
        with pytest.raises(ScoringError, match="is not the folder of a run: it has no evidence"):
            read_truth(tmp_path, CODES)


class TestRecordedTruth:
    """From a table of recorded trainings."""

    @pytest.fixture
    def table(self, tmp_path):
        def write(*trainings: tuple[str, int, int, str, float]):
            """Each: code, seed, epochs, accuracy of what, value; the schedule is as long as the training."""
            rows = [
                [code, "training", epochs, epochs, seed, metric, value, math.nan]
                for code, seed, epochs, metric, value in trainings
            ]
            metrics = {metric: Metric("higher", "share") for _, _, _, metric, _ in trainings}
            info = TableInfo("nasbench201", "digits", metrics)
            file = tmp_path / "recorded.parquet"
            write_table(RecordedTable(info, pd.DataFrame(rows, columns=COLUMNS)), file)
            return file

        return write

    def test_test_accuracy_at_the_end_of_the_full_schedule(self, table):
        file = table(
            ("a", 0, 200, "test_accuracy", 0.9),
            ("b", 0, 200, "test_accuracy", 0.8),
            ("b", 0, 12, "test_accuracy", 0.1),
            ("a", 0, 200, "validation_accuracy", 0.5),
            ("z", 0, 200, "test_accuracy", 0.3),
        )
        truth = read_truth(file, CODES)
        assert same(truth.values, [0.9, 0.8, math.nan, math.nan])
        assert (truth.metric, len(truth.seeds)) == ("test accuracy", 1)

    def test_validation_accuracy_where_only_short_schedules_were_tested(self, table):
        file = table(
            *((code, seed, 200, "validation_accuracy", 0.5 + 0.1 * seed) for code in "ab" for seed in (0, 1)),
            ("a", 0, 12, "test_accuracy", 0.9),
        )
        truth = read_truth(file, CODES)
        assert same(truth.values[:2], [0.55, 0.55])
        assert (truth.metric, len(truth.seeds)) == ("validation accuracy", 2)

    def test_a_recorded_mean_is_better_than_one_seed_and_no_seed_of_its_own(self, table):
        one = [(code, 0, 9, "test_accuracy", 0.1) for code in "ab"]
        mean = [("a", -1, 9, "test_accuracy", 0.7), ("b", -1, 9, "test_accuracy", 0.6)]
        truth = read_truth(table(*one, *mean), CODES)
        assert same(truth.values[:2], [0.7, 0.6])
        assert truth.seeds == ()
        two = [(code, 1, 9, "test_accuracy", 0.3) for code in "ab"]
        truth = read_truth(table(*one, *two, *mean), CODES)
        assert same(truth.values[:2], [0.2, 0.2])
        assert len(truth.seeds) == 2

    def test_other_spellings(self, table):
        file = table(("A", 0, 9, "test_accuracy", 0.9), ("B", 0, 9, "test_accuracy", 0.8))
        assert same(read_truth(file, CODES, parse=str.lower).values[:2], [0.9, 0.8])

    def test_without_accuracies(self, table):
        with pytest.raises(ScoringError, match=r"has no result after full training .* it has train_loss$"):
            read_truth(table(("a", 0, 9, "train_loss", 0.9), ("b", 0, 9, "train_loss", 0.9)), CODES)

    def test_of_others(self, table):
        with pytest.raises(ScoringError, match="fewer than two of the ranked architectures"):
            read_truth(table(("x", 0, 9, "test_accuracy", 0.9), ("y", 0, 9, "test_accuracy", 0.8)), CODES)

    def test_a_parquet_file_of_another_kind(self, tmp_path):
        pd.DataFrame({"rank": [1]}).to_parquet(tmp_path / "ranking.parquet")
        with pytest.raises(TableError, match="is a parquet file, but no table of taurank"):
            read_truth(tmp_path / "ranking.parquet", CODES)


class TestScore:
    def test_by_hand(self, log):
        # One of six pairs is the other way round: tau 2/3. Evidence: 8 of 40 epochs, 4 of 40 seconds.
        book_size(log, {"a": 4, "b": 3, "c": 2, "d": 1})
        for code in CODES:
            book_trial(
                log, "training-2", code, {"a": 0.8, "b": 0.7, "c": 0.6, "d": 0.5}[code], seed=0, epochs=2, seconds=1
            )
        book_baseline(log, {"a": 0.9, "b": 0.8, "c": 0.6, "d": 0.7}, seed=1)
        found = score_ranking(ranked(), baseline_truth(log, CODES), log, CODES, full_epochs=10)
        assert found.ranking.tau == pytest.approx(2 / 3)
        assert found.top is not None
        assert (found.top.k, found.top.overlap.value) == (4, 1.0)
        assert "top-4 overlap" not in measures(found)  # 100 % for any order of four
        assert "regret of the predicted best" in measures(found)
        assert found.top.regret.value == 0.0
        assert found.top.within is None
        # c and d are swapped: 1/3 + 1/4 of the weights 1/r + 1/s of six pairs.
        weights = [1 / r + 1 / s for r in range(1, 5) for s in range(r + 1, 5)]
        assert found.top.weighted.value == pytest.approx(1 - 2 * (1 / 3 + 1 / 4) / sum(weights))
        # Ours is the order of size: nothing of it is beyond size.
        assert math.isnan(found.beyond_size.value)
        assert found.ceiling is None
        assert found.speed_up is not None
        assert (found.speed_up.epochs, found.speed_up.seconds) == (pytest.approx(5.0), pytest.approx(10.0))
        by_name = {source.name: source for source in found.sources}
        assert list(by_name) == ["parameters only", "flops only", "training-2"]
        assert by_name["parameters only"].agreement.tau == pytest.approx(2 / 3)
        assert math.isnan(by_name["parameters only"].speed_up)
        assert by_name["training-2"].speed_up == pytest.approx(10.0)
        assert by_name["training-2"].values.tolist() == [0.8, 0.7, 0.6, 0.5]

    def test_depth_is_a_source_where_it_is_logged(self, log):
        book_size(log, {"a": 4, "b": 3, "c": 2, "d": 1})
        log.append(Evidence("size", f"size/{c}", c, "size", 0, 0, 0, "depth", 9.0 - ord(c)) for c in CODES)
        book_baseline(log, {"a": 0.9, "b": 0.8, "c": 0.6, "d": 0.7}, seed=1)
        found = score_ranking(ranked(), baseline_truth(log, CODES), log, CODES, full_epochs=10)
        assert [source.name for source in found.sources] == ["parameters only", "flops only", "depth only"]
        assert found.sources[-1].agreement.tau == pytest.approx(2 / 3)

    def test_two_seeds_cost_one_full_training_and_give_a_ceiling(self, log):
        book_size(log, dict(zip(CODES, (4, 3, 2, 1), strict=True)), seconds=1.0)
        book_baseline(log, {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}, seed=1, seconds=10)
        book_baseline(log, {"a": 0.9, "b": 0.8, "c": 0.6, "d": 0.7}, seed=2, seconds=30)
        found = score_ranking(ranked(), baseline_truth(log, CODES), log, CODES, full_epochs=10)
        assert found.speed_up is not None
        assert found.speed_up.seconds == pytest.approx(80 / 4)
        assert found.ceiling is not None
        assert (found.ceiling.ceiling, found.ceiling.seeds) == (pytest.approx(2 / 3), 2)
        assert found.ceiling.retained == pytest.approx((1 + 2 / 3) / 2 / (2 / 3))

    def test_a_seed_that_was_cut_off_is_no_full_training(self, log):
        book_size(log, dict(zip(CODES, (4, 3, 2, 1), strict=True)), seconds=1.0)
        book_baseline(log, dict.fromkeys(CODES, 0.5) | {"a": 0.6}, seed=1, seconds=10)
        book_baseline(log, {"a": 0.9}, seed=2, seconds=1000)
        found = score_ranking(ranked(), baseline_truth(log, CODES), log, CODES, full_epochs=10)
        assert found.speed_up is not None
        assert found.speed_up.seconds == pytest.approx(10.0)

    def test_wall_time_of_one_seed_in_proportion(self, log, monkeypatch):
        now = [100.0]
        monkeypatch.setattr("taurank.orchestrator.evidence.log.time.time", lambda: now[0])

        def stage(name: str, seconds: float) -> None:
            log.append_event(name, "", "started")
            now[0] += seconds
            log.append_event(name, "", "ended")

        stage("size", 2.0)
        stage("training-2", 8.0)
        stage(BASELINE, 100.0)
        book_size(log, dict(zip(CODES, (4, 3, 2, 1), strict=True)), seconds=1.0)
        for seed in (1, 2):
            book_baseline(log, dict.fromkeys(CODES, 0.5) | {"a": 0.6}, seed=seed)
        found = score_ranking(ranked(), baseline_truth(log, CODES), log, CODES, full_epochs=10)
        assert found.speed_up is not None
        assert found.speed_up.wall == pytest.approx(50 / 10)

    def test_evidence_that_cost_nothing(self, log):
        book_size(log, dict(zip(CODES, (4, 3, 2, 1), strict=True)))
        book_baseline(log, {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}, seed=1)
        found = score_ranking(ranked(), baseline_truth(log, CODES), log, CODES, full_epochs=10)
        assert found.speed_up is not None
        assert math.isnan(found.speed_up.epochs)
        assert math.isnan(found.speed_up.seconds)

    def test_a_truth_from_elsewhere_has_no_cost(self, log, tmp_path):
        book_size(log, dict(zip(CODES, (4, 3, 2, 1), strict=True)))
        file = tmp_path / "truth.csv"
        file.write_text("architecture,value\na,94.1\nb,93.2\nc,95.3\n")
        found = score_ranking(ranked(), read_truth(file, CODES), log, CODES, full_epochs=10)
        assert found.speed_up is None
        assert found.ranking.n == 3
        assert found.top is not None
        assert found.top.k == 3

    def test_the_best_of_many(self, finished_log, codes):
        log = finished_log
        ranking = ranked(np.random.default_rng(0).permutation(codes))
        truth = baseline_truth(log, codes)
        found = score_ranking(ranking, truth, log, codes, full_epochs=40)
        scores = -ranking.table.set_index("architecture")["rank"].loc[list(codes)].to_numpy(dtype=float)
        best = np.argsort(-truth.values)[:5]
        assert found.top.within.n == 5
        assert found.top.within.value == pytest.approx(tau_b(scores[best], truth.values[best]))
        assert found.top.regret.value == pytest.approx(truth.values.max() - truth.values[scores.argmax()])
        sizes = next(source.values for source in found.sources if source.name == "parameters only")
        assert found.beyond_size == partial_tau(scores, truth.values, sizes)

    def test_without_sizes_nothing_is_beyond_them(self, log):
        book_baseline(log, {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}, seed=1)
        found = score_ranking(ranked(), baseline_truth(log, CODES), log, CODES, full_epochs=10)
        assert found.beyond_size is None

    def test_coverage(self, finished_log, codes):
        truth = baseline_truth(finished_log, codes)
        low, high = np.sort(truth.values)[[3, 20]]
        ranking = ranked(codes, low, high)
        found = score_ranking(ranking, truth, finished_log, codes, full_epochs=40)
        assert found.coverage == pytest.approx(18 / 24)

    def test_no_coverage_without_intervals(self, finished_log, codes):
        truth = baseline_truth(finished_log, codes)
        assert math.isnan(score_ranking(ranked(codes), truth, finished_log, codes, full_epochs=40).coverage)

    def test_no_coverage_of_what_is_no_accuracy(self, finished_log, codes, tmp_path):
        file = tmp_path / "truth.csv"
        file.write_text("architecture,value\n" + "".join(f"{code},{90 + i}\n" for i, code in enumerate(codes)))
        ranking = ranked(codes, 0.0, 1.0)
        found = score_ranking(ranking, read_truth(file, codes), finished_log, codes, full_epochs=40)
        assert math.isnan(found.coverage)
