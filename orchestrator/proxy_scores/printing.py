"""What `taurank proxies` prints of architectures: their scores."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from taurank.orchestrator.proxy_scores.scoring import Request
from taurank.orchestrator.tau import tau_b
from taurank.orchestrator.text import MiddleElided, print_line
from taurank.spaces import Architecture
from taurank.trainables.proxies import get_proxy, log_rank_sum

Values = NDArray[np.float64]
SHOWN = 20
"""Best candidates on the terminal; the file holds all of them."""
FIXED_COLUMNS = 30
"""Columns of the terminal that place and architecture take."""
COLUMN = 10
"""Columns that a score takes at least."""


def print_scores(console: Console, rows: pd.DataFrame, request: Request, file: Path) -> None:
    """The best candidates by the sum of logarithms of their ranks, and a line for each proxy."""
    wanted = rows[rows["architecture"].isin(request.codes) & rows["proxy"].isin(request.names)]
    table = wanted.pivot(index="architecture", columns="proxy", values="score").reindex(list(request.codes))
    scores = {name: table[name].to_numpy(dtype=float) for name in request.names}
    fused = log_rank_sum(scores, {name: get_proxy(name).direction for name in request.names})
    _print_best(console, scores, fused, request)
    console.print()
    _print_by_proxy(console, wanted, scores, fused, request)
    console.print()
    print_line(console, f"all scores: {file}", wrap=True)


def _print_best(console: Console, scores: dict[str, Values], fused: Values, request: Request) -> None:
    """As many proxies as there is room for."""
    room, shown = console.width - FIXED_COLUMNS, []
    for name in request.names:
        room -= max(COLUMN, len(name)) + 2
        if room >= 0:
            shown.append(name)
    console.print("best first, by the sum of logarithms of ranks", style="bold")
    table = Table(box=None, pad_edge=False)
    table.add_column("place", justify="right", no_wrap=True)
    table.add_column("architecture", min_width=12)
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    order = np.argsort(-np.nan_to_num(fused, nan=-np.inf), kind="stable")
    for row in order[:SHOWN]:
        place = f"{1 + int((fused > fused[row]).sum())}" if math.isfinite(fused[row]) else "-"
        short = request.space.short(Architecture(request.space.name, request.codes[row]))
        table.add_row(place, MiddleElided(short), *(_number(scores[name][row], ".5g", void="void") for name in shown))
    console.print(table)
    if len(order) > SHOWN:
        print_line(console, f"... and {len(order) - SHOWN:,} more", wrap=True)
    left_out = [name for name in request.names if name not in shown]
    if left_out:
        print_line(console, f"no room for {', '.join(left_out)}", wrap=True)


def _print_by_proxy(
    console: Console, rows: pd.DataFrame, scores: dict[str, Values], fused: Values, request: Request
) -> None:
    """How many have a score, agreement with the fusion, noise, coverage, time; then what is void, and why."""
    table = Table(box=None, pad_edge=False)
    table.add_column("proxy", no_wrap=True)
    for heading in ("scored", "tau to fusion", "noise", "coverage", "s each"):
        table.add_column(heading, justify="right")
    void: list[str] = []
    for name in request.names:
        own, values = rows[rows["proxy"] == name], scores[name]
        known = np.isfinite(values)
        tau = tau_b(get_proxy(name).direction * values[known], fused[known]) if known.sum() > 1 else math.nan
        spread = float(np.std(values[known], ddof=1)) if known.sum() > 1 else math.nan
        noise = float(np.sqrt((own["sd"] ** 2).mean())) / spread if spread > 0 else math.nan
        covered = float(own.loc[own["score"].notna(), "coverage"].mean())
        cells = [_number(tau, ".2f"), _number(noise, ".2f"), _number(covered, ".2f")]
        table.add_row(name, f"{known.sum():,}", *cells, f"{own['seconds'].mean():.3g}")
        reasons = own.loc[own["score"].isna(), "reason"].value_counts()
        void += [f"{name}: void for {count:,}: {reason}" for reason, count in reasons.items()]
    console.print(table)
    if request.initialisations > 1:
        print_line(
            console, "noise: spread between initialisations, as a share of that between architectures", wrap=True
        )
    for line in void:
        print_line(console, line, wrap=True)


def _number(value: float, form: str, *, void: str = "-") -> str:
    return format(value, form) if math.isfinite(value) else void
