"""`taurank compare`: orders of several runs on the candidates that they share, and what they cost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest

from taurank.orchestrator.evidence import EvidenceLog
from taurank.orchestrator.report import compare_runs

Taurank = Callable[..., tuple[int, str, str]]


@pytest.fixture
def other(run_folder: Path, codes: tuple[str, ...]) -> Path:
    """The same run without its trainings, its baseline and four of its candidates."""
    folder = run_folder.with_name("other")
    shutil.copytree(run_folder, folder)
    log = EvidenceLog(folder / "evidence.sqlite")
    log.connection.execute("DELETE FROM evidence WHERE stage != 'size'")
    log.close()
    file = folder / "experiment.yaml"
    lines = file.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not any(code in line for code in codes[:4])]
    file.write_text("\n".join(kept), encoding="utf-8")
    return folder


def test_orders_and_costs(run_folder: Path, other: Path, taurank: Taurank) -> None:
    code, out, err = taurank("compare", run_folder, other, "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    first, second = found["runs"]
    assert (len(first["order"]), len(second["order"])) == (24, 20)
    assert (first["epochs"], first["share"], second["epochs"]) == (168.0, 0.175, 0.0)
    assert first["tau"] > 0
    assert second["tau"] is None  # it has no baseline
    (pair,) = found["pairs"]
    assert (pair["shared"], pair["k"]) == (20, 5)
    shared = [code for code in first["order"] if code in second["order"]]
    theirs = [shared.index(code) for code in second["order"]]
    agreeing = sum(before < after for before, after in combinations(theirs, 2))
    assert pair["found"]["tau"] == pytest.approx(2 * agreeing / 190 - 1)
    assert pair["top"] == len(set(shared[:5]) & set(second["order"][:5]))
    code, out, _ = taurank("compare", run_folder, other)
    assert code == 0
    assert f"1, 2 20 {pair['found']['tau']:.3f} " in " ".join(out.split())


def test_runs_that_share_nothing(run_folder: Path, other: Path, codes: tuple[str, ...], taurank: Taurank) -> None:
    file = run_folder / "experiment.yaml"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(line for line in lines if not any(code in line for code in codes[4:])), encoding="utf-8")
    (pair,) = compare_runs([run_folder, other]).pairs
    assert (pair.shared, pair.found, pair.top, pair.k) == (0, None, 0, 0)
    assert "the runs share no candidate" in taurank("compare", run_folder, other)[1]


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (("{run}",), "one run has nothing to be compared with; give two or more folders of runs"),
        (("{run}", "{run}"), "a run is given twice; give different folders"),
        (("{run}", "{run}/.."), "is not the folder of a run"),
    ],
)
def test_mistakes_are_one_line(run_folder: Path, taurank: Taurank, folders: tuple[str, ...], message: str) -> None:
    code, _, err = taurank("compare", *(name.format(run=run_folder) for name in folders))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
