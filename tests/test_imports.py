"""Imports point down: orchestrator > trainables > spaces, schedulers beside them; ray stays at the edge."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "spaces": set(),
    "trainables": {"spaces"},
    "schedulers": set(),
    "orchestrator": {"spaces", "trainables", "schedulers"},
}
RAY = (
    "trainables/trials.py",
    "trainables/proxy_trial.py",
    "schedulers/tune.py",
    "schedulers/policy_scheduler.py",
    "schedulers/ray_schedulers.py",
    "orchestrator/",
)
TABLES = "trainables/table/"  # tables are data frames
FRONT_END = {"pydantic", "pandas", "typer", "rich"}
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imported(file: Path) -> set[str]:
    """Top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}, line {node.lineno}: relative import"
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(ROOT)) for file in FILES])
def test_imports_of(file):
    name = str(file.relative_to(ROOT))
    package = name.split("/")[0]
    found = imported(file)
    assert not found & set(PACKAGES) - PACKAGES[package] - {package}
    if not name.startswith(RAY):
        assert "ray" not in found
    if name.startswith(TABLES):
        assert not found & FRONT_END - {"pandas"}
    elif package != "orchestrator":
        assert not found & FRONT_END


def test_all_files_are_looked_at():
    assert {file.relative_to(ROOT).parts[0] for file in FILES} == set(PACKAGES)
    assert len(FILES) > 50
    assert "ray" in imported(ROOT / "schedulers" / "tune.py")


def test_the_pure_core_loads_without_ray():
    program = "import sys, spaces, trainables.training, schedulers.policies; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
