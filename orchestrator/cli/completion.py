"""What a shell completes; nothing here imports torch, Ray or pandas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

LOG_FILE = "evidence.sqlite"
"""What the folder of a run has, as in `taurank.orchestrator.runs`, whose import takes seconds."""


def complete_space(incomplete: str) -> list[str]:
    """Names of spaces."""
    from taurank.spaces import list_spaces

    return [name for name in list_spaces() if name.startswith(incomplete)]


def complete_experiment(incomplete: str) -> list[str]:
    """Experiments that come with taurank, and YAML files."""
    from taurank.orchestrator.experiment import list_experiments

    shipped = [name for name in list_experiments() if name.startswith(incomplete)]
    return [*shipped, *_paths(incomplete, (".yaml", ".yml"))]


def complete_run(incomplete: str) -> list[str]:
    """Folders of runs, and folders on the way to them."""
    return list(_paths(incomplete, ()))


def complete_plan(incomplete: str) -> list[str]:
    """What `taurank plan` takes: an experiment, or the folder of a run."""
    return list(dict.fromkeys([*complete_experiment(incomplete), *complete_run(incomplete)]))


def _paths(incomplete: str, suffixes: tuple[str, ...]) -> Iterator[str]:
    """Paths below the folder typed so far: files with these suffixes, runs, and other folders with a slash."""
    _, _, start = incomplete.rpartition("/")
    prefix = incomplete[: len(incomplete) - len(start)]
    folder = Path(prefix or ".")
    try:
        found = sorted(path for path in folder.iterdir() if path.name.startswith(start))
    except OSError:
        return
    for path in found:
        if path.name.startswith(".") and not start:
            continue
        if path.is_dir():
            is_run = (path / LOG_FILE).is_file()
            yield f"{prefix}{path.name}" + ("" if is_run else "/")
        elif path.suffix in suffixes:
            yield f"{prefix}{path.name}"
