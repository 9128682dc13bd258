"""The report: one self-contained HTML page with inline SVG plots and no external resources."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from taurank.orchestrator.evidence import BASELINE, FAILED, TRAINING, VALIDATION_ACCURACY
from taurank.orchestrator.experiment import Experiment
from taurank.orchestrator.ranker import Ranking, SupernetTrust
from taurank.orchestrator.report.figures import (
    against,
    decimal,
    doubt,
    evidenced,
    failed_note,
    finals_note,
    interval,
    knowledge_lines,
    left_out,
    measures,
    percent,
    times,
)
from taurank.orchestrator.report.hardware import HEADINGS, cost_text, objective_cells
from taurank.orchestrator.report.plots import plot_curves, plot_front, plot_intervals, plot_predictions
from taurank.orchestrator.report.trust import TITLE, name_of, trust_note, trust_rows
from taurank.orchestrator.scoring import Front, Score
from taurank.orchestrator.text import replaced

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 1120px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin: 2.4rem 0 .2rem; }
.lead, .note { color: #566; margin: 0 0 .8rem; } .note { font-size: .87rem; }
.figures { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1.2rem 0; }
.figure { background: #f3f6fa; border-radius: 8px; padding: .6rem 1rem; min-width: 7.5rem; }
.figure b { display: block; font-size: 1.45rem; } .figure span { color: #566; font-size: .83rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; width: 100%; }
th { text-align: left; border-bottom: 2px solid #ccd5e0; padding: .3rem .5rem; }
td { border-bottom: 1px solid #e6ebf1; padding: .25rem .5rem; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr.us td { font-weight: 600; } tr.tier td { border-top: 2px solid #9aa7b5; }
code { font-size: .85rem; overflow-wrap: anywhere; }
code.full { display: block; font-size: .67rem; line-height: 1.3; color: #677; } svg { max-width: 100%; height: auto; }
details { margin: 2rem 0; } pre { background: #f3f6fa; padding: 1rem; overflow-x: auto; font-size: .82rem; }
"""
LISTED = 1000
"""Maximal number of rows of the ranking on the page; the files have all."""
KNOWLEDGE_NOTE = (
    "Results of the same architectures on other data; they cost nothing. r is the correlation with the truth that a "
    "source is trusted with, measured by the evidence of this run. Weights are shares in the order."
)
TOP = 5
"""The page shows the probability that a candidate is among this many best."""


