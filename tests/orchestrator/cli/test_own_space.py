"""A space of the user's own, as docs/how-to/own-space.md explains it, from the command line, without Ray."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from taurank.orchestrator.experiment.file import load_experiment

PAGE = (Path(__file__).parents[3] / "docs/how-to/own-space.md").read_text(encoding="utf-8")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory with both files of the page."""
    for language, name in (("python", "my_space.py"), ("yaml", "own.yaml")):
        (tmp_path / name).write_text(re.search(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("my_space", None)


def test_the_experiment_of_the_page_is_one(folder):
    experiment = load_experiment("own.yaml")
    assert experiment.space.make().size == 24


def test_it_is_listed_by_name(taurank, folder):
    code, out, err = taurank("spaces", "my_space:SmallNetworks")
    assert (code, err) == (0, "")
    assert "my_space:SmallNetworks" in out
    assert "24" in out
    assert "layers=" in out


@pytest.mark.parametrize(
    ("space", "line"),
    [
        (
            "none_such:Space",
            "space: 'none_such:Space': there is no module 'none_such'; call taurank in the folder that",
        ),
        ("my_space:Small", "space: 'my_space:Small': my_space has no 'Small'"),
        ("my_space:nn", "space: 'my_space:nn' is not a search space class"),
    ],
)
def test_one_line_for_a_space_that_cannot_be_used(taurank, folder, space, line):
    file = folder / "own.yaml"
    file.write_text(file.read_text().replace("my_space:SmallNetworks", space))
    code, out, err = taurank("run", "own.yaml")
    assert (code, out) == (2, "")
    assert err.startswith(f"taurank: own.yaml: {line}")
    assert err.count("\n") == 1
