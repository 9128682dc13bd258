from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.evidence import PROXIES, VOID
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.ranker.groups import CURVATURE
from taurank.orchestrator.ranker.views import LOWER_IS_BETTER, make_views
from taurank.orchestrator.stages.checkpoints import CheckpointStore
from taurank.orchestrator.stages.proxy_rows import (
    ProxyBooking,
    left_to_score,
    make_booking,
    score_key,
    score_rows,
    void_lines,
    void_scores,
)
from taurank.orchestrator.stages.recording import Recorder
from taurank.trainables.proxies import get_proxy, list_proxies
from taurank.trainables.proxies.chunk import ProxyConfig

CONFIG = ProxyConfig(("jacob_cov", "nwot"), (5, 6))
BOOKING = ProxyBooking(5, {"jacob_cov": 0.25, "nwot": 0.5})
GOOD = ("a", "jacob_cov", -30.0, 2.0, 1.0, 4.0, "")
PARTIAL = ("a", "nwot", 9.0, math.nan, 0.75, 2.0, "")
BROKEN = ("b", "nwot", math.nan, math.nan, 0.0, 1.0, "no unit with a bend at zero")


@pytest.fixture
def log(tmp_path: Path) -> EvidenceLog:
    return EvidenceLog(tmp_path / "evidence.sqlite")


def recorder(log: EvidenceLog) -> Recorder:
    silent = SimpleNamespace(advance=lambda *_: None, update=lambda *_: None)
    unused: Any = None
    specs = [SimpleNamespace(trial="chunk", checkpoint="chunk.pt", until=None)]
    return Recorder(
        log,
        stage=PROXIES,
        source=PROXIES,
        specs=specs,  # type: ignore[arg-type]
        schedule_epochs=1,
        share=0.5,
        scheduler=unused,
        display=silent,  # type: ignore[arg-type]
        checkpoints=CheckpointStore(Path("nowhere")),
        booking=BOOKING,
    )


def report(to: Recorder, *scores: tuple[Any, ...], outcome: str = "") -> None:
    trial: Any = SimpleNamespace(config={"trial": "chunk"})
    result = {"epoch": 0, "evidence": [], "scores": scores, "outcome": outcome, "reason": "", "done": bool(outcome)}
    to.on_trial_result(1, [trial], trial, result)


class TestRows:
    def test_cost_noise_and_coverage(self):
        rows = score_rows(GOOD, BOOKING, share=0.5)
        key = "proxies/jacob_cov/a"
        assert rows == [
            Evidence("proxies", key, "a", "proxy:jacob_cov", 0, 0, 5, "score", -30.0, 2.0, 0.25),
            Evidence("proxies", key, "a", "proxy:jacob_cov", 0, 0, 5, "score_sd", 2.0, 0.0, 0.0),
        ]
        assert [(row.metric, row.value) for row in score_rows(PARTIAL, BOOKING, share=1.0)] == [
            ("score", 9.0),
            ("coverage", 0.75),
        ]

    def test_a_void_score_costs_as_much(self):
        (row,) = score_rows(BROKEN, BOOKING, share=1.0)
        assert math.isnan(row.value)
        assert (row.seconds, row.epochs) == (1.0, 0.5)

    def test_epochs_of_a_score(self):
        booking = make_booking(CONFIG, images=64, train_images=640, seed=5)
        assert booking == ProxyBooking(5, {name: pytest.approx(0.3) for name in CONFIG.names})


class TestRecorder:
    def test_what_is_reported_again_is_there_once(self, log):
        first = recorder(log)
        report(first, GOOD, PARTIAL)
        report(first, BROKEN)
        again = recorder(log)
        report(again, GOOD, PARTIAL)
        report(again, BROKEN, outcome="completed")
        rows, events = log.evidence(), log.events()
        assert rows["metric"].tolist() == ["score", "score_sd", "score", "coverage", "score"]
        assert log.spent_in(PROXIES) == (pytest.approx(3.5), pytest.approx(1.25))
        assert first.spent_epochs == again.spent_epochs == pytest.approx(1.25)
        assert events[["trial", "event"]].to_numpy().tolist() == [["proxies/nwot/b", VOID], ["chunk", "completed"]]

    def test_a_void_score_says_why(self, log):
        report(recorder(log), GOOD, BROKEN)
        found = void_scores(log)
        assert found.to_numpy().tolist() == [["nwot", "b", "no unit with a bend at zero"]]
        assert void_lines(found, 24) == ["proxy:nwot: void for 1 of 24 candidates: no unit with a bend at zero"]

    def test_nothing_is_void(self, log):
        report(recorder(log), GOOD)
        assert void_lines(void_scores(log), 24) == []


class TestLeft:
    def test_all_of_a_new_chunk(self):
        assert left_to_score(CONFIG, ("a", "b"), set()) == (CONFIG, ("a", "b"))

    def test_not_who_has_all_void_or_not(self, log):
        report(recorder(log), GOOD, PARTIAL, BROKEN)
        report(recorder(log), ("b", "jacob_cov", -40.0, math.nan, 1.0, 1.0, ""))
        assert left_to_score(CONFIG, ("a", "b", "c"), log.trials_of(PROXIES)) == (CONFIG, ("c",))

    def test_only_a_proxy_that_was_added(self):
        there = {score_key("jacob_cov", code) for code in "ab"}
        assert left_to_score(CONFIG, ("a", "b"), there) == (ProxyConfig(("nwot",), (5, 6)), ("a", "b"))

    def test_nothing(self):
        there = {score_key(name, "a") for name in CONFIG.names}
        assert left_to_score(CONFIG, ("a",), there) == (ProxyConfig((), (5, 6)), ())


class TestRanker:
    def rows(self, proxy: str, values: dict[str, float]) -> pd.DataFrame:
        booking = ProxyBooking(0, {proxy: 0.1})
        rows = [
            row
            for code, value in values.items()
            for row in score_rows((code, proxy, value, 1.0, 0.5, 1.0, ""), booking, share=1.0)
        ]
        return pd.DataFrame([vars(row) for row in rows])

    def test_directions_are_those_of_the_proxies(self):
        down = {f"proxy:{name}" for name in list_proxies() if get_proxy(name).direction == -1}
        assert down == LOWER_IS_BETTER
        assert {name for name in CURVATURE if f"proxy:{name}" in LOWER_IS_BETTER} == set()

    @pytest.mark.parametrize(("proxy", "sign"), [("jacob_cov", 1), ("ntk_condition", -1)])
    def test_a_view_is_the_score_turned_so_that_higher_is_better(self, proxy, sign):
        rows = self.rows(proxy, {"a": 3.0, "b": math.nan, "c": 5.0})
        (view,) = make_views(rows, ["a", "b", "c"], full_epochs=10)
        assert (view.name, view.kind, view.stage) == (f"proxy:{proxy}", "proxy", "proxies")
        np.testing.assert_array_equal(view.values, [sign * 3.0, math.nan, sign * 5.0])

    def test_void_for_all_is_no_view(self):
        rows = self.rows("nwot", {"a": math.nan, "b": math.nan})
        assert make_views(rows, ["a", "b"], full_epochs=10) == []
