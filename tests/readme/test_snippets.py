"""The Python in README and docs runs as it stands, with what its text calls given."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from taurank.spaces import get_space
from taurank.trainables.data import load_dataset, make_splits
from taurank.trainables.table import write_table
from taurank.trainables.table.importers import import_csv
from tests.readme.documented import PAGES, snippets
from tests.readme.test_commands import write_results


def proxies(folder: Path) -> dict[str, Any]:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
    return {"network": network, "data": make_splits(load_dataset("digits"), seed=0, train=256, validation=64, test=64)}


def search(folder: Path) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {"train": lambda _: float(generator.uniform()), "space": get_space("nasbench201")}


def tables(folder: Path) -> dict[str, Any]:
    columns = ("architecture", "source", "metric", "schedule_epochs", "epoch", "value")
    rows = [f"net-{net},size,parameters,0,0,{1000 * net + 10}" for net in range(3)]
    for net in range(3):
        curve = ((net + epoch) / 300 for epoch in range(1, 201))
        rows += [f"net-{net},training,validation_accuracy,200,{at},{value}" for at, value in enumerate(curve, start=1)]
    file = folder / "rows.csv"
    file.write_text("\n".join([",".join(columns), *rows]) + "\n")
    table = import_csv([file], {name: name for name in columns}, {"seed": "0"}, space="nets", data="digits")
    write_table(table, folder / "nb201.parquet")
    return {}


def own_results(folder: Path) -> dict[str, Any]:
    write_results(folder)
    return {}


GIVEN: dict[str, Callable[[Path], dict[str, Any]]] = {
    "docs/how-to/own-results.md": own_results,
    "docs/how-to/proxies.md": proxies,
    "docs/how-to/search.md": search,
    "docs/how-to/tables.md": tables,
}
"""Names that the text of a page introduces, by page."""


STARTS_RAY = ("docs/how-to/own-training.md", "docs/how-to/python.md", "docs/how-to/schedulers.md")


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.ray if page in STARTS_RAY else ())
        for page in PAGES
        if snippets(page, "python")
    ],
)
def test_python_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = GIVEN.get(page, lambda _: {})(tmp_path)
    for block in snippets(page, "python"):
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page", [page for page in PAGES if snippets(page, "pycon")])
def test_sessions_print_what_they_show(page: str) -> None:
    text = "\n".join(snippets(page, "pycon"))
    test = doctest.DocTestParser().get_doctest(text, {}, page, page, 0)
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed == 0
