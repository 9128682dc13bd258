from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from taurank.orchestrator.cluster.cluster import Cluster, ClusterError, Slot
from taurank.orchestrator.proxy_scores.listing import print_proxies
from taurank.orchestrator.proxy_scores.printing import print_scores
from taurank.orchestrator.proxy_scores.score_file import COLUMNS
from taurank.orchestrator.proxy_scores.scoring import (
    ProxyRequestError,
    Request,
    read_candidates,
    read_names,
    read_options,
)
from taurank.orchestrator.proxy_scores.workers import worker_slot
from taurank.spaces import get_space
from taurank.trainables.proxies import SETS, get_proxy, list_proxies

ROOT = Path(__file__).parents[3]
SPACE = get_space("mnist_blocks")
NINE = tuple(architecture.code for architecture in SPACE.enumerate())
SCORE = ("--space", "mnist_blocks", "--candidates", "all", "--data", "digits")


def written(width: int, *arguments, by) -> str:
    file = io.StringIO()
    by(Console(file=file, width=width), *arguments)
    return file.getvalue()


class TestListing:
    @pytest.mark.parametrize("width", [80, 120])
    def test_all_of_each_fits_the_terminal(self, width):
        out = written(width, by=print_proxies)
        assert max(map(len, out.splitlines())) <= width
        for name in list_proxies():
            direction = "higher" if get_proxy(name).direction == 1 else "lower"
            assert f"\n{name}  {direction} is better; needs " in f"\n{out}"
        flat = " ".join(out.split())
        assert all(" ".join(get_proxy(name).source.split()) in flat for name in list_proxies())
        assert all(f"set {name}: {', '.join(members)}" in flat for name, members in SETS.items())

    def test_published_figures(self):
        out = " ".join(written(120, by=print_proxies).split())
        assert "published: tau 0.616, rho 0.800 (NAS-Bench-201 CIFAR-10, VKDNW table 1)" in out
        assert "nwot higher is better; needs rectifiers; costs 1.5 training steps" in out

    def test_is_what_the_command_does_alone(self, taurank):
        code, out, err = taurank("proxies")
        assert (code, err) == (0, "")
        assert "jacob_cov  higher is better; needs nothing" in out


class TestRequests:
    def test_names_and_sets(self):
        assert read_names("nwot, jacob_cov,nwot") == ("nwot", "jacob_cov")
        assert read_names("all") == tuple(list_proxies())
        assert read_names("nwot,reference") == ("nwot", "flops", "jacob_cov")

    def test_options_are_yaml(self):
        assert read_options(["width=4", "deep=true", "name = wide"]) == {"width": 4, "deep": True, "name": "wide"}

    def test_candidates(self):
        assert read_candidates(SPACE, "all", 0) == NINE
        some = read_candidates(SPACE, "4", 3)
        assert some == read_candidates(SPACE, "4", 3)
        assert len(set(some)) == 4
        assert set(some) <= set(NINE)

    def test_codes_with_commas(self):
        cells = get_space("nasbench201")
        one, two = (cells.parse(name).code for name in ("3-s3-ns3", "s-s3-1s3"))
        assert read_candidates(cells, f"3-s3-ns3, {two},{one}", 0) == (one, two)
        assert read_candidates(cells, one, 0) == (one,)

    def test_codes_that_have_commas_themselves(self):
        assert read_candidates(SPACE, "2,1", 0) == ("2,1",)
        assert read_candidates(SPACE, "2,1; 1,2;2,1", 0) == ("2,1", "1,2")

    def test_settings_tell_all_that_a_score_depends_on(self):
        request = Request(get_space("nasbench201", width=4), ("a",), "digits", 32, 3, 7, ("nwot",))
        assert request.settings == (
            "nasbench201 width=4 cells_per_stage=5; digits; images 32; initialisations 3; seed 7"
        )

    def test_what_is_missing_is_told_by_candidate_and_proxy(self):
        request = Request(SPACE, ("a", "b", "c"), "digits", 32, 2, 7, ("nwot", "snip"))
        rows = pd.DataFrame({"architecture": ["a", "a", "b"], "proxy": ["nwot", "snip", "snip"]})
        found = request.missing(rows)
        assert [(code, config.names, config.seeds) for code, config in found] == [
            ("b", ("nwot",), (7, 8)),
            ("c", ("nwot", "snip"), (7, 8)),
        ]

    @pytest.mark.parametrize("text", ["width", "=4", "width=[", " =1"])
    def test_an_option_that_is_none(self, text):
        with pytest.raises(ProxyRequestError, match="is not name=value, as width=4"):
            read_options([text])


class TestWorkers:
    @pytest.mark.parametrize(
        ("node", "asked", "slot", "count"),
        [
            (Slot(8), None, Slot(1.0), 8),
            (Slot(8), 3, Slot(2.0), 3),
            (Slot(16, 2), None, Slot(8.0, 1.0), 2),
            (Slot(16, 2), 6, Slot(2.0, 0.3333), 6),
            (Slot(16, 2), 1, Slot(16.0, 1.0), 1),
        ],
    )
    def test_share_all_there_is(self, node, asked, slot, count):
        assert worker_slot(Cluster((node,)), asked) == (slot, count)

    def test_more_than_cores(self):
        with pytest.raises(ClusterError, match="--workers: 9 were asked for; there are 8 cores"):
            worker_slot(Cluster((Slot(8),)), 9)


