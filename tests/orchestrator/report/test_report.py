from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.ranker import Ranking, rank_evidence
from taurank.orchestrator.report import Content, print_columns, print_ranking, print_score, write_page
from taurank.orchestrator.report.figures import decimal, doubt, percent, times
from taurank.orchestrator.report.pages import breakable
from taurank.orchestrator.report.sources import source_uses
from taurank.orchestrator.report.trained import Trained, thinned
from taurank.orchestrator.scoring import baseline_truth, score_ranking

NAN = float("nan")


@pytest.mark.parametrize(
    ("certainty", "word"), [("calibrated", ""), ("doubtful", " (doubtful)"), ("uncalibrated", " (uncalibrated)")]
)
def test_doubt(certainty, word):
    assert doubt(Ranking(pd.DataFrame(), np.zeros((1, 0)), {}, certainty)) == word


class Page(HTMLParser):
    """What a page consists of: elements, what they refer to, scripts, and the words that are shown."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.references: list[str] = []
        self.open: list[str] = []
        self.scripts: list[str] = []
        self.data = ""
        self.words = ""
        self.titles: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value or "" for key, value in attrs if key.split(":")[-1] in ("src", "href")]
        self.titles += [value or "" for key, value in attrs if key == "title"]
        if tag not in ("meta", "br", "wbr", "link", "input"):
            self.open.append(tag)
        self.is_data = tag == "script" and ("type", "application/json") in attrs

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value or "" for key, value in attrs if key.split(":")[-1] in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            if self.is_data:
                self.data += data
            else:
                self.scripts.append(data)
        elif self.open and self.open[-1] != "style":
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


def report(log: EvidenceLog, codes, folder, names=None, **more):
    """Ranking, score, names and the text of a page."""
    ranking, score, _ = ranked(log, codes)
    names = names or {code: f"n{index}" for index, code in enumerate(codes)}
    file = folder / "report.html"
    content = Content("made-up", "a run", names, ranking, log.evidence(), log.events(), 40, score=score)
    assert write_page(file, replace(content, **more)) == file
    return ranking, score, names, file.read_text(encoding="utf-8")


class TestPage:
    @pytest.fixture(scope="class")
    def finished(self, finished_log, codes, tmp_path_factory):
        folder = tmp_path_factory.mktemp("page")
        return *report(finished_log, codes, folder), folder

    def test_is_whole_and_refers_to_nothing_outside(self, finished):
        text = finished[3]
        page = Page(text)
        assert page.open == []
        assert all(reference.startswith(("#", "data:")) for reference in page.references)
        assert "src" not in re.findall(r"<script([^>]*)>", text)
        assert "@import" not in text
        assert not re.search(r"url\((?!#)", text)
        assert page.tags.count("svg") == 2  # predictions, curves

    def test_only_its_own_script_may_run(self, finished):
        page = Page(finished[3])
        digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
        assert len(page.scripts) == 1
        assert f"script-src 'sha256-{digest}'" in finished[3]
        assert "default-src 'none'" in finished[3]

    def test_the_answer_comes_first(self, finished):
        ranking, score, names, text, _ = finished
        words = " ".join(Page(text).words.split())
        take = names[ranking.table["architecture"].iloc[0]]
        likely = len(ranking.likely_best())
        assert f"Take {take}; with 90 % probability the best is among" in words.replace("\xa0", " ")
        assert f"among these {likely}:" in words or f"among {likely} of 24" in words
        assert f"trained 17.5 % of full cost; tau {score.tau:.2f} ({score.low:.2f} to {score.high:.2f})" in words
        assert words.index("Take") < words.index("The ranking")

    def test_a_score_against_results_of_others_has_no_speed_up(self, finished, finished_log, codes, tmp_path):
        unmeasured = replace(finished[1], speed_up=None)
        words = Page(report(finished_log, codes, tmp_path, score=unmeasured)[3]).words
        assert f"{unmeasured.ranking.tau:.3f}" in words
        assert f"{finished[1].speed_up.epochs:.1f}x" not in words

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
        page = Page(text)
        assert all(names[code] in page.words and code in page.titles for code in codes)

    def test_shows_tiers_and_which_may_be_among_the_best(self, finished):
        ranking, _, _, text, _ = finished
        tiers = ranking.tiers().tolist()
        assert text.count(' class="tier"') == max(tiers) - 1 > 0
        assert "in top 5" in Page(text).words
        assert text.count('class="likely"') == len(ranking.likely_best())
        first = ranking.top_probability(5).iloc[0]
        assert f"{100 * first:.0f} %" in Page(text).words

    def test_the_data_of_the_plots(self, finished, finished_log):
        ranking, score, names, text, _ = finished
        data = json.loads(Page(text).data)
        order = [str(code) for code in ranking.table["architecture"]]
        assert [one["code"] for one in data["candidates"]] == order
        first = data["candidates"][0]
        assert first["name"] == names[order[0]]
        assert first["measured"] == pytest.approx(
            dict(zip(score.candidates, score.truth.measured, strict=True))[order[0]], rel=1e-4
        )
        wins = np.frombuffer(base64.b64decode(data["wins"]), dtype=np.uint8) / 200
        assert len(wins) == 24 * 23 / 2
        assert wins[:23] == pytest.approx([ranking.probability(order[0], other) for other in order[1:]], abs=0.003)
        curves = [one for one in data["curves"] if one["stage"] == "training-40"]
        assert len(curves) == 3
        rows = finished_log.evidence().query("stage == 'training-40' and metric == 'validation_accuracy'")
        own = rows[rows["architecture"] == order[curves[0]["c"]]]
        assert curves[0]["y"] == pytest.approx(own["value"].tolist(), rel=1e-4)
        assert curves[0]["x"] == list(range(1, 41))
        assert {one["state"] for one in curves} == {"full"}

    def test_says_the_other_measures(self, finished):
        _, score, _, text, _ = finished
        words = Page(text).words
        assert f"tau within the true top 20 % (5){score.top.within.value:.3f}" in words
        assert f"partial tau, given parameters{score.beyond_size.value:.3f}" in words

    def test_says_what_the_ranking_rests_on(self, finished, finished_log, codes):
        ranking, _, _, text, _ = finished
        words = Page(text).words
        assert "compares the order by each source with the longest trainings, training-40." in words
        uses = source_uses(ranking, ranked(finished_log, codes)[2], codes, full_epochs=40)
        assert [(one.name, one.covered) for one in uses] == [
            ("flops", 24), ("parameters", 24), ("training-2", 24), ("training-40", 3)
        ]  # fmt: skip
        assert sum({one.weight for one in uses}) == pytest.approx(1, abs=0.01)
        assert [one.found.n for one in uses[:3]] == [3, 3, 3]
        assert uses[3].found is None

    def test_no_section_without_its_matter(self, finished):
        words = Page(finished[3]).words
        for title in ("ended early", "Scores that are void", "The search", "supernets can be", "known before"):
            assert title not in words

    def test_nothing_half_written_is_left(self, finished):
        assert [file.name for file in finished[4].iterdir()] == ["report.html"]

    def test_the_same_log_gives_the_same_page(self, finished, finished_log, codes, tmp_path):
        assert report(finished_log, codes, tmp_path)[3] == finished[3]

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
    def test_opens_with_less(self, make_log, codes, tmp_path, count, settings):
        *_, text = report(make_log(count, **settings), codes[:count], tmp_path)
        assert Page(text).open == []
        assert "nan" not in Page(text).words.lower()
        assert ("Score against full training" in Page(text).words) == (count > 1 and "seeds" not in settings)

    def test_opens_while_the_baseline_is_trained(self, make_log, codes, tmp_path):
        log = make_log(seeds=(1,))
        log.connection.execute("DELETE FROM evidence WHERE stage = 'baseline' AND architecture = ?", (codes[0],))
        _, score, _, text = report(log, codes, tmp_path)
        assert score.speed_up is None
        assert Page(text).open == []
        assert "cheaper in epochs" not in Page(text).words
        assert "test accuracy of 23 architectures" in Page(text).words

    def test_says_how_far_its_certainty_can_be_believed(self, make_log, codes, tmp_path):
        *_, text = report(make_log(seeds=()), codes, tmp_path)
        words = Page(text).words
        assert re.search(r"expected tau, 0\.\d\d to 0\.\d\d \(uncalibrated\)", words)
        assert "The probabilities are uncalibrated: the evidence has 3 full trainings." in words

    def test_opens_without_any_evidence(self, codes, tmp_path):
        *_, text = report(EvidenceLog(tmp_path / "evidence.sqlite"), codes, tmp_path)
        assert Page(text).open == []
        assert "No candidate to take" in Page(text).words

    def test_opens_without_a_ranking(self, finished_log, codes, tmp_path):
        *_, text = report(finished_log, codes, tmp_path, ranking=None, score=None, notes=["run: not begun"])
        page = Page(text)
        assert page.open == []
        assert "No ranking yet" in page.words
        assert "run: not begun" in page.words
        assert json.loads(page.data) == {"refresh": 0.0}

    def test_hostile_names_and_texts_stay_text(self, make_log, codes, tmp_path):
        hostile = "</script><script>alert('1')</script><!--<b onclick=x>&\"$\\frac{1}$ [bold]"
        log = make_log()
        log.append_event("training-2", f"training-2/{hostile}/seed 0", "failed", hostile)
        names = {code: f"{hostile}{index}" for index, code in enumerate(codes)}
        texts = {"title": hostile, "description": hostile, "notes": [hostile], "definition": hostile, "void": [hostile]}
        *_, text = report(log, codes, tmp_path, names, hardware=[hostile], searched=[hostile], metric=hostile, **texts)
        page = Page(text)
        assert page.open == []
        assert len(page.scripts) == 1
        assert "onclick" not in re.findall(r"<[a-z]+ [^>]*>", text)
        assert page.tags.count("b") == 2 * len(codes)  # the marks of the intervals, which are ours
        assert json.loads(page.data)["candidates"][0]["name"].startswith(hostile)
        assert page.words.count(f"{hostile}0") >= 1
        assert "Trainings that ended early" in page.words

    def test_names_break_after_separators_only(self):
        assert breakable("timm:conv_s") == "timm:<wbr>conv_<wbr>s"
        assert breakable("a<b") == "a&lt;b"

    def test_ended_early_with_reasons(self, make_log, codes, tmp_path):
        log = make_log(seeds=())
        for number, (event, reason) in enumerate(
            (("stopped", "place 9 of 9"), ("frozen", "paused at rung 1"), ("failed", "loss is nan"))
        ):
            trial = f"training-40/{codes[number]}/seed 9"
            log.append(
                [Evidence("training-40", trial, codes[number], "training", 1, 40, 9, "validation_accuracy", 0.2, 1, 1)]
            )
            log.append_event("training-40", trial, event, reason)
        *_, text = report(log, codes, tmp_path)
        words = Page(text).words
        assert "3 stopped, paused or failed" in words
        for state, reason in (("stopped", "place 9 of 9"), ("paused", "paused at rung 1"), ("failed", "loss is nan")):
            assert f"{state}1 of 40 epochs{reason}" in words
        states = [one["state"] for one in json.loads(Page(text).data)["curves"]]
        assert {"full", "done", "stopped", "paused", "failed"} == set(states)


def test_curves_of_many_points_are_thinned():
    ends = [Trained(f"t{n}", "c", "s", "full", np.arange(1, 201), np.zeros(200), 200) for n in range(1000)]
    kept = thinned(ends)
    assert all(one[0] == 0 and one[-1] == 199 and len(one) == 60 for one in kept)
    assert [len(one) for one in thinned(ends[:10])] == [200] * 10


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
        assert "speed-up as measured, everything counted: 5.6x in seconds of trials, 5.7x in epochs" in text

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
