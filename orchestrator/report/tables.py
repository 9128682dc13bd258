"""Tables of a run: the plan before it starts, the ranking, and the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from string import ascii_lowercase
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from taurank.orchestrator.evidence import SUPERNET, TRAINING
from taurank.orchestrator.experiment import Experiment
from taurank.orchestrator.knowledge import knowledge_line
from taurank.orchestrator.planning import Setting, forecast, timing_epochs
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.candidates import print_candidates, print_recipes
from taurank.orchestrator.report.figures import (
    against,
    budget_in_words,
    decimal,
    doubt,
    evidenced,
    failed_note,
    finals_note,
    interval,
    knowledge_lines,
    left_out,
    left_over,
    measures,
    number,
    own_finals_note,
    percent,
    predicted,
    times,
)
from taurank.orchestrator.report.hardware import hardware_lines, print_hardware
from taurank.orchestrator.scoring import Score, SpeedUp
from taurank.orchestrator.stages import Stage
from taurank.orchestrator.text import MiddleElided, counted, print_line
from taurank.trainables.data import ImageData

if TYPE_CHECKING:
    from taurank.orchestrator.runs import Run

SHOWN = 40
"""Maximal number of rows of the ranking on the terminal; the files have all."""
WIDE = 100
"""Minimal terminal width for names beside numbers."""
WORD = 24
"""Longest word of the evidence that is not broken."""
_line = partial(print_line, wrap=True)


def print_plan(
    console: Console,
    experiment: Experiment,
    data: ImageData,
    stages: Sequence[Stage],
    baseline: Stage | None,
    cost: float,
    budget: float,
    run: Run,
) -> None:
    """Prints the stages and their cost, in epochs of training one candidate."""
    print_candidates(console, experiment, run.log, run.candidates)
    print_hardware(console, hardware_lines(experiment, run.log, run.candidates))
    full = len(run.candidates) * experiment.recipe.epochs
    _line(console, f"taurank ranks {len(run.candidates)} {_task(experiment, data)}")
    allowed = budget_in_words(experiment.allowance, full, budget)
    _line(console, f"full training is {experiment.recipe.epochs} epochs each, {full} in all; budget: {allowed}")
    bounded = all(spec.candidates == "all" for spec in experiment.trainings or [])
    open_ended = run.purse is not None and run.has_default_plan and not bounded
    timing = timing_epochs(run.log)
    cost += timing
    if run.pace is not None:
        most = experiment.allowance if open_ended else None
        _line(console, run.pace.in_words(experiment.recipe.epochs, cost / len(run.candidates), budget=most))
    elif experiment.trainable is not None:
        _line(
            console,
            "hours are not known before the first epochs: own training code cannot be timed on a few batches (taurank "
            "plan FILE --measure trains two epochs of some candidates for that)",
        )
    print_recipes(console, experiment, run.candidates)
    table = _table("stage", "trials", "at most epochs", "share of full")
    if experiment.trainable is None:
        table.add_row("size", str(len(run.candidates)), "0.0", "0.0%")
    if timing:
        timed = "" if run.pace is None else str(len(run.candidates) - run.pace.predicted)
        table.add_row("timing", timed, f"{timing:.1f}", f"{timing / full:.1%}")
    for stage in stages:
        # A budget in time pays for more trainings if they are fast, and for fewer if they are slow.
        about = "about " if open_ended and stage.source == TRAINING and len(stage.specs) < len(run.candidates) else ""
        trials, epochs = f"{about}{len(stage.specs)}", f"{about}{stage.cost:.1f}"
        table.add_row(MiddleElided(stage.title), trials, epochs, f"{stage.cost / full:.1%}")
    table.add_row("evidence in all", "", f"{cost:.1f}", f"{cost / full:.1%}")
    if baseline:
        table.add_row(
            "baseline (scores the ranking)",
            str(len(baseline.specs)),
            f"{baseline.cost:.1f}",
            f"{baseline.cost / full:.1%}",
        )
    console.print(table)
    if run.has_default_plan:
        left = left_over(
            experiment.trainings or [],
            len(run.candidates),
            experiment.recipe.epochs,
            spent=cost,
            budget=min(budget, full),
            in_time=experiment.allowance.is_time,
        )
        if left:
            _line(console, left)
    if run.has_default_plan and any(stage.source == TRAINING for stage in stages):
        proxies = any(stage.booking for stage in stages)
        setting = Setting(experiment.space.name, experiment.data.name, experiment.recipe.epochs)
        expected = forecast(setting, len(run.candidates), run.speed_up, proxies=proxies)
        _line(console, f"predicted tau: {predicted(expected)}")
    known = knowledge_line(run.knowledge, run.candidates)
    if known:
        _line(console, known)
    _line(console, f"folder: {run.folder}")


def _task(experiment: Experiment, data: ImageData) -> str:
    """What is ranked, and by what."""
    if experiment.trainable is not None:
        metric = experiment.ranked_metric
        end = "lower" if metric.lower_is_better else "higher"
        return f"candidates that {experiment.trainable} trains, by {metric.name} ({end} is better)"
    shape = "x".join(map(str, data.input_shape))
    return (
        f"architectures of {experiment.space.name} on {experiment.data.name} ({len(data.train)} training, "
        f"{len(data.validation)} validation, {len(data.test)} test images of {shape}, {len(data.classes)} classes)"
    )


def print_ranking(
    console: Console,
    ranking: Ranking,
    score: Score | None,
    evidence: pd.DataFrame,
    names: Mapping[str, str],
    *,
    metric: str | None = None,
    measured: int = 0,
) -> None:
    """Prints the order with its uncertainty, and the reference if there is one.

    Args:
        console: where to.
        ranking: the order.
        score: of it, for the reference.
        evidence: that it was made of, for the cost.
        names: of the candidates, by code.
        metric: what the final values of the table are; None for accuracies, which are shown in percent.
        measured: with a metric, how many of them were measured.
    """
    shown = percent if metric is None else partial(number, digits=5)
    truth = {} if score is None else dict(zip(score.candidates, score.truth.measured, strict=True))
    known_final = ranking.table["predicted_accuracy"].notna().any()
    _line(console, "")
    _line(console, "ranking, best first (intervals are 90 %)", style="bold")
    table = Table(box=None, pad_edge=False)
    wide = console.width >= WIDE
    # On a narrow terminal the sources are abbreviated by letters, explained below.
    sources = list(dict.fromkeys(name for own in ranking.table["evidence"] for name in own.split(", ") if name))
    letters = dict(zip(sources, ascii_lowercase, strict=False))
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("tier", justify="right", no_wrap=True)
    table.add_column("between", justify="right", no_wrap=True)
    table.add_column("architecture", min_width=12)
    if known_final:
        table.add_column(
            f"predicted final{'' if metric is None else f' {escape(metric)}'}", justify="right", no_wrap=True
        )
    if truth:
        table.add_column("measured", justify="right", no_wrap=True)
    by_objective = known_final and "objective" in ranking.table
    if by_objective:
        table.add_column("objective", justify="right", no_wrap=True)
        table.add_column("rank by it", justify="right", no_wrap=True)
    if wide:
        table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("epochs", justify="right", no_wrap=True)
    rows = [row for _, row in ranking.with_tiers.head(SHOWN).iterrows()]
    evidence_cells = [_evidence_text(row, letters if not wide else {}) for row in rows]
    longest = max((len(word) for cell in evidence_cells for word in cell.split()), default=0)
    table.add_column("evidence" if wide else "from", min_width=min(longest, WORD))
    for row, own in zip(rows, evidence_cells, strict=True):
        cells: list[RenderableType] = [str(row["rank"]), str(row["tier"]), f"{row['rank_low']}-{row['rank_high']}"]
        cells.append(MiddleElided(names[row["architecture"]]))
        if known_final:
            low, high, final = row["accuracy_low"], row["accuracy_high"], row["predicted_accuracy"]
            cells.append(
                f"{shown(final)} ({shown(low)}{'-' if metric is None else ' to '}{shown(high)})"
                if np.isfinite(final)
                else "-"
            )
        if truth:
            cells.append(shown(truth[row["architecture"]]))
        if by_objective:
            cells += (
                ["-", "-"] if pd.isna(row["objective"]) else [f"{row['objective']:.4f}", str(row["objective_rank"])]
            )
        if wide:
            cells.append(f"{row['seconds']:.1f}")
        table.add_row(*cells, f"{row['epochs']:.1f}", escape(own))
    console.print(table)
    if not wide and letters:
        _line(console, "from: " + ", ".join(f"{letter} {name}" for name, letter in letters.items()))
    if len(ranking.table) > SHOWN:
        _line(console, f"... and {len(ranking.table) - SHOWN} more in ranking.csv")
    finals = finals_note(ranking) if metric is None else own_finals_note(ranking, metric, measured)
    for note in (finals, failed_note(ranking)):
        if note:
            _line(console, note)
    if not known_final:
        if not ranking.full_trainings:
            _line(
                console,
                f"the evidence has no full training, so there is an order but no predicted final "
                f"{metric or 'accuracy'}",
            )
        if "objective" in ranking.table:
            _line(console, "without a predicted accuracy there is no objective")
    seconds, epochs = evidence["seconds"].sum(), evidence["epochs"].sum()
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in ranking.weights.items())
    _line(console, f"evidence cost {epochs:.1f} epochs, {seconds:.1f} s of trials")
    _line(console, f"weights of the sources: {weights or 'none, no evidence'}")
    for line in knowledge_lines(ranking):
        _line(console, line)
    tiers = int(ranking.with_tiers["tier"].max())
    if tiers > 1:
        _line(console, f"{tiers} tiers: the first of each beats the first of the next with 90 % probability")
    elif len(ranking.table) > 1:
        _line(console, "1 tier: the first beats no other with 90 % probability")
    if np.isfinite(ranking.expected_tau):
        low, high = ranking.expected_tau_interval
        expected = f"{ranking.expected_tau:.2f} ({low:.2f} to {high:.2f})"
        _line(console, f"tau that the ranking expects of itself: {expected}{doubt(ranking)}")


def _evidence_text(row: pd.Series, letters: Mapping[str, str]) -> str:
    """Sources of a candidate, by their letters where there are any, and what failed."""
    own = [name for name in row["evidence"].split(", ") if name]
    sources = " ".join(letters.get(name, name) for name in own) if letters else ", ".join(own)
    return evidenced(sources, row["problem"])


def print_void(console: Console, void: Sequence[str]) -> None:
    """Lines with the number of void scores per proxy and their reasons; empty if there are none."""
    for line in void:
        _line(console, line)


def print_score(console: Console, score: Score) -> None:
    """Prints tau with its interval, the baselines for comparison, the ceiling, and the measured speed-up."""
    n = score.ranking.n
    _line(console, "")
    _line(console, f"against full training: {against(score)}", style="bold")
    with_cost = any(np.isfinite(source.speed_up) for source in score.sources)
    partial = any(source.agreement.n != n for source in score.sources)
    whole = score.truth.sample is None
    headings = ["order by", "tau-b", "95 % interval", *(["Spearman", "Pearson"] if whole else [])]
    cheaper = "times cheaper (estimated)" if score.speed_up and score.speed_up.estimated else "times cheaper"
    table = _table(*headings, *(["of"] if partial else []), *([cheaper] if with_cost else []))
    rows = [("taurank", score.ranking, score.speed_up.seconds if score.speed_up else np.nan)]
    rows += [(source.name, source.agreement, source.speed_up) for source in score.sources]
    for name, found, speed_up in rows:
        # The ranking has only places, no values to correlate.
        pearson = "" if name == "taurank" else decimal(found.pearson)
        cells: list[RenderableType] = [MiddleElided(name), decimal(found.tau), interval(found)]
        cells += [decimal(found.spearman), pearson] if whole else []
        cells += [str(found.n)] if partial else []
        cells += [f"{speed_up:.1f}" if np.isfinite(speed_up) else ""] if with_cost else []
        table.add_row(*cells, style="bold" if name == "taurank" else "")
    console.print(table)
    for name, value in measures(score).items():
        _line(console, f"{name}: {value}")
    for line in left_out(score):
        _line(console, line)
    if score.ranking.ties:
        _line(console, f"{counted(score.ranking.ties, 'pair')} {'is' if score.ranking.ties == 1 else 'are'} tied")
    if score.ceiling is not None:
        best = score.ceiling
        _line(
            console,
            f"ceiling: tau {best.ceiling:.3f} by a second full training of all candidates; "
            f"ranking against the same: {best.ours:.3f}; retained {best.retained:.2f}",
        )
    if np.isfinite(score.coverage):
        _line(console, f"{score.coverage:.0%} of the 90 % intervals of predicted final values contain the measured one")
    if score.speed_up is not None:
        _line(console, _speed_up_line(score.speed_up, len(score.candidates)))


def _speed_up_line(speed: SpeedUp, candidates: int) -> str:
    cheaper = f"{times(speed.seconds)} in seconds of trials, {times(speed.epochs)} in epochs"
    if speed.estimated:
        return f"speed-up, everything counted, full cost estimated as mean sampled training x {candidates}: {cheaper}"
    wall = f", {times(speed.wall)} in wall time" if np.isfinite(speed.wall) else ""
    return f"speed-up as measured, everything counted: {cheaper}{wall}"


def print_columns(console: Console, score: Score, names: Mapping[str, str]) -> None:
    """Prints accuracies with inherited weights beside the measured ones per candidate; nothing without supernets."""
    sources = [source for source in score.sources if source.name.startswith(SUPERNET)]
    if not sources:
        return
    _line(console, "")
    _line(console, "accuracy with inherited weights, and after full training", style="bold")
    table = _table("architecture", *(escape(source.name) for source in sources), "full training")
    for index, code in enumerate(score.candidates[:SHOWN]):
        values = [source.values[index] for source in sources]
        cells = [f"{value:.2%}" if np.isfinite(value) else "-" for value in values]
        table.add_row(MiddleElided(names[code]), *cells, percent(score.truth.measured[index]))
    console.print(table)


def _table(first: str, *others: str) -> Table:
    """A table with text in the first column and numbers in the others."""
    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table