def made_up(names: tuple[str, ...]) -> tuple[pd.DataFrame, Request]:
    """Scores that rise with the place of the candidate, downwards for one proxy; the first has no score of the last."""
    request = Request(SPACE, NINE, "digits", 8, 2, 0, names)
    rows = []
    for place, code in enumerate(NINE):
        for name in names:
            value, reason = float(place) * get_proxy(name).direction, ""
            if place == 0 and name == names[-1]:
                value, reason = math.nan, "no labels"
            rows.append((code, name, value, 0.5, 1.0 if value == value else 0.0, 0.25, reason, request.settings))
    return pd.DataFrame(rows, columns=list(COLUMNS)), request


class TestScores:
    @pytest.mark.parametrize("width", [80, 120])
    def test_best_first_and_within_the_terminal(self, width):
        rows, request = made_up(("flops", "jacob_cov", "nwot", "params", "snip", "fisher", "grad_norm"))
        out = written(width, rows, request, Path("s.csv"), by=print_scores)
        assert max(map(len, out.splitlines())) <= width
        lines = out.splitlines()
        assert lines[2].split()[:2] == ["1", NINE[-1]]
        assert lines[10].split()[:2] == ["9", NINE[0]]
        left_out = [line for line in lines if line.startswith("no room for ")]
        assert ("grad_norm" in left_out[0]) if width == 80 else not left_out
        assert "grad_norm: void for 1: no labels" in lines
        # They rise by one: a standard deviation of 2.74, and initialisations differ by .5.
        summary = next(line.split() for line in lines if line.startswith("nwot "))
        assert summary == ["nwot", "9", "1.00", "0.18", "1.00", "0.25"]
        assert next(line.split() for line in lines if line.startswith("grad_norm "))[1] == "8"
        assert lines[-1] == "all scores: s.csv"

    def test_one_candidate_and_all_void(self):
        rows, request = made_up(("nwot",))
        alone = Request(SPACE, NINE[:1], "digits", 8, 1, 0, ("nwot",))
        out = written(80, rows, alone, Path("s.csv"), by=print_scores)
        assert ["-", NINE[0], "void"] in [line.split() for line in out.splitlines()]
        assert ["nwot", "0", "-", "-", "-", "0.25"] in [line.split() for line in out.splitlines()]
        assert request.codes == NINE


MISTAKES = [
    (("--candidates", 3), "--space is missing: --candidates needs a space to score"),
    (("--space", "mnist_blocks"), "--candidates is missing"),
    (("--space", "mnist_blocks", "--candidates", 3), "--data is missing"),
    (("--space", "mnist_block", *SCORE[2:]), "--space: 'mnist_block' is unknown (did you mean 'mnist_blocks'?)"),
    ((*SCORE, "--option", "width"), "--option: 'width' is not name=value"),
    (
        ("--space", "nasbench201", *SCORE[2:], "--option", "depth=4"),
        "option 'depth' is unknown (did you mean 'width'?)",
    ),
    ((*SCORE[:2], "--candidates", 10, *SCORE[4:]), "--candidates: count: 10 requested"),
    ((*SCORE[:2], "--candidates", "7x", *SCORE[4:]), "--candidates: "),
    ((*SCORE[:2], "--candidates", ",", *SCORE[4:]), "--candidates: ',' names none"),
    ((*SCORE[:4], "--data", "digit"), "did you mean 'digits'?"),
    ((*SCORE, "--proxies", "nwto"), "--proxies: unknown proxy 'nwto'; did you mean 'nwot'?"),
    ((*SCORE, "--proxies", ","), "--proxies: names none"),
    ((*SCORE, "--images", 5000), "a batch of 5000 images was asked for"),
    ((*SCORE, "--output", "/dev/null/x"), "--output: /dev/null/x cannot be "),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=[message[:30] for _, message in MISTAKES])
def test_a_mistake_gets_one_line(taurank, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = taurank("proxies", *arguments)
    assert code == 2
    assert message in err
    assert err.startswith("taurank: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.ray
def test_scores_what_the_file_lacks(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "taurank", "proxies", *SCORE, "--images", "16", "--initialisations", "2",
               "--proxies", "jacob_cov,params", "--workers", "1"]  # fmt: skip

    def score() -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == ""
        return done.stdout

    said = score()
    file = tmp_path / "scores.csv"
    whole = file.read_text()
    rows = pd.read_csv(file)
    assert len(rows) == 18
    assert not rows.duplicated(["architecture", "proxy"]).any()
    assert rows["score"].notna().all()
    assert (rows.loc[rows["proxy"] == "params", "sd"] == 0).all()
    assert "9 scored in " in said
    # Killed while it wrote: the last whole lines stay, the others are made again, to the same scores.
    kept = whole.splitlines(keepends=True)
    file.write_text("".join(kept[:10]) + kept[10][:20])
    said = score()
    assert "9 architectures of mnist_blocks, 4 of them before; 2 proxies" in said
    assert file.read_text().startswith("".join(kept[:10]))
    again = pd.read_csv(file)
    key = ["architecture", "proxy"]
    pd.testing.assert_series_equal(
        again.set_index(key)["score"].sort_index(), rows.set_index(key)["score"].sort_index()
    )
    assert "starting Ray" not in score()
