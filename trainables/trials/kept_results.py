"""Complete trainings in files of their own, from which another run takes what it would only repeat.

Such a file is JSON with the name of the run that trained, and the rows of the trial; its name is the content address of
the training. It holds no weights: what is complete needs none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class KeptResult:
    """A complete training.

    Attributes:
        run: the run that trained.
        rows: one result an epoch, as the trial reports them.
    """

    run: str
    rows: list[dict[str, Any]]


def read_result(file: Path, *, trial: str, epochs: int) -> KeptResult | None:
    """The first epochs of a training, as results of the trial that needs them.

    None where there is no such file, where it is damaged, or where its training was shorter.

    Args:
        file: of the training.
        trial: key of the trial that needs it.
        epochs: that this trial has.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        run, rows = str(content["run"]), content["rows"][:epochs]
        rows = [_checked(row, epoch) | {"trial": trial, "outcome": ""} for epoch, row in enumerate(rows, start=1)]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if len(rows) < epochs:
        return None
    rows[-1]["outcome"] = "completed"
    return KeptResult(run, rows)


def keep_result(file: Path, *, run: str, rows: Sequence[dict[str, Any]]) -> None:
    """Keeps a complete training, unless a longer one is there. A file that cannot be written is left out."""
    if read_result(file, trial="", epochs=len(rows)) is not None:
        return
    partial = file.with_suffix(f".{os.getpid()}.partial")
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(json.dumps({"run": run, "rows": list(rows)}), encoding="utf-8")
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)


def _checked(row: dict[str, Any], epoch: int) -> dict[str, Any]:
    """The row with the types that a trial reports."""
    if row["epoch"] != epoch or not isinstance(row["reason"], str):
        raise ValueError(f"epoch {row['epoch']} at the place of {epoch}")
    evidence = [
        (str(code), int(at), str(metric), float(value), float(seconds), float(epochs))
        for code, at, metric, value, seconds, epochs in row["evidence"]
    ]
    shown = {name: float(row[name]) for name in ("validation_accuracy", "train_loss") if name in row}
    return {"epoch": epoch, "evidence": evidence, "reason": row["reason"]} | shown