def write_page(
    path: Path,
    experiment: Experiment,
    ranking: Ranking,
    score: Score | None,
    rows: pd.DataFrame,
    outcomes: Mapping[str, tuple[str, str]],
    names: Mapping[str, str],
    void: Sequence[str] = (),
    trust: Sequence[SupernetTrust] = (),
    tradeoff: Front | None = None,
    hardware: Sequence[str] = (),
    conclusion: str = "",
) -> Path:
    """Writes the page: headline figures, rank intervals, predicted against measured, all curves, all tables.

    Args:
        path: the file.
        experiment: the experiment.
        ranking: its ranking.
        score: of the ranking against the truth; None without a truth.
        rows: all rows of the log, baseline included.
        outcomes: final events of trials (``EvidenceLog.outcomes``).
        names: short names of the candidates, by code.
        void: lines on scores of proxies that are void.
        trust: trust report of the supernets.
        tradeoff: accuracy against cost.
        hardware: lines on constraints, excluded candidates and latencies.
        conclusion: what the run comes to, in plain sentences.
    """
    truth = dict(zip(score.candidates, score.truth.values, strict=True)) if score else {}
    measured = dict(zip(score.candidates, score.truth.measured, strict=True)) if score else {}
    parts = [f"<h1>{_text(experiment.name)}</h1>", f'<p class="lead">{_text(experiment.description)}</p>']
    if conclusion:
        parts.append(f"<p>{_text(conclusion)}</p>")
    parts.append(_headline(experiment, ranking, score, rows))
    parts.append(_section("Ranks with uncertainty", "Bars: 90 % intervals.", plot_intervals(ranking, truth, names)))
    if score is not None:
        note = ""
        if np.isfinite(score.coverage):
            note = f"{score.coverage:.0%} of the 90 % intervals contain the measured accuracy."
        parts.append(_section("Predicted against measured", note, plot_predictions(ranking, measured)))
        note = "A ranking that does not beat parameters and FLOPs is not worth its cost."
        note += "".join(f" {line[0].upper()}{line[1:]}." for line in left_out(score))
        parts.append(_section("Order by each source alone", note, _sources_table(score)))
        if measures(score):
            parts.append(
                _section("Other measures of the ranking", f"Against {against(score)}.", _measures_table(score))
            )
    if tradeoff is not None and len(tradeoff.members):
        note = "Blue: probability of being on the front: no other candidate is as cheap or cheaper and more accurate."
        content = plot_front(tradeoff, names) + _front_table(tradeoff, names)
        parts.append(_section(f"The Pareto front: accuracy against {tradeoff.against}", note, content))
    if hardware:
        entries = "".join(f"<li>{_text(line)}</li>" for line in hardware)
        parts.append(_section("Constraints and measurements", "", f"<ul>{entries}</ul>"))
    if ranking.knowledge:
        entries = "".join(f"<li>{_text(line)}</li>" for line in knowledge_lines(ranking))
        parts.append(_section("What was known before", KNOWLEDGE_NOTE, f"<ul>{entries}</ul>"))
    if trust:
        parts.append(_section(TITLE, trust_note(trust, full_epochs=experiment.recipe.epochs), _trust_table(trust)))
    curves = rows[(rows["metric"] == VALIDATION_ACCURACY) & (rows["source"] == TRAINING)]
    stages = list(dict.fromkeys(curves["stage"]))
    if stages:
        parts.append(_section("Learning curves of all trials", "", plot_curves(rows, stages)))
    note = "A line marks a new tier: its first candidate loses to that of the previous tier with 90 % probability."
    note += f" The first {LISTED}; ranking.csv has all." if len(ranking.table) > LISTED else ""
    note += "".join(f" {line[0].upper()}{line[1:]}." for line in (finals_note(ranking), failed_note(ranking)) if line)
    parts.append(_section("The ranking", note, _ranking_table(ranking, measured, names)))
    failed = {trial: reason for trial, (event, reason) in outcomes.items() if event == FAILED}
    if failed:
        entries = "".join(f"<li><code>{_text(trial)}</code>: {_text(why)}</li>" for trial, why in failed.items())
        parts.append(_section("Trials that failed", "", f"<ul>{entries}</ul>"))
    if void:
        entries = "".join(f"<li>{_text(line)}</li>" for line in void)
        parts.append(_section("Scores that are void", "They are not used in the ranking.", f"<ul>{entries}</ul>"))
    parts.append(f"<details><summary>The experiment</summary><pre>{_text(experiment.to_yaml())}</pre></details>")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(f"taurank: {experiment.name}")}'
        f"</title><style>{STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )
    with replaced(path) as file:
        file.write_text(page, encoding="utf-8")
    return path


def _text(value: object) -> str:
    return html.escape(str(value))


def _section(title: str, note: str, content: str) -> str:
    explained = f'<p class="note">{_text(note)}</p>' if note else ""
    return f"<h2>{_text(title)}</h2>{explained}{content}"


def _headline(experiment: Experiment, ranking: Ranking, score: Score | None, rows: pd.DataFrame) -> str:
    figures = [(f"{len(ranking.table)}", "architectures ranked")]
    if score is not None:
        found = score.ranking
        name = "tau-b" if score.truth.sample is None else "tau-b, estimated"
        figures.append((decimal(found.tau), f"{name}, 95 % interval {interval(found)}"))
        if score.ceiling is not None:
            figures.append(
                (f"{score.ceiling.retained:.2f}", f"retained tau (ceiling {decimal(score.ceiling.ceiling)})")
            )
        if score.top is not None:
            figures.append((f"{score.top.overlap.value:.0%}", f"top-{score.top.k} overlap"))
        if score.speed_up is not None:
            figures.append((times(score.speed_up.epochs), "cheaper in epochs"))
            guess = " (full cost estimated)" if score.speed_up.estimated else ""
            figures.append((times(score.speed_up.seconds), f"cheaper in seconds of trials{guess}"))
    elif np.isfinite(ranking.expected_tau):
        low, high = ranking.expected_tau_interval
        what = f"tau that the ranking expects of itself, {low:.2f} to {high:.2f}{doubt(ranking)}"
        figures.append((f"{ranking.expected_tau:.2f}", what))
    full = len(ranking.table) * experiment.recipe.epochs
    spent = rows.loc[rows["stage"] != BASELINE, "epochs"].sum()
    figures.append((f"{spent:.1f}", f"epochs of evidence; full training is {full}"))
    boxes = "".join(
        f'<div class="figure"><b>{_text(value)}</b><span>{_text(name)}</span></div>' for value, name in figures
    )
    return f'<div class="figures">{boxes}</div>'


