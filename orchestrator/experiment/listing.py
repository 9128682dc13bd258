"""The experiments that come with taurank."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from taurank.orchestrator.text import read_yaml

NAMED = resources.files("taurank.orchestrator.experiment.shipped")


def list_experiments() -> list[str]:
    """Names of the experiments that come with taurank."""
    return sorted(Path(entry.name).stem for entry in NAMED.iterdir() if entry.name.endswith(".yaml"))


def experiment_text(name: str) -> str:
    """YAML of one of `list_experiments`."""
    return (NAMED / f"{name}.yaml").read_text(encoding="utf-8")


def experiment_description(name: str) -> str:
    """What one of `list_experiments` says of itself; nothing else of it is read or checked."""
    return str(read_yaml(experiment_text(name))["description"])
