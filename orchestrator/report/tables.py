"""What a run prints: the plan before it starts, the ranking, and the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from orchestrator.experiment import Experiment
from orchestrator.ranker import Ranking
from orchestrator.scoring import Score
from orchestrator.stages import Stage
from trainables.data import ImageData

if TYPE_CHECKING:
    from orchestrator.campaign import Run

SHOWN = 40
"""Rows of the ranking on the terminal; the files hold all of them."""


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
    """What is going to be done and what it will cost, in epochs of training one candidate."""
    shape = "x".join(map(str, data.input_shape))
    full = len(run.candidates) * experiment.recipe.epochs
    _line(
        console,
        f"taurank ranks {len(run.candidates)} architectures of {experiment.space.name} on {experiment.data.name} "
        f"({len(data.train)} training, {len(data.validation)} validation, {len(data.test)} test images of {shape}, "
        f"{len(data.classes)} classes)",
    )
    _line(
        console,
        f"full training is {experiment.recipe.epochs} epochs each, {full} in all; "
        f"budget: {experiment.budget} cheaper, {budget:.1f}",
    )
    table = Table(box=None, pad_edge=False)
    for heading, justify in (
        ("stage", "left"),
        ("trials", "right"),
        ("at most epochs", "right"),
        ("share of full", "right"),
    ):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    table.add_row("size", str(len(run.candidates)), "0", "0 %")
    for stage in stages:
        table.add_row(stage.name, str(len(stage.specs)), f"{stage.cost:.1f}", f"{stage.cost / full:.1%}")
    table.add_row("evidence in all", "", f"{cost:.1f}", f"{cost / full:.1%}")
    if baseline:
        table.add_row(
            "baseline (scores the ranking)",
            str(len(baseline.specs)),
            f"{baseline.cost:.0f}",
            f"{baseline.cost / full:.0%}",
        )
    console.print(table)
    _line(console, f"folder: {run.folder}")


def print_ranking(
    console: Console, ranking: Ranking, score: Score | None, evidence: pd.DataFrame, names: Mapping[str, str]
) -> None:
    """The order with its uncertainty; beside it the truth where there is one."""
    truth = None
    if score is not None:
        truth = dict(zip(score.candidates, score.truth.values, strict=True))
    known_final = ranking.table["predicted_accuracy"].notna().any()
    table = Table(title="ranking, best first (90 % intervals)", title_justify="left", box=None, pad_edge=False)
    table.add_column("rank", justify="right")
    table.add_column("between", justify="right", no_wrap=True)
    table.add_column("architecture", overflow="fold", min_width=12)
    if known_final:
        table.add_column("predicted final", justify="right", no_wrap=True)
    if truth is not None:
        table.add_column("measured", justify="right")
    table.add_column("cost", justify="right", no_wrap=True)
    table.add_column("evidence", overflow="fold")
    for _, row in ranking.table.head(SHOWN).iterrows():
        cells = [str(row["rank"]), f"{row['rank_low']}-{row['rank_high']}", names[row["architecture"]]]
        if known_final:
            cells.append(f"{row['predicted_accuracy']:.1%} ({row['accuracy_low']:.0%} - {row['accuracy_high']:.1%})")
        if truth is not None:
            value = truth[row["architecture"]]
            cells.append(f"{value:.1%}" if np.isfinite(value) else "-")
        cells.append(f"{row['seconds']:.1f} s, {row['epochs']:.1f} ep")
        cells.append(str(row["evidence"]))
        table.add_row(*cells)
    console.print(table)
    if len(ranking.table) > SHOWN:
        _line(console, f"... and {len(ranking.table) - SHOWN} more in ranking.csv")
    if not known_final:
        _line(console, "no candidate was trained to the end, so there is an order but no predicted final accuracy")
    seconds, epochs = evidence["seconds"].sum(), evidence["epochs"].sum()
    weights = ", ".join(f"{name} {weight:.2f}" for name, weight in ranking.weights.items())
    _line(console, f"evidence cost {epochs:.1f} epochs, {seconds:.1f} s of trials; say of the sources: {weights}")
    _line(
        console,
        f"tau that the ranking expects of itself: {ranking.expected_tau:.2f} (it cannot see what no source saw)",
    )


def print_score(console: Console, score: Score) -> None:
    """Tau with its interval, the baselines it has to beat, the ceiling, and the speed-up as measured."""
    with_cost = any(np.isfinite(source.speed_up) for source in score.sources)
    table = Table(
        title=f"against full training ({score.ranking.n} architectures, "
        f"{len(score.truth.seeds)} seed(s), {score.truth.metric})",
        title_justify="left",
        box=None,
        pad_edge=False,
    )
    for heading in ("order by", "tau-b", "95 % interval", "Spearman", "Pearson") + (
        ("times cheaper",) if with_cost else ()
    ):
        table.add_column(heading, justify="left" if heading == "order by" else "right")
    rows = [("taurank", score.ranking, score.speed_up.seconds if score.speed_up else np.nan)]
    rows += [(source.name, source.agreement, source.speed_up) for source in score.sources]
    for name, found, speed_up in rows:
        cells = [
            name,
            f"{found.tau:.3f}",
            f"{found.low:.2f} to {found.high:.2f}",
            f"{found.spearman:.3f}",
            "" if name == "taurank" else f"{found.pearson:.3f}",
        ]
        if with_cost:
            cells.append(f"{speed_up:.1f}" if np.isfinite(speed_up) else "")
        table.add_row(*cells, style="bold" if name == "taurank" else "")
    console.print(table)
    _line(console, f"top-{score.top} overlap: {score.top_overlap:.0%}; tied pairs: {score.ranking.ties}")
    if score.ceiling is not None:
        best = score.ceiling
        _line(
            console,
            f"ceiling: one full training of everybody has tau {best.ceiling:.3f} with the other seed(s); ours has "
            f"{best.ours:.3f} with the same, so retained tau is {best.retained:.2f}",
        )
    if np.isfinite(score.coverage):
        _line(console, f"of the 90 % intervals of predicted accuracy {score.coverage:.0%} hold the measured one")
    if score.speed_up is not None:
        speed = score.speed_up
        _line(
            console,
            f"speed-up as measured, everything counted: {speed.epochs:.1f}x in epochs, {speed.seconds:.1f}x in seconds "
            f"of trials, {speed.wall:.1f}x in wall time (one full training of all / evidence)",
        )


def print_columns(console: Console, score: Score, names: Mapping[str, str]) -> None:
    """Each source's own numbers beside the measured accuracy, candidate by candidate."""
    sources = [source for source in score.sources if not source.name.endswith(" only")]
    if not sources:
        return
    table = Table(title="what each source says, and full training", title_justify="left", box=None, pad_edge=False)
    table.add_column("architecture", overflow="fold")
    for source in sources:
        table.add_column(source.name, justify="right")
    table.add_column("full training", justify="right")
    for index, code in enumerate(score.candidates[:SHOWN]):
        values = [source.values[index] for source in sources] + [score.truth.values[index]]
        table.add_row(names[code], *(f"{value:.2%}" if np.isfinite(value) else "-" for value in values))
    console.print(table)


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False)
