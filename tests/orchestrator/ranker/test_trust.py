"""How far supernets can be trusted, from logs that are written by hand; as it is shown on the terminal and the page."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.ranker.trust import SupernetTrust, supernet_trust
from taurank.orchestrator.report import print_trust
from taurank.orchestrator.report.trust import trust_note, trust_rows
from taurank.orchestrator.tau import agreement

FULL = 20
STAGE = "supernet:uniform"
CODES = tuple("abcdefgh")
ACCURACIES = dict(zip(CODES, [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], strict=True))
"""Too far apart for contenders, at half a percent of noise."""
PARAMETERS = dict(zip(CODES, [80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0], strict=True))


@pytest.fixture
def log(tmp_path: Path) -> EvidenceLog:
    """Eight candidates with sizes, scored by one supernet."""
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    log.append(
        Evidence("size", f"size/{c}", c, "size", 0, 0, 0, "parameters", value) for c, value in PARAMETERS.items()
    )
    book(log, "validation_accuracy", ACCURACIES)
    book(log, "validation_accuracy_sd", dict.fromkeys(CODES, 0.05))
    return log


def book(log: EvidenceLog, metric: str, values: Mapping[str, float], stage: str = STAGE) -> None:
    log.append(
        Evidence(stage, f"{stage} scores", code, stage, 10, 10, 0, metric, value) for code, value in values.items()
    )


def train(log: EvidenceLog, stage: str, epochs: int, values: Mapping[str, float], schedule: int | None = None) -> None:
    log.append(
        Evidence(
            stage, f"{stage}/{code}", code, "training", epochs, schedule or epochs, 0, "validation_accuracy", value
        )
        for code, value in values.items()
    )


def trust(log: EvidenceLog, codes: Sequence[str] = CODES) -> SupernetTrust:
    rows = log.evidence()
    (found,) = supernet_trust(rows[rows["stage"] != BASELINE], codes, full_epochs=FULL)
    return found


class TestScores:
    def test_what_a_log_of_scores_alone_says(self, log):
        found = trust(log)
        assert (found.stage, found.scored, found.contenders, found.moved) == (STAGE, 8, 0, 0)
        assert found.sd == 0.05
        # Eight steps of .1 have the variance .06; .0025 of it is noise.
        assert found.reliability == pytest.approx(1 - 0.0025 / 0.06)
        assert found.alone is None
        assert math.isnan(found.updates[0])

    def test_updates(self, log):
        book(log, "updates", dict(zip(CODES, [0, 1, 2, 3, 4, 5, 6, 70], strict=True)))
        book(log, "option_updates", dict(zip(CODES, [1, 2, 3, 4, 5, 6, 7, 80], strict=True)))
        found = trust(log)
        assert found.updates == (0.0, 3.5)
        assert found.option_updates == 4.5

    def test_only_who_is_ranked_and_has_an_accuracy_counts(self, log):
        book(log, "validation_accuracy", {"i": math.nan})
        assert trust(log, (*CODES, "i", "j")).scored == 8
        assert trust(log, CODES[:3]).scored == 3

    def test_nothing_without_a_supernet(self, tmp_path):
        log = EvidenceLog(tmp_path / "empty.sqlite")
        train(log, "training-20", 20, ACCURACIES)
        assert supernet_trust(log.evidence(), CODES, full_epochs=FULL) == []

    def test_each_supernet_for_itself_in_the_order_of_the_log(self, log):
        book(log, "validation_accuracy", {code: 1 - value for code, value in ACCURACIES.items()}, "supernet:fair")
        train(log, "training-20", 20, ACCURACIES)
        first, second = supernet_trust(log.evidence(), CODES, full_epochs=FULL)
        assert (first.stage, second.stage) == (STAGE, "supernet:fair")
        assert first.alone is not None
        assert second.alone is not None
        assert (first.alone.supernet.tau, second.alone.supernet.tau) == (pytest.approx(1.0), pytest.approx(-1.0))
        assert math.isnan(second.reliability)


class TestContenders:
    @pytest.fixture
    def close(self, tmp_path) -> EvidenceLog:
        log = EvidenceLog(tmp_path / "close.sqlite")
        book(log, "validation_accuracy", {"a": 0.9, "b": 0.6, "c": 0.59, "d": 0.58, "e": 0.2})
        return log

    def train_on(self, log: EvidenceLog, values: Mapping[str, float]) -> None:
        log.append(
            Evidence(STAGE, f"{STAGE} contenders/{code}", code, f"{STAGE}:contenders", epoch, 2, 0,
                     "validation_accuracy", value)
            for code, value in values.items() for epoch in (1, 2)
        )  # fmt: skip

    def test_who_was_trained_on_and_who_moved(self, close):
        self.train_on(close, {"b": 0.7, "c": 0.6, "d": 0.8})
        found = trust(close, CODES[:5])
        assert (found.scored, found.contenders, found.moved) == (5, 3, 3)

    def test_nobody_moved(self, close):
        self.train_on(close, {"b": 0.8, "c": 0.7, "d": 0.6})
        found = trust(close, CODES[:5])
        assert (found.contenders, found.moved) == (3, 0)

    def test_tau_is_that_of_the_order_they_changed(self, close):
        train(close, "training-20", 20, {"a": 0.9, "b": 0.6, "c": 0.5, "d": 0.7, "e": 0.1})
        before = trust(close, CODES[:5]).alone
        self.train_on(close, {"b": 0.7, "c": 0.6, "d": 0.8})
        after = trust(close, CODES[:5]).alone
        assert before is not None
        assert after is not None
        assert (before.supernet.tau, after.supernet.tau) == (pytest.approx(0.6), pytest.approx(1.0))


class TestTrainedAlone:
    def test_tau_beside_that_of_parameters_on_the_same(self, log):
        values = {"a": 0.5, "b": 0.9, "e": 0.4, "h": 0.1}
        train(log, "training-20", 20, values)
        alone = trust(log).alone
        assert alone is not None
        assert (alone.stage, alone.fidelity) == ("training-20", 1.0)
        assert alone.supernet == agreement([ACCURACIES[code] for code in values], list(values.values()))
        assert alone.parameters == agreement([PARAMETERS[code] for code in values], list(values.values()))
        assert alone.supernet.n == 4
        assert alone.sampler is None

    def test_the_sampler_has_a_tau_of_its_own(self, log):
        train(log, "training-20", 20, {"a": 0.5, "b": 0.9, "e": 0.4, "h": 0.1})
        book(log, "sampler_score", dict(zip(CODES, range(8), strict=True)))
        alone = trust(log).alone
        assert alone is not None
        assert alone.sampler == agreement([0, 1, 4, 7], [0.5, 0.9, 0.4, 0.1])

    def test_full_trainings_come_before_short_ones_of_more(self, log):
        train(log, "training-5", 5, ACCURACIES)
        train(log, "training-20", 20, {"a": 0.1, "b": 0.2, "c": 0.3})
        alone = trust(log).alone
        assert alone is not None
        assert (alone.stage, alone.supernet.n, alone.supernet.tau) == ("training-20", 3, pytest.approx(-1.0))

    def test_two_full_ones_say_nothing_and_the_longest_short_ones_do(self, log):
        train(log, "training-2", 2, ACCURACIES)
        train(log, "training-5", 5, {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4})
        train(log, "training-20", 20, {"a": 0.9, "b": 0.8})
        alone = trust(log).alone
        assert alone is not None
        assert (alone.stage, alone.fidelity, alone.supernet.n) == ("training-5", 0.25, 4)

    def test_two_in_all_are_too_few(self, log):
        train(log, "training-20", 20, {"a": 0.9, "b": 0.8})
        assert trust(log).alone is None

    def test_predictions_and_failed_trainings_are_no_trainings(self, log):
        stage = "training-20:penguin"
        train(log, stage, 20, {"a": 0.1, "b": 0.2, "c": 0.3, "f": math.nan})
        train(log, stage, 4, {"d": 0.4, "e": 0.5}, schedule=20)
        for code in "de":
            for metric, value in (("predicted_accuracy", 0.9), ("predicted_accuracy_sd", 0.01)):
                log.append([Evidence(stage, f"{stage}/{code}", code, "training", 4, 20, 0, metric, value)])
        alone = trust(log).alone
        assert alone is not None
        assert alone.supernet.n == 3

    def test_the_baseline_is_never_looked_at(self, log):
        train(log, BASELINE, 20, ACCURACIES)
        assert trust(log).alone is None


def printed(found: Sequence[SupernetTrust], width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_trust(console, found, full_epochs=FULL)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class TestShown:
    def test_a_column_for_each_and_tau_beside_parameters(self, log):
        book(log, "updates", dict.fromkeys(CODES, 12))
        train(log, "training-20", 20, {"a": 0.5, "b": 0.9, "e": 0.4, "h": 0.1})
        found = trust(log)
        lines = printed([found, replace(found, stage="supernet:fair", alone=None)]).splitlines()
        assert lines[1] == "how far supernets can be trusted"
        table = {line[:34].strip(): line[34:].split() for line in lines[2:-1]}
        assert table["supernet"] == ["uniform", "fair"]
        assert table["candidates scored"] == ["8", "8"]
        assert table["updates of a path: least, median"] == ["12,", "12", "12,", "12"]
        assert table["sd of an accuracy, median"] == ["5.0%", "5.0%"]
        assert table["reliability"] == ["0.96", "0.96"]
        assert table["trained alone"] == ["4", "by", "training-20", "-"]
        assert table["tau to these"][0] == table["tau of parameters"][0] == "0.667"
        assert "contenders" not in "".join(table)

    def test_says_what_it_cannot_know_and_what_would_tell(self, log):
        note = trust_note([trust(log)], full_epochs=FULL)
        assert "fewer than 3 candidates of uniform were trained alone" in note
        assert "`trainings: [{epochs: 2, candidates: 8}]`" in note
        assert "tau" not in "".join(label for label, _ in trust_rows([trust(log)]))

    def test_nothing_without_a_supernet(self):
        assert printed([]) == ""

    @pytest.mark.parametrize("width", [40, 80, 200])
    def test_no_figure_is_lost_where_there_is_little_room(self, log, width):
        train(log, "training-20", 20, {"a": 0.5, "b": 0.9, "e": 0.4, "h": 0.1})
        words = "".join(printed([trust(log)], width=width).split())
        low, high = (f"{end:.2f}" for end in (agreement([0.9, 0.8, 0.5, 0.2], [0.5, 0.9, 0.4, 0.1]).low, 1.0))
        assert f"0.667({low}to{high[:2]}" in words

    def test_a_run_tells_it_on_the_terminal_the_page_and_of_a_candidate(self, taurank, run_folder, codes):
        run_log = EvidenceLog(run_folder / "evidence.sqlite")
        accuracies = dict(zip(codes, np.linspace(0.9, 0.3, len(codes)), strict=True))
        book(run_log, "validation_accuracy", accuracies)
        book(run_log, "validation_accuracy_sd", dict.fromkeys(codes, 0.02))
        book(run_log, "updates", dict.fromkeys(codes, 7))
        run_log.close()
        code, out, _ = taurank("rank", run_folder)
        assert code == 0
        # Two were trained for 40 epochs, so the 24 of two epochs are what there is.
        assert "3 by training-40" in " ".join(out.split())
        page = (run_folder / "report.html").read_text()
        assert "How far supernets can be trusted" in page
        assert "3 by training-40" in page
        _, out, _ = taurank("why", codes[3], "--run", run_folder)
        assert "supernet:uniform validation_accuracy: 0.821739 (sd 0.02, path trained 7x), place 4 of 24" in out
