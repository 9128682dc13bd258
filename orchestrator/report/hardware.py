"""Reports constraints, latencies, objectives and the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from taurank.orchestrator.candidates import logged_conditions, narrowing_line
from taurank.orchestrator.evidence import ACCURACY, CONSTRAINTS, DRAWN_AGAIN, SET_ASIDE, VOID, EvidenceLog, RankedMetric
from taurank.orchestrator.experiment import Experiment
from taurank.orchestrator.hardware import Measure
from taurank.orchestrator.report.figures import decimal, interval, value_text
from taurank.orchestrator.scoring import FRONT_FILE, Front, ObjectiveScore, costs
from taurank.orchestrator.text import MiddleElided, print_line
from taurank.spaces import Architecture

EXCLUDED = "excluded:"
"""Start of the line of an excluded candidate."""
NAMED = 20
"""Maximal number of excluded candidates named on the terminal; the page has all."""
WORTH_SHOWING = 0.1
"""Minimal front probability at which a candidate outside the front of the means is shown."""
HEADINGS: dict[Measure, str] = {"latency": "latency ms", "flops": "MFLOPs", "parameters": "parameters"}


def hardware_lines(experiment: Experiment, log: EvidenceLog, codes: Sequence[str]) -> list[str]:
    """Lines on the narrowed space, the constraints, the excluded candidates and the latency measurements."""
    events = log.events()
    narrowed = narrowing_line(log)
    lines = [] if narrowed is None else [narrowed]
    if experiment.constraints:
        ours = events[events["stage"] == CONSTRAINTS]
        aside = ours[ours["event"] == SET_ASIDE]
        drawn = ours.loc[ours["event"] == DRAWN_AGAIN, "reason"]
        again = f"{number_of(int(drawn.iloc[0]))} violated them and were replaced by other draws" if len(drawn) else ""
        counted = f"{number_of(len(aside))} excluded" if len(aside) else again or "all candidates satisfy them"
        lines.append(f"constraints: {', '.join(experiment.constraints)}; {counted}")
        space = experiment.space.make()
        for code, reason in zip(aside["trial"], aside["reason"], strict=True):
            lines.append(f"{EXCLUDED} {space.short(Architecture(space.name, code))}: {reason}")
    found = logged_conditions(log)
    if found is not None:
        by, conditions = found
        values = costs(log.evidence(), codes, "latency")
        known = values[np.isfinite(values)]
        span = f"{known.min():.3g} to {known.max():.3g} ms" if len(known) else "none"
        lines.append(f"latency: {span}, {by} ({conditions})")
        for trial, reason in events.loc[events["event"] == VOID, ["trial", "reason"]].itertuples(index=False):
            if str(trial).startswith("latency/"):
                lines.append(f"no latency: {str(trial).removeprefix('latency/')}: {reason}")
    return lines


def print_hardware(console: Console, lines: Sequence[str]) -> None:
    """Prints these lines, with only the first of the excluded candidates."""
    named = 0
    for line in lines:
        named += line.startswith(EXCLUDED)
        if not line.startswith(EXCLUDED) or named <= NAMED:
            print_line(console, line)
    if named > NAMED:
        print_line(console, f"... and {named - NAMED:,} more excluded, in the log and in report.html")


def print_front(
    console: Console, found: Front, names: Mapping[str, str], *, metric: RankedMetric = ACCURACY, most: int = 40
) -> None:
    """Prints the front of the means and the candidates that may belong to it, cheapest first."""
    table = found.table
    shown = table[table["on_front"] | (table["front_probability"] >= WORTH_SHOWING)]
    print_line(
        console,
        f"Pareto front of {metric.final_title} against {found.against}, cheapest first (* on the front by the means)",
    )
    drawn = Table(box=None, pad_edge=False)
    drawn.add_column("", no_wrap=True)
    drawn.add_column("architecture", min_width=12)
    for heading in (HEADINGS[found.against], "rank", "predicted final", "on the front"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    for _, row in shown.head(most).iterrows():
        drawn.add_row(
            "*" if row["on_front"] else "",
            MiddleElided(names[row["architecture"]]),
            cost_text(found.against, row[found.column]),
            str(row["rank"]),
            value_text(metric)(row["predicted_accuracy"]),
            f"{row['front_probability']:.0%}",
        )
    console.print(drawn)
    if len(shown) > most:
        print_line(console, f"... and {len(shown) - most:,} more")
    left = len(table) - len(shown)
    if left:
        print_line(
            console,
            f"{left:,} others are on the front with a probability below {WORTH_SHOWING:.0%}; {FRONT_FILE} has all",
        )


def cost_text(against: Measure, value: float) -> str:
    """A cost in the unit of its heading."""
    if against == "latency":
        return f"{value:.3g}"
    return f"{value / 1e6:,.2f}" if against == "flops" else f"{value:,.0f}"


def objective_cells(row: pd.Series) -> list[str]:
    """Objective and its rank of a row of the ranking, dashes if missing."""
    return ["-", "-"] if pd.isna(row["objective"]) else [f"{row['objective']:.4f}", str(row["objective_rank"])]


def number_of(candidates: int) -> str:
    """A number of candidates, as text."""
    return f"{candidates:,} candidate" + ("" if candidates == 1 else "s")


def front_line(found: Front, folder: Path, metric: RankedMetric = ACCURACY) -> str:
    """The number of candidates on the front, and the command that shows them."""
    return (
        f"{metric.final_title} against {found.against}: {number_of(len(found.members))} on the Pareto front; "
        f"taurank front {folder} shows it"
    )


def objective_line(score: ObjectiveScore) -> str:
    """Tau of the objective, compared with the ranking by accuracy and with the order by cost."""
    return (
        f"objective {score.spec}: tau-b {decimal(score.ours.tau)} ({interval(score.ours)}) against the same objective "
        f"of full training; by predicted accuracy alone {decimal(score.by_accuracy.tau)}, by {score.spec.of} alone "
        f"{decimal(score.by_cost.tau)}"
    )
