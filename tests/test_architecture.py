"""The import order: of the layers, and of the packages inside them. Ray and rich stay at the edge."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = {
    "spaces": set(),
    "trainables": {"spaces"},
    "schedulers": set(),
    "orchestrator": {"spaces", "trainables", "schedulers"},
}
FLOORS = {
    "spaces": ["", "cells mobile nasbench201 zoo", "once_for_all"],
    "trainables": ["data table own", "latency training", "proxies supernet pretext", "trials"],
    "schedulers": ["curves", "policies", ""],
    "orchestrator": [
        "text tau hardware evidence",
        "ranker session",
        "search",
        "experiment",
        "planning cluster",
        "candidates knowledge own_results proxy_scores stages",
        "scoring replay",
        "runs",
        "report",
        "campaigns",
        "api",
        "cli",
    ],
}
"""Packages of each layer, bottom first; those of one floor do not import each other. "" is the layer's own modules."""
RAY = (
    "trainables/trials/",
    "schedulers/tune.py",
    "schedulers/curve_scheduler.py",
    "schedulers/restored.py",
    "schedulers/tune_state.py",
    "schedulers/ray_schedulers.py",
    "orchestrator/cluster/",
    "orchestrator/candidates/latencies.py",
    "orchestrator/candidates/paces.py",
    "orchestrator/stages/",
    "orchestrator/replay/launching.py",
    "orchestrator/proxy_scores/workers.py",
)
RICH = (
    "orchestrator/stages/display.py",
    "orchestrator/report/",
    "orchestrator/replay/printing.py",
    "orchestrator/replay/policy_printing.py",
    "orchestrator/proxy_scores/listing.py",
    "orchestrator/proxy_scores/printing.py",
    "orchestrator/text/console.py",
    "orchestrator/cli/",
)
FRONT_END = {"pydantic", "pandas", "typer", "rich"}
FILES = [path.relative_to(ROOT) for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


@cache
def imported(file: Path) -> list[tuple[int, str]]:
    """Modules that a file imports, anywhere in it, each with its line."""
    found = []
    for node in ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            found.append((node.lineno, node.module or ""))
    return found


def place_of(module: str) -> tuple[str, str]:
    """Layer and package of a module of ours: ("orchestrator", "ranker"), ("spaces", "")."""
    _, layer, *rest = module.split(".")
    return layer, rest[0] if rest and (ROOT / layer / rest[0]).is_dir() else ""


def floor_of(layer: str, package: str) -> int:
    return next(number for number, floor in enumerate(FLOORS[layer]) if package in (floor.split() or [""]))


def is_exempt(file: Path, layer: str, package: str) -> bool:
    """A layer's face shows what is above the layer's own modules, and the command line is where all begins."""
    return file.name == "__init__.py" and package == "" and layer in ("spaces", "orchestrator")


def test_layers_and_packages_import_downwards():
    wrong = []
    for file in FILES:
        layer, package = place_of(".".join(("taurank", *file.with_suffix("").parts)))
        for line, module in imported(file):
            if module.partition(".")[0] != "taurank" or module == "taurank":
                continue
            other_layer, other = place_of(module)
            if other_layer != layer:
                if other_layer not in LAYERS[layer]:
                    wrong.append(f"{file}:{line}: {layer} imports {other_layer}")
            elif package != other and not is_exempt(file, layer, package):
                if layer == "orchestrator" and "" in (package, other):
                    continue
                if floor_of(layer, other) >= floor_of(layer, package):
                    wrong.append(f"{file}:{line}: {layer}.{package} imports {layer}.{other}, which is not below it")
    assert not wrong, "\n".join(wrong)


def module_level(statements: list[ast.stmt], modules: Collection[str]) -> Iterator[str]:
    """Those of the modules that are imported when a file is, or by its types: also under `if TYPE_CHECKING`."""
    for node in statements:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            named = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from {name if name in modules else str(node.module) for name in named} & {*modules}
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from module_level(
                [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)], modules
            )


def find_circle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; none where the imports have an order."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_imports_in_a_circle():
    names = {file: ".".join(("taurank", *file.with_suffix("").parts)).removesuffix(".__init__") for file in FILES}
    imports = {
        name: set(module_level(ast.parse((ROOT / file).read_text(encoding="utf-8")).body, names.values())) - {name}
        for file, name in names.items()
    }
    assert find_circle(imports) == []


def test_a_circle_of_types_is_found():
    lower = ast.parse("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package.upper import Upper").body
    found = set(module_level(lower, ["package.lower", "package.upper"]))
    assert find_circle({"package.lower": found, "package.upper": {"package.lower"}})
    assert not find_circle({"package.lower": set(), "package.upper": {"package.lower"}})


def test_every_package_has_its_floor():
    for layer, floors in FLOORS.items():
        listed = sorted(name for floor in floors for name in floor.split())
        there = sorted(path.parent.name for path in (ROOT / layer).glob("*/__init__.py"))
        assert listed == there, layer


def test_no_layer_is_imported_as_a_top_level_package():
    others = (path.relative_to(ROOT) for top in ("tests", "benchmarks") for path in (ROOT / top).rglob("*.py"))
    files = [*FILES, *others]
    wrong = [
        f"{file}:{line}: {module}"
        for file in files
        for line, module in imported(file)
        if module.partition(".")[0] in LAYERS
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("library", "allowed"), [("ray", RAY), ("rich", RICH)])
def test_libraries_at_the_edge(library: str, allowed: tuple[str, ...]):
    users = {str(file) for file in FILES if any(module.split(".")[0] == library for _, module in imported(file))}
    assert not [file for file in sorted(users) if not file.startswith(allowed)]
    assert all(any(file.startswith(prefix) for file in users) for prefix in allowed), "a place that needs no permission"


def test_front_end_libraries_stay_in_the_orchestrator():
    for file in FILES:
        found = {module.split(".")[0] for _, module in imported(file)} & FRONT_END
        if file.parts[:2] == ("trainables", "table"):
            found -= {"pandas"}  # tables are data frames
        assert file.parts[0] == "orchestrator" or not found, f"{file}: {sorted(found)}"


def test_all_files_are_looked_at():
    assert len(FILES) > 200
    assert "ray" in {module.split(".")[0] for _, module in imported(Path("schedulers/tune.py"))}


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("taurank.spaces, taurank.trainables.training, taurank.schedulers.policies", ["ray"]),
        ("taurank.orchestrator.session, taurank.orchestrator.evidence, taurank.orchestrator.text", ["ray", "torch"]),
    ],
)
def test_light_packages_load_without(modules: str, absent: list[str]):
    program = f"import sys, {modules}; print([name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
