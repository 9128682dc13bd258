"""What a replay prints: what is replayed, a line per draw, and the means."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from taurank.orchestrator.replay.bench import Bench
from taurank.orchestrator.replay.plan import ReplayPlan
from taurank.orchestrator.replay.summary import Row, beaten_references, decimal, summarise
from taurank.orchestrator.replay.truth import EVIDENCE_METRIC
from taurank.orchestrator.text import print_line

_MEANINGS = {
    "tau": "agreement with the truth (Kendall's tau-b)",
    "retained": "tau / ceiling",
    "ceiling": "tau of one full training of all candidates",
    "tau_top20": "tau among the true best fifth",
    "top1_regret": "truth of the best less that of our first",
    "spearman": "rank correlation",
    "tau_parameters": "ordered by parameters only",
    "tau_flops": "ordered by FLOPs only",
    "tau_depth": "ordered by depth only",
    "tau_reference": "log-rank sum of short training, size, jacov",
    "expected_tau": "what the ranking expects of itself",
    "coverage50": "true ranks within their 50 % interval",
    "coverage90": "true ranks within their 90 % interval",
    "width90": "length of that interval, share of all",
    "weight_knowledge": "share of earlier knowledge in the order",
    "cost": "share of one full training of all candidates",
    "wall_seconds": "on the simulated clock",
    "ranker_seconds": "choosing and ranking, on this machine",
}


def print_head(console: Console, bench: Bench, plan: ReplayPlan, draws: int) -> None:
    """What is replayed, against which truth, and the planned stages."""
    info, truth = bench.table.info, bench.truth
    evidence_seed = f"seed {truth.evidence_seed}" if truth.evidence_seed >= 0 else "a mean or unknown seed"
    drawn = f"{draws} {'draw' if draws == 1 else 'draws'} of {plan.candidates:,}"
    subject = f"{info.space or 'unknown space'} on {info.data or 'unknown data'}"
    print_line(console, f"{subject}: {drawn} from {len(bench.pool):,} {bench.described}")
    print_line(console, f"truth: {truth}, after {bench.full_epochs} epochs; evidence: {evidence_seed}")
    for note in bench.notes:
        print_line(console, f"note: {note}")
    if truth.of_evidence_trainings and truth.metric == EVIDENCE_METRIC:
        print_line(console, "note: the truth is the last value of the evidence's own trainings, so a full one shows it")
    elif truth.of_evidence_trainings:
        same = f"note: truth and full trainings are the same trainings, seen by {truth.metric} and {EVIDENCE_METRIC}"
        print_line(console, f"{same}; `taurank table show` says what else they share")
    if bench.seeds[min(bench.seeds)] < 0:
        print_line(
            console, "note: short trainings are recorded as a mean over seeds or of an unknown seed; they cost as one"
        )
    if not math.isfinite(bench.table.seconds_per_epoch):
        print_line(console, "note: the table has no times of trainings; the simulated clock counts epochs")
    for source in plan.knowledge:
        known = sum(code in source.values for code in bench.pool)
        print_line(
            console, f"knowledge: {source.name} ({source.relation}) has {known:,} of {len(bench.pool):,}; no cost"
        )
    planned = [f"{len(plan.cheap.proxies)} proxies for all"] if plan.cheap.proxies else []
    planned += [f"supernet {name}" for name in plan.cheap.supernets]
    planned += [_stage(spec.stage, spec.candidates) for spec in plan.trainings]
    if plan.adaptive and any(spec.candidates != "all" for spec in plan.trainings[:-1]):
        planned.append("or more short and fewer full trainings where the short ones cannot be predicted")
    whole = plan.candidates * bench.full_epochs / plan.speed_up
    print_line(
        console, f"planned with {whole:,.0f} epochs ({plan.speed_up:g}x cheaper): {', '.join(planned) or 'nothing'}"
    )


def print_draw(console: Console, row: Row) -> None:
    """One line about one draw."""
    print_line(
        console,
        f"draw {row['draw']:.0f}: tau {decimal(row['tau'])} ({decimal(row['tau_low'])} to {decimal(row['tau_high'])}), "
        f"retained {decimal(row['retained'])}, expected {decimal(row['expected_tau'])}, "
        f"top fifth {decimal(row['tau_top20'])}, "
        f"cost {row['cost']:.4f}, ranker {row['ranker_seconds']:.1f} s",
    )


def print_summary(console: Console, plan: ReplayPlan, rows: Sequence[Row]) -> None:
    """Means and deviations over the draws that have a value, the measured stages, the comparison with the reference."""
    found = summarise(rows)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "mean", "sd", "draws", "what it is"):
        table.add_column(heading, justify="right" if heading in ("mean", "sd", "draws") else "left")
    meanings = _MEANINGS | {f"tau_{spec.stage}": f"ordered by {spec.stage} only" for spec in plan.trainings}
    for name in (name for name in found.index if name in meanings and found.loc[name, "draws"]):
        digits = ".1f" if name.endswith("seconds") else ".4f" if name in ("cost", "top1_regret") else ".3f"
        table.add_row(
            name,
            *(decimal(found.loc[name, column], digits) for column in ("mean", "sd")),
            f"{found.loc[name, 'draws']:,}",
            meanings[name],
        )
    console.print()
    console.print(table, highlight=False)
    mean = found["mean"]
    print_line(
        console,
        f"measured in the mean: {mean['shorts']:.0f} short and {mean['fulls']:.0f} full trainings, "
        f"{mean['epochs_trainings']:,.1f} epochs of trainings, {mean['epochs_proxies']:,.1f} of proxies, "
        f"{mean['epochs_supernets']:,.1f} of supernets: {mean['cost']:.4f} of one full training of all candidates",
    )
    better, compared = beaten_references(rows)
    if not compared:
        print_line(console, "reference: no short training is recorded for all candidates, so there is no log-rank sum")
        return
    print_line(
        console,
        f"reference: the log-rank sum of cheap views of all candidates has tau {mean['tau_reference']:.3f} for "
        f"{mean['reference_cost']:.4f}; taurank was better in {better} of {compared} draws, by "
        f"{mean['tau'] - mean['tau_reference']:+.3f} in the mean",
    )


def _stage(name: str, candidates: int | str) -> str:
    return f"{name} for {candidates if candidates == 'all' else f'{candidates:,}'}"
