"""The report: one self-contained HTML page with inline SVG plots, nothing loaded from elsewhere."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from orchestrator.evidence import BASELINE
from orchestrator.experiment import Experiment
from orchestrator.ranker import Ranking
from orchestrator.scoring import Score

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2430; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.lead { color: #566; } .figures { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1.2rem 0; }
.figure { background: #f3f6fa; border-radius: 8px; padding: .7rem 1.1rem; min-width: 8.5rem; }
.figure b { display: block; font-size: 1.5rem; } .figure span { color: #566; font-size: .85rem; }
table { border-collapse: collapse; font-size: .87rem; width: 100%; }
th { text-align: left; border-bottom: 2px solid #ccd5e0; padding: .3rem .5rem; background: #fff; }
td { border-bottom: 1px solid #e6ebf1; padding: .25rem .5rem; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font-size: .85rem; overflow-wrap: anywhere; }
code.full { font-size: .68rem; color: #788; } svg { max-width: 100%; height: auto; }
details { margin: 1rem 0; } pre { background: #f3f6fa; padding: 1rem; overflow-x: auto; font-size: .82rem; }
"""
BLUE, ORANGE, GREY = "#2f6fb0", "#d9772b", "#9aa7b5"


def write_page(
    path: Path,
    experiment: Experiment,
    ranking: Ranking,
    score: Score | None,
    rows: pd.DataFrame,
    outcomes: Mapping[str, tuple[str, str]],
    names: Mapping[str, str],
) -> Path:
    """Writes the page: headline figures, rank intervals, predicted against measured, all curves, all tables."""
    truth = dict(zip(score.candidates, score.truth.values, strict=True)) if score else {}
    parts = [f"<h1>{_text(experiment.name)}</h1>", f'<p class="lead">{_text(experiment.description)}</p>']
    parts.append(_headline(experiment, ranking, score, rows))
    parts.append("<h2>Ranks and how sure they are</h2>" + _plot_intervals(ranking, truth, names))
    if score is not None:
        parts.append("<h2>Predicted against measured</h2>" + _plot_predictions(ranking, truth))
        parts.append("<h2>What each source alone would have given</h2>" + _sources_table(score))
    parts.append("<h2>Learning curves of all trials</h2>" + _plot_curves(rows))
    parts.append("<h2>The ranking</h2>" + _ranking_table(ranking, truth, names))
    failed = {trial: reason for trial, (event, reason) in outcomes.items() if event == "failed"}
    if failed:
        entries = "".join(f"<li><code>{_text(trial)}</code>: {_text(why)}</li>" for trial, why in failed.items())
        parts.append(f"<h2>Trials that failed</h2><ul>{entries}</ul>")
    parts.append(f"<details><summary>The experiment</summary><pre>{_text(experiment.to_yaml())}</pre></details>")
    title = _text(f"taurank: {experiment.name}")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )
    partial = path.with_suffix(".partial")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
    return path


def _text(value: object) -> str:
    return html.escape(str(value))