def _sources_table(score: Score) -> str:
    rows = [("taurank", score.ranking, score.speed_up.seconds if score.speed_up else np.nan)]
    rows += [(source.name, source.agreement, source.speed_up) for source in score.sources]
    whole = score.truth.sample is None
    numbers = ("tau-b", "95 % interval", *(["Spearman"] if whole else []), "architectures", "cheaper")
    head = "<th>order by</th>" + "".join(f'<th class="n">{name}</th>' for name in numbers)
    body = []
    for name, found, speed_up in rows:
        values = [decimal(found.tau), interval(found), *([decimal(found.spearman)] if whole else [])]
        values += [str(found.n), times(speed_up)]
        cells = "".join(f'<td class="n">{value}</td>' for value in values)
        body.append(f"<tr{' class=us' if name == 'taurank' else ''}><td>{_text(name)}</td>{cells}</tr>")
    return _table(head, body)


def _measures_table(score: Score) -> str:
    rows = [
        f'<tr><td>{_text(name)}</td><td class="n">{_text(value)}</td></tr>' for name, value in measures(score).items()
    ]
    return _table('<th>measure</th><th class="n">value</th>', rows)


def _front_table(found: Front, names: Mapping[str, str]) -> str:
    head = "<th>architecture</th>" + "".join(
        f'<th class="n">{name}</th>' for name in (HEADINGS[found.against], "rank", "predicted final", "on the front")
    )
    body = []
    for _, row in found.members.iterrows():
        values = [cost_text(found.against, row[found.column]), row["rank"], percent(row["predicted_accuracy"])]
        values.append(f"{row['front_probability']:.0%}")
        cells = "".join(f'<td class="n">{_text(value)}</td>' for value in values)
        body.append(f"<tr><td><code>{_text(names[row['architecture']])}</code></td>{cells}</tr>")
    return _table(head, body)


def _trust_table(trust: Sequence[SupernetTrust]) -> str:
    head = "<th>supernet</th>" + "".join(f'<th class="n">{_text(name_of(one))}</th>' for one in trust)
    body = []
    for label, cells in trust_rows(trust):
        numbers = "".join(f'<td class="n">{_text(cell)}</td>' for cell in cells)
        body.append(f"<tr><td>{_text(label)}</td>{numbers}</tr>")
    return _table(head, body)


def _table(head: str, body: Sequence[str]) -> str:
    return f'<div class="scroll"><table><tr>{head}</tr>{"".join(body)}</table></div>'


def _ranking_table(ranking: Ranking, truth: Mapping[str, float], names: Mapping[str, str]) -> str:
    k = min(TOP, len(ranking.table))
    numbers = [f"in top {k}", "predicted final", "90 % interval", *(["measured"] if truth else [])]
    by_objective = "objective" in ranking.table
    numbers += [*(["objective", "rank by it"] if by_objective else []), "seconds", "epochs"]
    head = '<th class="n">rank</th><th class="n">tier</th><th class="n">between</th>'
    head += "<th>architecture</th>" + "".join(f'<th class="n">{name}</th>' for name in numbers) + "<th>evidence</th>"
    body = []
    tier = 1
    rows = ranking.with_tiers.assign(top=ranking.top_probability(k)).head(LISTED)
    for _, row in rows.iterrows():
        code, name = row["architecture"], names[row["architecture"]]
        full = f'<code class="full">{_text(code)}</code>' if name != code else ""
        values = [f"{row['top']:.0%}", percent(row["predicted_accuracy"])]
        values.append(f"{percent(row['accuracy_low'])} - {percent(row['accuracy_high'])}" if values[1] != "-" else "-")
        if truth:
            values.append(percent(truth.get(code, np.nan)))
        if by_objective:
            values += objective_cells(row)
        values += [f"{row['seconds']:.1f}", f"{row['epochs']:.1f}"]
        cells = [f'<td class="n">{row["rank"]}</td><td class="n">{row["tier"]}</td>']
        cells.append(f'<td class="n">{row["rank_low"]} - {row["rank_high"]}</td>')
        cells.append(f"<td><code>{_text(name)}</code>{full}</td>")
        cells += [f'<td class="n">{_text(value)}</td>' for value in values]
        cells.append(f"<td>{_text(evidenced(row['evidence'], row['problem']))}</td>")
        body.append(f"<tr{' class=tier' if row['tier'] > tier else ''}>{''.join(cells)}</tr>")
        tier = row["tier"]
    return _table(head, body)
