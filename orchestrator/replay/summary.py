"""The draws of a replay in one: means and spreads, as a table, a CSV, a JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from orchestrator.replay.bench import Bench
from orchestrator.replay.errors import ReplayError
from orchestrator.replay.measures import Row
from orchestrator.replay.plan import ReplayPlan

NO_MEASURE = ("draw", "n", "budget")
"""Columns that say which draw it is."""


def summarise(rows: Sequence[Row]) -> pd.DataFrame:
    """Mean and standard deviation over the draws that have a value, by column, and how many do.

    The deviation is that of the draws themselves (of a population); NaN in columns that no draw has.
    """
    table = pd.DataFrame(list(rows)).drop(columns=list(NO_MEASURE))
    return pd.DataFrame({"mean": table.mean(), "sd": table.std(ddof=0), "draws": table.notna().sum()})


def beaten_references(rows: Sequence[Row]) -> tuple[int, int]:
    """In how many draws the order was better than the reference, and how many have one."""
    compared = [row for row in rows if row["tau_reference"] == row["tau_reference"]]
    return sum(row["tau"] > row["tau_reference"] for row in compared), len(compared)


def write_rows(rows: Sequence[Mapping[str, float | str]], file: Path) -> None:
    """Writes a CSV, one line per row.

    Raises:
        ReplayError: the file cannot be written.
    """
    try:
        pd.DataFrame(list(rows)).to_csv(file, index=False)
    except OSError as error:
        raise ReplayError(f"--out: {file} cannot be written: {error.strerror or error}") from None


def to_json(bench: Bench, plan: ReplayPlan, rows: Sequence[Row]) -> str:
    """One JSON object: what was replayed, the draws, their means and deviations; null for what is missing."""
    found = summarise(rows)
    content = {
        "space": bench.table.info.space,
        "data": bench.table.info.data,
        "truth": str(bench.truth),
        "bought_seed": bench.truth.bought_seed,
        "full_epochs": bench.full_epochs,
        "pool": len(bench.pool),
        "among": bench.among,
        "seed": plan.seed,
        "workers": plan.workers,
        "proxies": list(plan.cheap.proxies),
        "supernets": plan.cheap.supernets,
        "trainings": [spec.model_dump(mode="json") for spec in plan.trainings],
        "draws": [{name: known(value) for name, value in row.items()} for row in rows],
        "mean": {str(name): known(value) for name, value in found["mean"].items()},
        "sd": {str(name): known(value) for name, value in found["sd"].items()},
    }
    return json.dumps(content, indent=2, allow_nan=False)


def known(value: float) -> float | None:
    """The value; None, which JSON can say, where it is not finite."""
    return value if math.isfinite(value) else None
