"""The Pareto front and the objective of a finished run: in the tables, the files and the page."""

from __future__ import annotations

import io
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.experiment.hardware import ObjectiveSpec
from taurank.orchestrator.hardware.objectives import ObjectiveError, objective
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report import Content, print_front, print_ranking, write_page
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.scoring import Truth
from taurank.orchestrator.scoring.objective import score_objective
from taurank.orchestrator.scoring.tradeoff import (
    TradeoffError,
    check_objective,
    costs,
    known_cost,
    make_front,
    with_objective,
)
from taurank.orchestrator.tau import tau_b

CODES = ("a", "b", "c", "d")
ACCURACY = (0.9, 0.8, 0.7, 0.6)
LATENCY = {"a": 40.0, "b": 10.0, "c": 20.0, "d": 5.0}


def evidence(latency=LATENCY) -> pd.DataFrame:
    rows = []
    for place, code in enumerate(CODES, start=1):
        rows.append(("size", code, "parameters", 1e6 * place))
        rows.append(("size", code, "flops", 2e6 * place))
    rows += [("latency", code, "latency_ms", value) for code, value in latency.items()]
    rows += [("latency", code, "latency_ms_low", 0.1) for code in latency]
    return pd.DataFrame(rows, columns=["source", "architecture", "metric", "value"]).assign(stage="x")


def ranking(accuracy=ACCURACY) -> Ranking:
    table = pd.DataFrame(
        {
            "rank": [1, 2, 3, 4],
            "architecture": CODES,
            "score": [1.5, 0.5, -0.5, -1.5],
            "predicted_accuracy": accuracy,
            "accuracy_low": np.asarray(accuracy) - 0.05,
            "accuracy_high": np.asarray(accuracy) + 0.05,
            "rank_low": 1,
            "rank_high": 4,
            "evidence": "size",
            "seconds": 1.0,
            "epochs": 2.0,
            "problem": "",
        }
    )
    # In three draws of four the order of the table, in one b and c change places.
    samples = np.array([[4.0, 3.0, 2.0, 1.0]] * 3 + [[4.0, 2.0, 3.0, 1.0]])
    return Ranking(table=table, samples=samples, weights={})


class TestFront:
    def test_against_latency(self):
        found = make_front(ranking(), evidence(), "latency")
        # By cost d, b, c, a: c is worse than b and slower, except in the fourth draw.
        assert found.table["architecture"].tolist() == ["d", "b", "c", "a"]
        assert found.table["latency_ms"].tolist() == [5.0, 10.0, 20.0, 40.0]
        assert found.table["on_front"].tolist() == [True, True, False, True]
        assert found.table["front_probability"].tolist() == [1.0, 1.0, 0.25, 1.0]
        assert found.members["architecture"].tolist() == ["d", "b", "a"]

    def test_against_size_the_best_is_the_smallest_here(self):
        for against, column in (("flops", "flops"), ("parameters", "parameters")):
            found = make_front(ranking(), evidence(), against)
            assert found.column == column
            assert found.members["architecture"].tolist() == ["a"]

    def test_who_has_no_latency_is_not_in_it(self):
        found = make_front(ranking(), evidence(LATENCY | {"b": math.nan}), "latency")
        assert found.table["architecture"].tolist() == ["d", "c", "a"]
        assert found.table["on_front"].tolist() == [True, True, True]

    def test_latency_where_it_was_measured(self):
        assert known_cost(evidence()) == "latency"
        assert known_cost(evidence({})) == "flops"
        with pytest.raises(TradeoffError, match=r"^--against: the run has no latency of its candidates; write latency"):
            make_front(ranking(), evidence({}), "latency")

    def test_costs_in_the_order_asked_for(self):
        assert costs(evidence(), ["c", "zz", "a"], "latency").tolist()[::2] == [20.0, 40.0]
        assert np.isnan(costs(evidence(), ["c", "zz", "a"], "latency")[1])

    def test_printed(self):
        written = io.StringIO()
        found, names = make_front(ranking(), evidence(), "latency"), dict(zip(CODES, CODES, strict=True))
        print_front(Console(file=written, width=100), found, names)
        lines = [line.split() for line in written.getvalue().splitlines()]
        assert lines[2:] == [
            ["*", "d", "5", "4", "60.0%", "100%"],
            ["*", "b", "10", "2", "80.0%", "100%"],
            ["c", "20", "3", "70.0%", "25%"],
            ["*", "a", "40", "1", "90.0%", "100%"],
        ]


