"""The table of the report: what is known of each candidate, and the columns that show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from taurank.orchestrator.evidence import FLOPS, LATENCY, LATENCY_MS, PARAMETERS, SIZE, TRAINING
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.trained import STATE_WORDS, Trained

TOP = 5
"""The table shows the probability that a candidate is among this many best."""
_NUMBERS = {
    "score": "score",
    "predicted": "predicted_accuracy",
    "low": "accuracy_low",
    "high": "accuracy_high",
    "seconds": "seconds",
    "epochs": "epochs",
}
"""Columns of a ranking's table by the names that the page has for them."""
OBJECTIVE = ("objective", "objective_rank")
_BADGES = {"full": "full", "done": "short", "stopped": "stopped", "paused": "paused", "failed": "failed"}


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        key: of the value that it is sorted by, as `standings` names it.
        heading: as shown.
        text: of a cell, from the values of a candidate.
        term: of the glossary; empty for none.
        kind: ``number``, ``name``, ``bar`` or ``state``.
        narrow: whether it is kept on a telephone.
    """

    key: str
    heading: str
    text: Callable[[Mapping[str, Any]], str]
    term: str = ""
    kind: str = "number"
    narrow: bool = False


def standings(
    ranking: Ranking,
    table: pd.DataFrame,
    rows: pd.DataFrame,
    names: Mapping[str, str],
    measured: Mapping[str, float],
    trained: Mapping[str, Trained],
) -> list[dict[str, Any]]:
    """What is known of each candidate, best first; numbers are NaN where they are missing.

    Args:
        ranking: the order.
        table: its table with tiers and with final values as they are shown.
        rows: of its evidence.
        names: short names, by code.
        measured: final values by full training, by code.
        trained: the foremost training of each candidate, by code.
    """
    codes = [str(code) for code in table["architecture"]]
    count = len(codes)
    likely = set(ranking.likely_best()) if ranking.weights else set()
    best, top = (ranking.top_probability(min(k, count)).to_numpy() for k in (1, TOP))
    costs = {
        "parameters": _last(rows, SIZE, PARAMETERS),
        "flops": _last(rows, SIZE, FLOPS),
        "latency": _last(rows, LATENCY, LATENCY_MS),
        "epoch_seconds": _epoch_seconds(rows),
    }
    found: list[dict[str, Any]] = []
    for place, (code, row) in enumerate(zip(codes, table.to_dict("records"), strict=True)):
        one = trained.get(code)
        problem, words = str(row["problem"] or ""), one.words if one is not None else "not trained"
        state = "failed" if code in ranking.failed else one.state if one is not None else "none"
        values: dict[str, Any] = {"name": names[code], "code": code}
        values |= {key: int(row[key]) for key in ("rank", "tier", "rank_low", "rank_high")}
        values |= {"likely": place in likely, "best": float(best[place]), "top": float(top[place])}
        values |= {key: float(row[column]) for key, column in _NUMBERS.items()}
        values |= {"measured": float(measured.get(code, np.nan))}
        values |= {key: float(known.get(code, np.nan)) for key, known in costs.items()}
        values |= {key: float(row[key]) for key in OBJECTIVE if key in row and pd.notna(row[key])}
        values |= {
            "state": state,
            "status": _status(state, one),
            "note": problem if code in ranking.failed else "; ".join(filter(None, (problem, words))),
            "evidence": str(row["evidence"] or ""),
        }
        found.append(values)
    return found


def _last(rows: pd.DataFrame, source: str, metric: str) -> dict[str, float]:
    own = rows[(rows["source"] == source) & (rows["metric"] == metric)]
    return {str(code): float(value) for code, value in own.groupby("architecture")["value"].last().items()}


def _epoch_seconds(rows: pd.DataFrame) -> dict[str, float]:
    """Device seconds of an epoch of training, by code."""
    own = rows[(rows["source"] == TRAINING) & (rows["epochs"] > 0)]
    sums = own.groupby("architecture")[["seconds", "epochs"]].sum()
    seconds = sums["seconds"] / sums["epochs"]
    return {str(code): float(value) for code, value in seconds.items() if value > 0}


def _status(state: str, one: Trained | None) -> str:
    if state == "none":
        return "not trained"
    word = _BADGES.get(state, STATE_WORDS["begun"])
    partly = one is not None and state != "full" and one.last_epoch
    return f"{word}, {one.last_epoch} of {one.schedule_epochs}" if one is not None and partly else word


def columns_of(rows: Sequence[Mapping[str, Any]], final: Callable[[float], str], metric: str) -> list[Column]:
    """The columns that have a value in some row.

    Args:
        rows: as `standings` returns them.
        final: formats a final value.
        metric: name of the final values.
    """
    return [column for column in _columns(final, metric, min(TOP, len(rows))) if _is_known(column, rows)]


def _is_known(column: Column, rows: Sequence[Mapping[str, Any]]) -> bool:
    values = [row.get(column.key) for row in rows]
    return any(value is not None and not (isinstance(value, float) and np.isnan(value)) for value in values)


def _columns(final: Callable[[float], str], metric: str, top: int) -> Iterator[Column]:
    def number(key: str, heading: str, shown: Callable[[float], str], **more: Any) -> Column:
        return Column(key, heading, lambda row: _shown(row.get(key), shown), **more)

    yield number("rank", "rank", lambda value: f"{value:.0f}", term="rank", narrow=True)
    yield Column(
        "rank_low", "90 % interval", lambda row: f"{row['rank_low']}-{row['rank_high']}", "rank interval", "bar"
    )
    yield number("tier", "tier", lambda value: f"{value:.0f}", term="tier")
    yield Column("name", "architecture", lambda row: str(row["name"]), kind="name", narrow=True)
    yield Column("predicted", f"predicted {metric}", lambda row: _with_interval(row, final), "predicted", narrow=True)
    yield number("measured", f"measured {metric}", final, term="measured")
    yield number("objective", "objective", lambda value: f"{value:.4f}", term="objective")
    yield number("objective_rank", "rank by it", lambda value: f"{value:.0f}")
    if top > 1:
        yield number("top", f"in top {top}", lambda value: f"{100 * value:.0f} %", term="top")
    yield number("parameters", "parameters", scaled)
    yield number("flops", "FLOPs", scaled, term="FLOPs")
    yield number("latency", "latency, ms", lambda value: f"{value:.3g}", term="latency")
    yield number("epochs", "cost, epochs", lambda value: f"{value:,.1f}", term="epochs")
    yield number("seconds", "cost, s", lambda value: f"{value:,.1f}", term="seconds")
    yield Column("state", "status", lambda row: str(row["status"]), "status", "state", True)


def _shown(value: float | None, shown: Callable[[float], str]) -> str:
    return "-" if value is None or np.isnan(value) else shown(value)


def _with_interval(row: Mapping[str, Any], final: Callable[[float], str]) -> str:
    if np.isnan(row["predicted"]):
        return "-"
    ends = [final(row[end]).removesuffix("%").strip() for end in ("low", "high")]
    between = "\u2060-\u2060" if row["low"] >= 0 else " to "  # no line breaks within an interval
    return final(row["predicted"]) + (f" ({between.join(ends)})" if row["low"] < row["high"] else "")


def scaled(value: float) -> str:
    """A large number with its prefix: ``11.2 M``."""
    for unit, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{sign}"
    return f"{value:.3g}"
