from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.ranker import Ranking, rank_evidence
from taurank.orchestrator.report import print_columns, print_ranking, print_score, write_page
from taurank.orchestrator.report.figures import decimal, doubt, percent, times
from taurank.orchestrator.scoring import baseline_truth, score_ranking

NAN = float("nan")


@pytest.mark.parametrize(
    ("certainty", "word"), [("calibrated", ""), ("doubtful", " (doubtful)"), ("uncalibrated", " (uncalibrated)")]
)
def test_doubt(certainty, word):
    assert doubt(Ranking(pd.DataFrame(), np.zeros((1, 0)), {}, certainty)) == word


class Page(HTMLParser):
    """Tags that were opened, what they refer to, and those that were never closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value or "" for key, value in attrs if key.split(":")[-1] in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value or "" for key, value in attrs if key.split(":")[-1] in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data


def ranked(log: EvidenceLog, codes):
    """Ranking, score where there is a baseline, and the rows that they rest on."""
    rows = log.evidence()
    evidence = rows[rows["stage"] != BASELINE]
    ranking = rank_evidence(evidence, pd.DataFrame(index=list(codes)), full_epochs=40, seed=0)
    score = None
    if len(rows) > len(evidence) and len(codes) > 1:
        score = score_ranking(ranking, baseline_truth(log, codes), log, codes, full_epochs=40)
    return ranking, score, evidence


def report(log: EvidenceLog, codes, experiment, folder, names=None):
    """Ranking, score, names and the text of the page as ``taurank rank`` makes it."""
    ranking, score, _ = ranked(log, codes)
    names = names or {code: f"n{index}" for index, code in enumerate(codes)}
    file = folder / "report.html"
    assert write_page(file, experiment, ranking, score, log.evidence(), log.outcomes(), names) == file
    return ranking, score, names, file.read_text(encoding="utf-8")


class TestPage:
    @pytest.fixture(scope="class")
    def finished(self, finished_log, codes, experiment, tmp_path_factory):
        folder = tmp_path_factory.mktemp("page")
        return *report(finished_log, codes, experiment, folder), folder

    def test_is_whole_and_refers_to_nothing_outside(self, finished):
        text = finished[3]
        page = Page(text)
        assert page.open == []
        assert all(reference.startswith(("#", "data:")) for reference in page.references)
        assert "script" not in page.tags
        assert "@import" not in text
        assert not re.search(r"url\((?!#)", text)
        assert page.tags.count("svg") == 3  # intervals, predictions, curves

    def test_says_the_headline_figures(self, finished):
        _, score, _, text, _ = finished
        words = Page(text).words
        for figure in (
            f"{score.ranking.tau:.3f}",
            f"{score.ceiling.retained:.2f}",
            f"{score.speed_up.epochs:.1f}x",
            f"{score.speed_up.seconds:.1f}x",
            "168.0",
            "full training is 960",
        ):
            assert figure in words

    def test_lists_every_candidate_by_name_and_code(self, finished, codes):
        _, _, names, text, _ = finished
        words = Page(text).words
        assert all(code in words and names[code] in words for code in codes)

    def test_shows_tiers_and_who_may_be_among_the_best(self, finished):
        ranking, _, _, text, _ = finished
        tiers = ranking.tiers().tolist()
        assert text.count("<tr class=tier>") == max(tiers) - 1 > 0
        assert "in top 5" in Page(text).words
        first = ranking.top_probability(5).iloc[0]
        assert re.search(rf'<td class="n">1</td><td class="n">1</td>.*?<td class="n">{first:.0%}</td>', text)

    def test_says_the_other_measures(self, finished):
        _, score, _, text, _ = finished
        words = Page(text).words
        assert f"tau within the true top 20 % (5){score.top.within.value:.3f}" in words
        assert f"partial tau, given parameters{score.beyond_size.value:.3f}" in words

    def test_no_failures_no_section(self, finished):
        assert "Trials that failed" not in finished[3]

    def test_nothing_half_written_is_left(self, finished):
        assert [file.name for file in finished[4].iterdir()] == ["report.html"]

    def test_the_same_log_gives_the_same_page(self, finished, finished_log, codes, experiment, tmp_path):
        assert report(finished_log, codes, experiment, tmp_path)[3] == finished[3]

    @pytest.mark.parametrize(
        ("count", "settings"),
        [
            (1, {}),
            (1, {"seeds": ()}),
            (2, {}),
            (24, {"seeds": ()}),
            (24, {"trainings": False}),
            (24, {"trainings": False, "seeds": ()}),
        ],
    )
    def test_opens_with_less(self, make_log, codes, experiment, tmp_path, count, settings):
        *_, text = report(make_log(count, **settings), codes[:count], experiment, tmp_path)
        assert Page(text).open == []
        assert "nan" not in Page(text).words.lower()

    def test_says_how_far_its_certainty_can_be_believed(self, make_log, codes, experiment, tmp_path):
        # Two full trainings calibrate nothing.
        *_, text = report(make_log(seeds=()), codes, experiment, tmp_path)
        assert re.search(
            r"tau that the ranking expects of itself, 0\.\d\d to 0\.\d\d \(uncalibrated\)", Page(text).words
        )

    def test_opens_without_any_evidence(self, codes, experiment, tmp_path):
        *_, text = report(EvidenceLog(tmp_path / "evidence.sqlite"), codes, experiment, tmp_path)
        assert Page(text).open == []

    def test_hostile_names_and_texts_stay_text(self, make_log, codes, experiment, tmp_path):
        hostile = "<script>alert('1')</script>&\"$\\frac{1}$ [bold]"
        log = make_log()
        log.append_event("training-2", "trial <b>", "failed", hostile)
        experiment = experiment.model_copy(update={"description": hostile})
        names = {code: f"{hostile}{index}" for index, code in enumerate(codes)}
        *_, text = report(log, codes, experiment, tmp_path, names)
        page = Page(text)
        assert "script" not in page.tags
        assert "b" in page.tags  # ours, of the headline figures
        assert page.words.count(f"{hostile}0") >= 2  # in the plot and in the table
        assert "Trials that failed" in page.words


class TestTables:
    @pytest.fixture
    def printed(self, finished_log, make_log, codes):
        """Lines that are printed for the finished run, or for one with less in it."""

        def printed(width: int, names=None, count: int = 24, **settings) -> list[str]:
            log = make_log(count, **settings) if settings or count < 24 else finished_log
            ranking, score, evidence = ranked(log, codes[:count])
            names = names or {code: f"n{index}" for index, code in enumerate(codes)}
            console = Console(file=io.StringIO(), width=width, force_terminal=False)
            print_ranking(console, ranking, score, evidence, names)
            if score:
                print_columns(console, score, names)
                print_score(console, score)
            return console.file.getvalue().splitlines()

        return printed

    @pytest.mark.parametrize("width", [80, 100, 130])
    def test_one_line_for_each_candidate(self, printed, width):
        lines = printed(width)
        rows = [line for line in lines if re.match(r" +\d+ +\d+ +\d+-\d+ +n\d+ ", line)]
        assert len(rows) == 24
        assert all(re.search(r"\d\d\.\d% \(\d\d\.\d%-\d\d\.\d%\) +\d\d\.\d%", row) for row in rows)
        assert all(len(line) <= width for line in lines)

    def test_narrow_ones_explain_their_letters(self, printed):
        lines = printed(80)
        assert "from: a size, b training-2, c training-40" in lines
        assert sum(line.rstrip().endswith("a b c") for line in lines) == 3

    def test_score(self, printed):
        text = "\n".join(printed(130))
        assert "against full training: test accuracy of 24 architectures, 2 seeds" in text
        for name in ("taurank", "parameters only", "flops only", "training-2"):
            assert re.search(rf"^{name} +0\.\d\d\d +0\.\d\d to 0\.\d\d +0\.\d\d\d", text, re.MULTILINE)
        assert re.search(r"^top-5 overlap: \d+%$", text, re.MULTILINE)
        assert re.search(r"^regret of the predicted best: \d+\.\d\d percentage points$", text, re.MULTILINE)
        assert re.search(r"^weighted tau \(the best count most\): 0\.\d\d\d$", text, re.MULTILINE)
        assert re.search(r"^tau within the true top 20 % \(5\): -?\d\.\d\d\d$", text, re.MULTILINE)
        assert re.search(r"^partial tau, given parameters: 0\.\d\d\d$", text, re.MULTILINE)
        assert re.search(r"^\d tiers: the first of each beats the first of the next with 90 % prob", text, re.MULTILINE)
        assert re.search(r"expects of itself: 0\.\d\d \(0\.\d\d to 0\.\d\d\) \(uncalibrated\)$", text, re.MULTILINE)
        assert re.search(r"ceiling: tau 0\.\d+ .*; retained \d\.\d\d", text)
        assert "speed-up as measured, everything counted: 5.7x in epochs, 5.6x in seconds of trials" in text

    def test_without_full_trainings_no_accuracy_is_predicted(self, printed):
        text = "\n".join(printed(130, trainings=False, seeds=()))
        assert "the evidence has no full training" in text
        assert not any(line.startswith("rank") and "predicted" in line for line in text.splitlines())

    def test_one_candidate(self, printed):
        text = "\n".join(printed(130, count=1, seeds=()))
        assert "nan" not in text.lower()
        assert "none, no evidence" in text

    def test_markup_in_names_is_text(self, printed, codes):
        text = "\n".join(printed(130, names={code: f"[red]n{i}[/nothing]" for i, code in enumerate(codes)}))
        assert "[red]n0[/nothing]" in text

    def test_columns_side_by_side_need_a_supernet(self, printed):
        assert "inherited weights" not in "\n".join(printed(130))


def test_figures():
    assert (percent(0.9876), percent(NAN), percent(94.25), percent(-2.0)) == ("98.8%", "-", "94.25", "-2")
    assert (decimal(0.12345), decimal(NAN)) == ("0.123", "-")
    assert (times(9.96), times(NAN)) == ("10.0x", "-")