class TestObjective:
    SPEC = ObjectiveSpec(kind="mnasnet-soft", target="10ms")

    def test_a_column_and_an_order_beside_the_ranking(self):
        found = with_objective(ranking(), self.SPEC, evidence()).table
        cost = np.array([40.0, 10.0, 20.0, 5.0])
        assert found["objective"].to_numpy() == pytest.approx(np.array(ACCURACY) * (cost / 10) ** -0.07)
        assert found["objective"].to_numpy() == pytest.approx([0.81677, 0.8, 0.66685, 0.62983], abs=1e-5)
        assert found["objective_rank"].tolist() == [1, 2, 3, 4]
        assert found["architecture"].tolist() == list(CODES)
        hard = with_objective(ranking(), ObjectiveSpec(kind="mnasnet-hard", target="10ms"), evidence()).table
        assert hard["objective"].tolist() == pytest.approx([0.225, 0.8, 0.35, 0.6])
        assert hard["objective_rank"].tolist() == [4, 1, 3, 2]

    def test_in_the_table_and_the_file(self, tmp_path):
        spec = ObjectiveSpec(kind="mnasnet-hard", target="10ms")
        found, names = with_objective(ranking(), spec, evidence()), dict(zip(CODES, CODES, strict=True))
        written = io.StringIO()
        print_ranking(Console(file=written, width=140), found, None, evidence().assign(seconds=0.0, epochs=0.0), names)
        lines = written.getvalue().splitlines()
        assert "objective  rank by it" in lines[2]
        assert [line.split()[3:8] for line in lines[3:7]] == [
            ["a", "90.0%", "(85.0%-95.0%)", "0.2250", "4"],
            ["b", "80.0%", "(75.0%-85.0%)", "0.8000", "1"],
            ["c", "70.0%", "(65.0%-75.0%)", "0.3500", "3"],
            ["d", "60.0%", "(55.0%-65.0%)", "0.6000", "2"],
        ]
        found.write(tmp_path)
        assert pd.read_csv(tmp_path / "ranking.csv")["objective_rank"].tolist() == [4, 1, 3, 2]
        assert pd.read_parquet(tmp_path / "ranking.parquet")["objective_rank"].tolist() == [4, 1, 3, 2]

    def test_none_without_predicted_accuracies(self, tmp_path):
        found = with_objective(ranking([math.nan] * 4), self.SPEC, evidence())
        assert found.table["objective"].isna().all()
        assert found.table["objective_rank"].isna().all()
        found.write(tmp_path)
        written, names = io.StringIO(), dict(zip(CODES, CODES, strict=True))
        print_ranking(Console(file=written, width=140), found, None, evidence().assign(seconds=0.0, epochs=0.0), names)
        assert "without a predicted accuracy there is no objective" in written.getvalue()

    def test_scored_against_the_same_objective_of_the_truth(self):
        spec = ObjectiveSpec(kind="mnasnet-hard", target="10ms")
        truth = Truth(np.array([0.7, 0.75, 0.65, 0.9]), (), "test accuracy")
        found = score_objective(with_objective(ranking(), spec, evidence()), spec, truth, evidence(), CODES)
        cost = costs(evidence(), CODES, "latency")
        theirs = objective("mnasnet-hard", truth.values, cost, 10.0)
        assert found.ours.tau == pytest.approx(tau_b([0.225, 0.8, 0.35, 0.6], theirs))
        assert found.by_accuracy.tau == pytest.approx(tau_b([4, 3, 2, 1], theirs))
        assert found.by_cost.tau == pytest.approx(tau_b(-cost, theirs))

    def test_a_truth_that_is_no_accuracy_has_none(self):
        truth = Truth(np.array([70.0, 75.0, 65.0, 90.0]), (), "value")
        with pytest.raises(ObjectiveError, match="the truth is not an accuracy"):
            score_objective(with_objective(ranking(), self.SPEC, evidence()), self.SPEC, truth, evidence(), CODES)

    def test_refused_before_anything_is_spent(self):
        logarithm = ObjectiveSpec(kind="multiplicative-log", target="10ms")
        check_objective(logarithm, [5.0, 1.1, math.nan])
        check_objective(None, [0.1])
        check_objective(self.SPEC, [0.1])
        check_objective(ObjectiveSpec(kind="ratio", target="5M", of="flops"), [0.1])
        with pytest.raises(ObjectiveError, match=r"not a cost at 0\.9 ms"):
            check_objective(logarithm, [5.0, 0.9])


