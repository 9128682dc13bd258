"""Faces whose names are imported when they are first used."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from taurank.spaces.lazy_names import lazy_names

FACES = (
    "taurank",
    "taurank.spaces",
    "taurank.spaces.cells",
    "taurank.spaces.mobile",
    "taurank.spaces.nasbench201",
    "taurank.spaces.once_for_all",
    "taurank.spaces.zoo",
    "taurank.trainables.data",
    "taurank.trainables.latency",
    "taurank.trainables.pretext",
    "taurank.trainables.proxies",
    "taurank.trainables.supernet",
    "taurank.trainables.supernet.samplers",
    "taurank.trainables.table",
    "taurank.trainables.training",
    "taurank.orchestrator.api",
    "taurank.orchestrator.campaigns",
    "taurank.orchestrator.evidence",
    "taurank.orchestrator.experiment",
    "taurank.orchestrator.own_results",
    "taurank.orchestrator.proxy_scores",
    "taurank.orchestrator.ranker",
    "taurank.orchestrator.report",
    "taurank.orchestrator.runs",
    "taurank.orchestrator.search",
)


@pytest.mark.parametrize("face", FACES)
def test_all_public_names_are_there(face: str) -> None:
    package = import_module(face)
    assert all(getattr(package, name) is not None for name in package.__all__)
    # A submodule of the same name would take the place of a lazy name once it is imported.
    assert not [name for name in package.__all__ if f"{face}.{name}" in sys.modules]


def test_a_name_is_imported_when_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lazy_package"
    folder.mkdir()
    (folder / "module.py").write_text("value = 3\n")
    (folder / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from taurank.spaces.lazy_names import lazy_names\n"
        "if TYPE_CHECKING:\n    from lazy_package.module import value\n"
        "__getattr__ = lazy_names(__name__)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    package = import_module("lazy_package")
    assert "lazy_package.module" not in sys.modules
    assert package.value == 3
    assert package.module.value == 3
    with pytest.raises(AttributeError, match="module 'lazy_package' has no attribute 'other'"):
        _ = package.other
    for name in ("lazy_package", "lazy_package.module"):
        monkeypatch.delitem(sys.modules, name)


def test_a_package_names_what_it_lacks() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchSpace'"):
        lazy_names("taurank.spaces")("NoSuchSpace")
