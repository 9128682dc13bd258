"""The names of `import taurank`: documented, lazy, and with errors of their own."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import taurank
from taurank.orchestrator.planning import PlanError
from taurank.orchestrator.runs import RunError
from taurank.orchestrator.scoring import ScoringError
from taurank.orchestrator.tau import AgreementError
from taurank.orchestrator.text.naming import UnknownCandidateError
from taurank.spaces.registry import _SPACES

ROOT = Path(__file__).parents[3]
NAMES = [name for name in taurank.__all__ if name != "__version__"]


def test_the_import_is_light() -> None:
    heavy = ("numpy", "pandas", "pydantic", "ray", "scipy", "torch")
    program = (
        "import sys, time; start = time.perf_counter(); import taurank; seconds = time.perf_counter() - start\n"
        f"print(seconds <= 0.3, [name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True []\n"


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_documented(name: str) -> None:
    public = getattr(taurank, name)
    assert inspect.getdoc(public)
    if inspect.isfunction(public):
        for parameter in inspect.signature(public).parameters.values():
            assert parameter.annotation is not inspect.Parameter.empty, parameter
    assert f"`{name}" in (ROOT / "docs/how-to/python.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_SPACES, "_classes", dict(_SPACES._classes))  # an example registers a space
    public = getattr(taurank, name)
    module = import_module(public.__module__)
    for test in doctest.DocTestFinder(recurse=True).find(inspect.unwrap(public), name, module=module):
        assert doctest.DocTestRunner().run(test).failed == 0


def test_every_function_has_an_example() -> None:
    functions = [getattr(taurank, name) for name in NAMES]
    lacking = [one.__name__ for one in functions if inspect.isfunction(one) and ">>>" not in (one.__doc__ or "")]
    assert not lacking


@pytest.fixture(scope="module")
def ranking() -> taurank.Ranking:
    rows = [
        {"net": f"<b>net-{net}</b>", "epoch": epoch, "acc": 0.5 + 0.03 * net + 0.02 * epoch}
        for net in range(25)
        for epoch in (1, 2)
    ]
    return taurank.rank(rows, full_epochs=2, metric="acc")


class TestRanking:
    def test_names_are_escaped_in_a_notebook(self, ranking: taurank.Ranking) -> None:
        page = ranking._repr_html_()
        assert "<b>" not in page
        assert "&lt;b&gt;net-24" in page
        assert page.count("<tr>") == 21
        first = ranking.to_frame().iloc[0]
        assert f"</span></span> {first['rank_low']} to {first['rank_high']}</td>" in page
        assert f"right:{100 - 100 * first['rank_high'] / 25:.2f}%" in page
        assert "and 5 more" in page

    def test_candidates_are_found_by_a_part_of_their_name(self, ranking: taurank.Ranking) -> None:
        assert ranking.probability("net-24", "net-0<") == pytest.approx(1 - ranking.probability("net-0<", "net-24"))
        with pytest.raises(UnknownCandidateError, match="'net-99' is none of the 25 candidates"):
            ranking.probability("net-99", "net-1<")

    def test_the_frame_and_the_tiers_agree(self, ranking: taurank.Ranking) -> None:
        frame, tiers = ranking.to_frame(), ranking.tiers()
        assert list(frame["candidate"]) == list(tiers.index)
        assert list(frame["tier"]) == list(tiers)
        with pytest.raises(ValueError, match=r"level is 0\.4"):
            ranking.tiers(0.4)

    def test_the_plot_is_a_figure_that_a_notebook_shows(self, ranking: taurank.Ranking) -> None:
        from matplotlib.figure import Figure

        figure = ranking.plot()
        assert isinstance(figure, Figure)
        assert figure._repr_png_().startswith(b"\x89PNG")


class TestKendallTau:
    def test_ties_are_those_of_tau_b(self) -> None:
        found = taurank.kendall_tau([1, 2, 2, 3], [1, 3, 2, 3])
        assert found.tau == pytest.approx(4 / 5)  # 4 pairs agree; each side has 1 tie of 6 pairs
        assert (found.n, found.ties) == (4, 2)

    def test_series_are_matched_by_their_keys(self) -> None:
        x = pd.Series({"a": 1.0, "b": 2.0, "c": 3.0, "d": np.nan})
        assert taurank.kendall_tau(x, x[::-1]).tau == 1
        assert taurank.kendall_tau(x, {"c": 1, "b": 2, "a": 3, "e": 9}).tau == -1

    @pytest.mark.parametrize(
        ("x", "y", "message"),
        [
            ([1, 2], [1, 2, 3], "x and y need one value per candidate"),
            ([1, "b"], [1, 2], "x has a score that is not a number"),
            (pd.Series([1, 2], index=["a", "a"]), {"a": 1}, "x has 'a' twice"),
        ],
    )
    def test_mistakes(self, x: Any, y: Any, message: str) -> None:
        with pytest.raises(AgreementError, match=message):
            taurank.kendall_tau(x, y)
        with pytest.raises(AgreementError, match="level is 2"):
            taurank.kendall_tau([1, 2], [1, 2], level=2)


class TestARunThatIsThere:
    def test_it_is_ranked_and_scored_in_silence(self, run_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        run = taurank.open_run(run_folder)
        table = run.ranking.to_frame()
        assert len(table) == len(run.candidates) == 24
        assert {"candidate", "name", "predicted", "low", "high"} <= set(table)
        assert set(run.evidence()["stage"]) >= {"size", "baseline"}
        score = run.score()
        assert score.low <= score.tau <= score.high
        assert score.n == 24
        assert taurank.score(run_folder).tau == score.tau
        assert capfd.readouterr() == ("", "")

    def test_messages_name_arguments_as_python_does(self, run_folder: Path) -> None:
        with pytest.raises(ScoringError, match=r"^lower_is_better and higher_is_better are for baseline;"):
            taurank.score(run_folder, lower_is_better=True)

    def test_it_can_be_planned(self, run_folder: Path) -> None:
        plan = taurank.plan(run_folder)
        assert plan.low <= plan.tau <= plan.high
        assert list(plan.to_frame().columns) == ["budget", "tau", "low", "high", "epochs", "hours"]
        assert plan.document()["progress"]["spent_epochs"] > 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: taurank.open_run("nowhere"), RunError, "is not the folder of a run"),
        (lambda: taurank.run("quickstrt"), ValueError, "did you mean 'quickstart'"),
        (lambda: taurank.run({"name": "a"}), ValueError, "the experiment: space: is missing"),
        (lambda: taurank.rank_models(["timm:no"], data="folder:nowhere"), ValueError, "no model 'no'"),
        (lambda: taurank.plan(candidates=10, epochs=5, tau=2), PlanError, "^tau: 2 is not a tau to reach"),
        (lambda: taurank.plan(candidates=1, epochs=5, budget="2x"), PlanError, "candidates: 1 is too few"),
        (lambda: taurank.plan(candidates=10, epochs=5, budget="2x", epoch_seconds=-1), PlanError, "^epoch_seconds: -1"),
        (lambda: taurank.get_space("nasbench21"), ValueError, "nasbench21"),
    ],
)
def test_mistakes_are_errors_of_our_own(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert type(caught.value).__module__.startswith("taurank")