def _headline(experiment: Experiment, ranking: Ranking, score: Score | None, rows: pd.DataFrame) -> str:
    evidence = rows[rows["stage"] != BASELINE]
    figures = [(f"{len(ranking.table)}", "architectures ranked")]
    if score is not None:
        found = score.ranking
        figures.append((f"{found.tau:.3f}", f"tau-b, 95 % interval {found.low:.2f} to {found.high:.2f}"))
        if score.ceiling is not None:
            figures.append((f"{score.ceiling.retained:.2f}", f"retained tau (ceiling {score.ceiling.ceiling:.3f})"))
        figures.append((f"{score.top_overlap:.0%}", f"top-{score.top} overlap"))
        if score.speed_up is not None:
            figures.append((f"{score.speed_up.epochs:.1f}x", "cheaper in epochs"))
            figures.append((f"{score.speed_up.seconds:.1f}x", "cheaper in seconds of trials"))
    else:
        figures.append((f"{ranking.expected_tau:.2f}", "tau that the ranking expects of itself"))
    full = len(ranking.table) * experiment.recipe.epochs
    spent = evidence["epochs"].sum()
    figures.append((f"{spent:.1f}", f"epochs of evidence; full training is {full}"))
    boxes = "".join(
        f'<div class="figure"><b>{_text(value)}</b><span>{_text(name)}</span></div>' for value, name in figures
    )
    return f'<div class="figures">{boxes}</div>'


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    # Fixed ids and no date: the same log gives the same page.
    with matplotlib.rc_context({"svg.hashsalt": "taurank", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6ebf1", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _plot_intervals(ranking: Ranking, truth: Mapping[str, float], names: Mapping[str, str]) -> str:
    table = ranking.table
    count = len(table)
    figure, axes = _axes(10, min(2 + 0.2 * count, 30))
    ranks = table["rank"].to_numpy()
    axes.hlines(ranks, table["rank_low"], table["rank_high"], color=BLUE, alpha=0.35, linewidth=min(6, 250 / count + 1))
    axes.plot(ranks, ranks, ".", color=BLUE, label="rank, 90 % interval")
    measured = pd.Series([truth.get(code, np.nan) for code in table["architecture"]])
    if measured.notna().any():
        axes.plot(measured.rank(ascending=False), ranks, "x", color=ORANGE, markersize=5, label="measured rank")
    if count <= 60:
        axes.set_yticks(ranks, [names[code] for code in table["architecture"]], fontsize=7, family="monospace")
    axes.invert_yaxis()
    axes.set_xlabel("rank (1 is best)")
    axes.legend(frameon=False, loc="lower left")
    return _svg(figure)


def _plot_predictions(ranking: Ranking, truth: Mapping[str, float]) -> str:
    table = ranking.table
    measured = np.array([truth.get(code, np.nan) for code in table["architecture"]])
    figure, axes = _axes(6.5, 5)
    if table["predicted_accuracy"].notna().any():
        predicted = table["predicted_accuracy"].to_numpy()
        error = [predicted - table["accuracy_low"], table["accuracy_high"] - predicted]
        axes.errorbar(predicted, measured, xerr=error, fmt="o", color=BLUE, ecolor=BLUE, elinewidth=0.8, alpha=0.7)
        ends = [np.nanmin([predicted, measured]), np.nanmax([predicted, measured])]
        axes.plot(ends, ends, color=GREY, linewidth=1)
        axes.set_xlabel("predicted final accuracy (90 % interval)")
    else:
        axes.plot(table["score"], measured, "o", color=BLUE, alpha=0.7)
        axes.set_xlabel("score (no candidate was trained to the end)")
    axes.set_ylabel("measured after full training")
    return _svg(figure)


def _plot_curves(rows: pd.DataFrame) -> str:
    curves = rows[(rows["metric"] == "validation_accuracy") & (rows["source"] == "training")]
    stages = list(dict.fromkeys(curves["stage"]))
    if not stages:
        return "<p>No trainings of single architectures in this run.</p>"
    figure = Figure(figsize=(10, 3.2 * ((len(stages) + 1) // 2)))
    grid = figure.subplots((len(stages) + 1) // 2, min(len(stages), 2), squeeze=False).ravel()
    for axes in grid[len(stages) :]:
        axes.set_visible(False)
    for axes, stage in zip(grid, stages, strict=False):
        axes.spines[["top", "right"]].set_visible(False)
        for _, curve in curves[curves["stage"] == stage].groupby("trial"):
            marker = "." if len(curve) == 1 else ""
            axes.plot(curve["epoch"], curve["value"], marker=marker, color=BLUE, alpha=0.35, linewidth=0.9)
        predicted = rows[(rows["stage"] == stage) & (rows["metric"] == "predicted_accuracy")]
        if len(predicted):
            axes.plot(
                predicted["schedule_epochs"], predicted["value"], "x", color=ORANGE, label="predicted when stopped"
            )
            axes.legend(frameon=False, fontsize=8)
        axes.set_title(stage, fontsize=10)
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation accuracy")
    figure.tight_layout()
    return _svg(figure)


def _sources_table(score: Score) -> str:
    head = "".join(f'<th class="n">{name}</th>' for name in ("tau-b", "95 % interval", "Spearman", "times cheaper"))
    rows = [("taurank", score.ranking, score.speed_up.seconds if score.speed_up else np.nan)]
    rows += [(source.name, source.agreement, source.speed_up) for source in score.sources]
    body = []
    for name, found, speed_up in rows:
        cells = (
            f"{found.tau:.3f}",
            f"{found.low:.2f} to {found.high:.2f}",
            f"{found.spearman:.3f}",
            f"{speed_up:.1f}" if np.isfinite(speed_up) else "",
        )
        body.append(f"<tr><td>{_text(name)}</td>" + "".join(f'<td class="n">{cell}</td>' for cell in cells) + "</tr>")
    return f"<table><tr><th>order by</th>{head}</tr>{''.join(body)}</table>"


def _ranking_table(ranking: Ranking, truth: Mapping[str, float], names: Mapping[str, str]) -> str:
    numbers = ["predicted final", "90 % interval"] + (["measured"] if truth else []) + ["seconds", "epochs"]
    head = '<th class="n">rank</th><th class="n">between</th>'
    head += "<th>architecture</th>" + "".join(f'<th class="n">{name}</th>' for name in numbers) + "<th>evidence</th>"
    body = []
    for _, row in ranking.table.iterrows():
        cells = [f'<td class="n">{row["rank"]}</td><td class="n">{row["rank_low"]} - {row["rank_high"]}</td>']
        code, name = row["architecture"], names[row["architecture"]]
        full = f'<br><code class="full">{_text(code)}</code>' if name != code else ""
        cells.append(f"<td><code>{_text(name)}</code>{full}</td>")
        values = [_percent(row["predicted_accuracy"])]
        values.append(
            f"{_percent(row['accuracy_low'])} - {_percent(row['accuracy_high'])}" if values[0] != "-" else "-"
        )
        if truth:
            values.append(_percent(truth.get(row["architecture"], np.nan)))
        values += [f"{row['seconds']:.1f}", f"{row['epochs']:.1f}"]
        cells += [f'<td class="n">{value}</td>' for value in values]
        cells.append(f"<td>{_text(row['evidence'])}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(body)}</table>"


def _percent(value: float) -> str:
    return f"{value:.2%}" if np.isfinite(value) else "-"
