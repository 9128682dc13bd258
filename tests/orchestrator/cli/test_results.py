"""`taurank rank RESULTS` and `taurank next RESULTS`, and how they differ from commands on runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.readme.test_commands import write_results

Taurank = Callable[..., tuple[int, str, str]]
OPTIONS = ("--full-epochs", 20, "--metric", "val_loss")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_results(tmp_path)
    return tmp_path / "results.csv"


def test_the_ranking_is_printed_written_and_the_same_in_python(results: Path, taurank: Taurank) -> None:
    import taurank as python

    file, sizes = results.parent / "ranking.csv", results.parent / "sizes.csv"
    code, out, err = taurank("rank", results, *OPTIONS, "--features", sizes, "--out", file)
    assert code == 0, err
    assert "final val_loss: measured for 3 candidates trained to the end, else predicted" in out
    assert out.splitlines()[-1] == f"written: {file}"
    frame = python.rank(results, full_epochs=20, metric="val_loss", features=sizes).to_frame()
    written = pd.read_csv(file)
    assert list(written["candidate"]) == list(frame["candidate"])
    assert written["predicted"].to_numpy() == pytest.approx(frame["predicted"].to_numpy(), nan_ok=True)
    code, out, _ = taurank("rank", results, *OPTIONS, "--features", sizes, "--json")
    document = json.loads(out)
    assert [row["candidate"] for row in document["ranking"]] == list(frame["candidate"])
    assert document["mode"] == "min"
    # Quiet prints the result, which is the table.
    assert "net-0" in taurank("rank", results, *OPTIONS, "--quiet")[1]


def test_the_page_of_results(results: Path, taurank: Taurank) -> None:
    file, sizes = results.parent / "report.html", results.parent / "sizes.csv"
    code, out, err = taurank("rank", results, *OPTIONS, "--features", sizes, "--report", file)
    assert code == 0, err
    assert out.splitlines()[-1] == f"written: {file}"
    page = file.read_text(encoding="utf-8")
    assert "predicted val_loss" in page
    assert "12 candidates by val_loss (lower is better)" in page
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert data["lower"] is True
    given = pd.read_csv(results)
    first = data["candidates"][0]
    curve = next(one for one in data["curves"] if one["c"] == 0)
    own = given[given.iloc[:, 0] == first["code"]]
    assert curve["y"] == pytest.approx(own["val_loss"].tolist()[: len(curve["y"])], rel=1e-4)
    assert {one["state"] for one in data["curves"]} >= {"full", "stopped"}
    code, _, err = taurank("rank", results, *OPTIONS, "--report", results.parent / "none" / "report.html")
    assert (code, err.count("\n")) == (2, 1)
    assert "--report: " in err


def test_next_says_what_how_far_and_what_for(results: Path, taurank: Taurank) -> None:
    code, out, err = taurank("next", results, *OPTIONS, "--epochs", 30, "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["epochs"] == sum(training["epochs"] for training in document["trainings"]) == 30
    assert {training["to_epoch"] for training in document["trainings"]} == {20}
    assert document["expected_tau"] <= document["expected_tau_after"] <= 1


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["rank", "{results}"], "is not the folder of a run; for results add --full-epochs and --metric"),
        (["rank", "{results}", "--metric", "val_loss"], "--full-epochs is missing"),
        (["rank", "{results}", "--full-epochs", "20"], "--metric is missing"),
        (["rank", "{run}", "--metric", "val_loss"], "--metric: {run} is a run, which has its own; omit the option"),
        (["rank", "{folder}", *map(str, OPTIONS)], "{folder} has no results: no result.json"),
        (["rank", "{results}", *map(str, OPTIONS), "--columns", "net"], "--columns: 'net' is not ROLE=NAME"),
        (["rank", "{results}", *map(str, OPTIONS), "--out", "{folder}/no/r.csv"], "r.csv cannot be written"),
        (["next", "{results}", *map(str, OPTIONS)], "--budget or --epochs: give one of the two"),
        (["next", "{results}", *map(str, OPTIONS), "--budget", "a lot"], "write 10x"),
    ],
)
def test_mistakes_end_in_a_line(
    command: list[str], message: str, results: Path, run_folder: Path, tmp_path: Path, taurank: Taurank
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"results": results, "run": run_folder, "folder": tmp_path / "empty"}
    code, _, err = taurank(*(word.format(**places) for word in command))
    assert code == 2
    assert err.startswith("taurank: ")
    assert len(err.splitlines()) == 1
    assert message.format(**places) in err
