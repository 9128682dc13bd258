"""What a comparison of policies prints: what is compared, a line per draw, the means; and the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from taurank.orchestrator.replay.policies import BASELINES, MEASURES, Comparison, PolicyRow
from taurank.orchestrator.replay.summary import decimal
from taurank.orchestrator.text import MiddleElided, print_line

ROUNDING = 1e-9
HEADINGS = ("policy", "ranked by", "epochs", "tau", "sd", "expected", "top 20 %", "regret")


def print_policy_head(console: Console, comparison: Comparison, draws: int) -> None:
    """What is compared, on which curves, and against which truth."""
    info, matrix, truth = comparison.table.info, comparison.curves.matrix, comparison.truth
    drawn = f"{draws} {'draw' if draws == 1 else 'draws'} of {comparison.candidates:,}"
    pool = len(comparison.curves.architectures)
    subject = f"{info.space or 'unknown space'} on {info.data or 'unknown data'}"
    print_line(console, f"{subject}: {drawn} from {pool:,} {comparison.among}")
    phase = f", compared at every {comparison.period} epochs" if comparison.period > 1 else ""
    seed = f"seed {truth.evidence_seed}" if truth.evidence_seed >= 0 else "unknown seed"
    end = f"{matrix.epochs[-1]} epochs"
    print_line(console, f"curves: {comparison.metric} ({matrix.metric}) of training, {seed}, {end}{phase}")
    meet = ", where evidence and truth meet" if comparison.meets_evidence else ""
    print_line(console, f"truth: {truth}, after {end}{meet}")
    if truth.of_evidence_trainings and not comparison.meets_evidence:
        print_line(console, f"note: the truth is of the same trainings, seen by {truth.metric}")
    if comparison.curves.left_out:
        print_line(console, f"note: {comparison.curves.left_out:,} trainings lack epochs that most have: skipped")
    limits = comparison.limits
    workers = f"{limits.slots} {'training' if limits.slots == 1 else 'trainings'} at once"
    print_line(console, f"budget: {limits.budget_epochs:,.0f} epochs ({comparison.speed_up:g}x cheaper), {workers}")


def print_policy_draw(console: Console, rows: Sequence[PolicyRow]) -> None:
    """One line about one draw: the tau of each policy under the first of its rankings."""
    first: dict[str, float] = {}
    for row in rows:
        if not row["problem"]:
            first.setdefault(str(row["policy"]), float(row["tau"]))
    taus = ", ".join(f"{name} {decimal(tau)}" for name, tau in first.items())
    print_line(console, f"draw {rows[0]['draw']:.0f}: tau of {taus or 'no policy'}")


def summarise_policies(rows: Sequence[PolicyRow]) -> pd.DataFrame:
    """Means over the draws by policy and way to rank, in the order of the rows; ``tau_sd`` is that of the draws.

    A policy that could not keep to the limits has a row with its ``problem`` and no numbers.
    """
    groups = pd.DataFrame(list(rows)).groupby(["policy", "ranked_by"], sort=False)
    table = groups[list(MEASURES)].mean()
    table.insert(2, "tau_sd", groups["tau"].std(ddof=0))
    return table.assign(problem=groups["problem"].first(), draws=groups.size()).reset_index()


def print_policy_summary(console: Console, comparison: Comparison, rows: Sequence[PolicyRow]) -> None:
    """A table of the policies, then of the baselines, then what could not keep to the limits, with the reason."""
    found = summarise_policies(rows)
    baseline = found["policy"].isin(BASELINES)
    table = Table(box=None, pad_edge=False)
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right")
    share = 1 / comparison.speed_up + ROUNDING
    for part in (found[~baseline], found[baseline]):
        for row in part[part["problem"] == ""].to_dict("records"):
            over = " *" if row["epochs"] > share else "  "
            cells = [f"{row['epochs']:.1%}{over}", decimal(row["tau"]), decimal(row["tau_sd"])]
            cells += [decimal(row["expected_tau"]), decimal(row["tau_top20"]), decimal(row["top1_regret"], ".4f")]
            table.add_row(MiddleElided(str(row["policy"])), str(row["ranked_by"]), *cells)
        table.add_section()
    console.print()
    console.print(table, highlight=False)
    if (found["epochs"] > share).any():
        print_line(console, f"* above the budget of {1 / comparison.speed_up:.1%}: it chooses its own")
    for row in found[found["problem"] != ""].to_dict("records"):
        print_line(console, f"{row['policy']}: {row['problem']}")
    unit = comparison.table.info.metrics[comparison.truth.metric].unit
    in_unit = f" ({unit})" if unit else ""
    print_line(console, "tau: agreement with the truth; sd: of the draws; top 20 %: tau among the true best fifth")
    print_line(console, f"regret: {comparison.truth.metric} of the best against that of our first{in_unit}")


def policies_document(comparison: Comparison, rows: Sequence[PolicyRow]) -> dict[str, Any]:
    """One JSON object: what was compared, the rows of all draws, their means; NaN for what is missing."""
    info, limits = comparison.table.info, comparison.limits
    return {
        "space": info.space,
        "data": info.data,
        "metric": comparison.metric,
        "kind": limits.metric,
        "truth": str(comparison.truth),
        "truth_is_end_of_curves": comparison.meets_evidence,
        "evidence_seed": comparison.truth.evidence_seed,
        "full_epochs": limits.schedule_epochs,
        "period": limits.period,
        "pool": len(comparison.curves.architectures),
        "among": comparison.among,
        "candidates": comparison.candidates,
        "budget": comparison.speed_up,
        "budget_epochs": limits.budget_epochs,
        "seed": comparison.seed,
        "workers": limits.slots,
        "policies": [{"name": spec.name, "options": dict(spec.options)} for spec in comparison.policies],
        "draws": [dict(row) for row in rows],
        "mean": summarise_policies(rows).to_dict("records"),
    }