class TestRun:
    @pytest.fixture
    def measured(self, run_folder, codes) -> Run:
        """A finished run with an objective, whose latencies were measured."""
        file = run_folder / "experiment.yaml"
        objective_text = "objective: {kind: mnasnet-soft, target: 3ms}\n"
        file.write_text(re.sub("(?m)^objective: null\n", objective_text, file.read_text()))
        log = EvidenceLog(run_folder / "evidence.sqlite")
        generator = np.random.default_rng(3)
        log.append(
            Evidence("latency", f"latency/{code}", code, "latency", 0, 0, 0, "latency_ms", value, 0.1)
            for code, value in zip(codes, generator.uniform(1.5, 9, len(codes)), strict=True)
        )
        log.close()
        return Run.open(run_folder)

    def test_the_ranking_is_the_same_without_latencies(self, measured, run_folder, finished_log, tmp_path):
        folder = tmp_path / "plain"
        shutil.copytree(run_folder, folder)
        with EvidenceLog(folder / "evidence.sqlite").connection as connection:
            connection.execute("DELETE FROM evidence WHERE source = 'latency'")
        ours, plain = measured.rank(), Run.open(folder).rank()
        columns = ["rank", "architecture", "score", "predicted_accuracy", "rank_low", "rank_high", "evidence"]
        pd.testing.assert_frame_equal(ours.table[columns], plain.table[columns])
        assert ours.samples.tolist() == plain.samples.tolist()
        assert ours.weights == plain.weights

    def test_rank_tells_objective_front_and_score(self, measured, taurank):
        code, out, err = taurank("rank", measured.folder)
        assert (code, err) == (0, "")
        words = " ".join(out.split())
        assert re.search(
            r"objective mnasnet-soft of latency, target 3ms: tau-b 0\.\d{3} \(.*\) against the same objective of full "
            r"training; by predicted accuracy alone -?0\.\d{3}, by latency alone -?0\.\d{3}",
            words,
        )
        assert re.search(
            r"accuracy against latency: \d+ candidates? on the Pareto front; taurank front \S+ shows it", words
        )
        table = pd.read_csv(measured.folder / "front.csv")
        assert len(table) == 24
        assert table["latency_ms"].is_monotonic_increasing
        assert table["on_front"].iloc[0]
        best = table[table["rank"] == 1].iloc[0]
        assert best["on_front"]
        page = (measured.folder / "report.html").read_text(encoding="utf-8")
        assert "The Pareto front: accuracy against latency" in page
        assert page.count("<svg") == 3
        assert "rank by it" in page

    def test_front(self, measured, taurank):
        for against in ("latency", "flops", "parameters"):
            code, out, err = taurank("front", measured.folder, "--against", against)
            assert (code, err) == (0, "")
            assert out.startswith(f"Pareto front of accuracy against {against}, cheapest first")
            assert against.replace("latency", "latency_ms") in pd.read_csv(measured.folder / "front.csv")
        assert taurank("front", measured.folder)[1].startswith("Pareto front of accuracy against latency")

    def test_why_tells_the_latency(self, measured, codes, taurank):
        code, out, _ = taurank("why", measured.names[codes[0]], "--run", measured.folder)
        assert code == 0
        assert re.search(r"latency_ms: \d\.\d+, place \d+ of 24 from the lowest\n", out)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--against", "latency"), "taurank: --against: the run has no latency of its candidates; write latency"),
            (("--against", "energy"), "Invalid value for '--against'"),
        ],
    )
    def test_mistakes(self, run_folder, taurank, arguments, message):
        code, _, err = taurank("front", run_folder, *arguments)
        assert code == 2
        assert message in err
        assert "Traceback" not in err

    def test_no_run(self, taurank, tmp_path):
        code, _, err = taurank("front", tmp_path)
        assert code == 2
        assert err.startswith("taurank: ")
        assert err.count("\n") == 1

    def test_a_page_of_many_and_of_a_single_one(self, finished_log, tmp_path):
        rows = finished_log.evidence()
        names = dict(zip(CODES, ("$x$", "<b>&", "long" * 20, "d"), strict=True))
        for given in (ranking(), ranking([math.nan] * 4)):
            content = Content("page", "", names, given, rows[rows["stage"] != BASELINE], finished_log.events(), 40)
            content = replace(
                content, tradeoff=make_front(given, evidence(), "latency"), hardware=["excluded: <i>: parameters 5"]
            )
            page = write_page(tmp_path / "page.html", content).read_text(encoding="utf-8")
            assert "&lt;i&gt;: parameters 5" in page
            assert "<b>" not in page.split("The Pareto front")[1].split("<table")[0]
