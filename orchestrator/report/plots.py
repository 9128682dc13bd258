"""The plots of the report, each as SVG text for the page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.trained import STATE_WORDS, State, Trained
from taurank.orchestrator.scoring import Front

BLUE, ORANGE, GREY, LIGHT = "#2f6fb0", "#d9772b", "#9aa7b5", "#e6ebf1"
WIDTH = 10.8
"""Width in inches of a plot across the page."""
NAMED = 60
"""Maximal number of candidates with names beside the plot."""
_COSTS = {
    "latency": (1.0, "latency, ms"),
    "flops": (1e6, "FLOPs, millions of multiply-accumulates"),
    "parameters": (1e6, "parameters, millions"),
}
LABELLED = 12
"""Maximal number of members of a front with names beside their points."""
MARKS: Mapping[State, str] = {"full": "o", "done": ".", "stopped": "s", "paused": "P", "failed": "x", "begun": ">"}
"""Marks of the last point of a training, by its state."""
BY_RANK = LinearSegmentedColormap.from_list("rank", ["#1657a8", "#1f8a7d", "#c98a1b"])
"""From the best to the last, as on the page."""
DRAWN = 400
"""Maximal number of lines drawn as vectors; more are rasterised to limit the size of the page."""


class ShownFigure(Figure):
    """A figure that a notebook shows, whether or not pyplot was imported there."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def interval_figure(ranking: Ranking, truth: Mapping[str, float], names: Mapping[str, str]) -> ShownFigure:
    """Rank and rank interval of every candidate, best on top; crosses mark the places by full training."""
    table = ranking.table
    count = len(table)
    figure, axes = _axes(WIDTH, min(1.4 + 0.21 * count, 25))
    ranks = table["rank"].to_numpy()
    thickness = min(6.0, 250 / count + 1)
    axes.hlines(
        ranks,
        table["rank_low"] - 0.3,
        table["rank_high"] + 0.3,
        color=BLUE,
        alpha=0.3,
        linewidth=thickness,
        rasterized=count > DRAWN,
    )
    axes.plot(ranks, ranks, ".", color=BLUE, markersize=min(7.0, thickness + 1), label="place in the ranking")
    measured = pd.Series([truth.get(code, np.nan) for code in table["architecture"]])
    if measured.notna().any():
        # With 10 of 40 trained, the places 1 to 10 among the trained are spread over the 40 places.
        trained = int(measured.notna().sum())
        places = (measured.rank(ascending=False) - 0.5) * count / trained + 0.5
        label = "place by full training" + (f", of {trained} spread over all" if trained < count else "")
        axes.plot(places, ranks, "x", color=ORANGE, markersize=min(6.0, thickness), label=label)
    if count <= NAMED:
        labels = [names[code] for code in table["architecture"]]
        axes.set_yticks(ranks, labels, fontsize=8, family="monospace", parse_math=False)
    else:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0.3, count + 0.7)
    axes.set_ylim(count + 0.7, 0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("rank (1 is best)")
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, fontsize=9, ncols=2, loc="outside upper right")
    return figure


def plot_predictions(
    ranking: Ranking, truth: Mapping[str, float], metric: str = "accuracy", *, percent: bool = True
) -> str:
    """Predicted final accuracy with its interval against the measured one; the score if no accuracy was predicted."""
    table = ranking.table
    measured = np.array([truth.get(code, np.nan) for code in table["architecture"]])
    figure, axes = _axes(6.5, 5)
    if ranking.predicts_others:
        predicted = table["predicted_accuracy"].to_numpy()
        error = [predicted - table["accuracy_low"], table["accuracy_high"] - predicted]
        axes.errorbar(
            predicted, measured, xerr=error, fmt="o", markersize=4.5, color=BLUE, ecolor=BLUE, elinewidth=0.7, alpha=0.6
        )
        ends = [np.nanmin([predicted, measured]), np.nanmax([predicted, measured])]
        axes.plot(ends, ends, color=GREY, linewidth=1, label="predicted = measured")
        axes.legend(frameon=False, fontsize=9, loc="upper left")
        if percent:
            axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel(f"predicted final {metric}, 90 % interval", parse_math=False)
    else:
        axes.plot(table["score"], measured, "o", markersize=4.5, color=BLUE, alpha=0.7)
        axes.set_xlabel("score (too few candidates were trained to the end to predict accuracies)")
    if percent and np.nanmax(measured) <= 1:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("measured after full training")
    return _svg(figure)


def plot_front(
    found: Front,
    names: Mapping[str, str],
    metric: str = "accuracy",
    *,
    percent: bool = True,
    lower_is_better: bool = False,
) -> str:
    """Predicted accuracy (or the score) against cost, with the front of the means as steps."""
    table, members = found.table, found.members
    figure, axes = _axes(WIDTH, 4.6)
    known = members["predicted_accuracy"].notna().all()
    value = "predicted_accuracy" if known else "score"
    unit, label = _COSTS[found.against]
    cost = table[found.column] / unit
    axes.scatter(cost, table[value], s=18, c=GREY, alpha=0.5, linewidths=0, rasterized=len(table) > DRAWN)
    blues = to_rgba_array([BLUE] * len(table), table["front_probability"].to_numpy())
    axes.scatter(cost, table[value], s=30, c=blues, linewidths=0, rasterized=len(table) > DRAWN)
    x, y = members[found.column].to_numpy() / unit, members[value].to_numpy()
    axes.step(
        [*x, float(cost.max())], [*y, y[-1]], where="post", color=ORANGE, linewidth=1.2, label="front of the means"
    )
    if known:
        error = [y - members["accuracy_low"], members["accuracy_high"] - y]
        axes.errorbar(x, y, yerr=error, fmt="none", ecolor=ORANGE, elinewidth=0.8, alpha=0.7)
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        if lower_is_better:
            axes.invert_yaxis()
    axes.plot(x, y, "o", color=ORANGE, markersize=4, markerfacecolor="none")
    if len(members) <= LABELLED:
        for at, height, code in zip(x, y, members["architecture"], strict=True):
            axes.annotate(
                shortened(names[code]), (at, height), (4, -9), textcoords="offset points", fontsize=7, parse_math=False
            )
    if cost.min() > 0 and cost.max() > 20 * cost.min():
        axes.set_xscale("log")
    axes.set_xlabel(label)
    without = "score (not all have a predicted final value)"
    axes.set_ylabel(f"predicted final {metric}" if known else without, parse_math=False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return _svg(figure)


def shortened(name: str, most: int = 28) -> str:
    """A name shortened to fit beside a point."""
    return name if len(name) <= most else name[: most - 1] + "…"


def plot_curves(trainings: Sequence[Trained], places: Mapping[str, int], metric: str, *, percent: bool) -> str:
    """The metric by epoch of every training, one plot per stage, coloured by rank; marks tell how each ended.

    Args:
        trainings: with at least one value each.
        places: of the candidates in the order, from 0, by code.
        metric: its name.
        percent: whether values are accuracies in [0, 1].
    """
    stages = list(dict.fromkeys(one.stage for one in trainings))
    columns = min(len(stages), 2)
    lines = -(-len(stages) // columns)
    figure = Figure(figsize=(WIDTH * columns / 2, 3.1 * lines), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in grid[len(stages) :]:
        axes.set_visible(False)
    for axes, stage in zip(grid, stages, strict=False):
        _tidy(axes)
        own = [one for one in trainings if one.stage == stage]
        ranks = np.array([places[one.code] for one in own]) / max(len(places) - 1, 1)
        colours, many = BY_RANK(ranks), len(own) > DRAWN
        alpha = float(np.clip(12 / len(own), 0.25, 0.9))
        points = [np.column_stack([one.epochs, one.values]) for one in own]
        axes.add_collection(LineCollection(points, colors=colours, alpha=alpha, linewidths=1, rasterized=many))
        for state, mark in MARKS.items():
            of = [number for number, one in enumerate(own) if one.state == state]
            if of:
                ends = np.array([points[number][-1] for number in of])
                axes.scatter(
                    *ends.T, s=16, c=colours[of], marker=mark, alpha=alpha, label=STATE_WORDS[state], rasterized=many
                )
        axes.legend(frameon=False, fontsize=8)
        axes.autoscale_view()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_title(f"{stage} ({len(own)})", fontsize=10, parse_math=False)
        axes.set_xlabel("epoch")
        axes.set_ylabel(metric, parse_math=False)
    return _svg(figure)


def _axes(width: float, height: float) -> tuple[ShownFigure, Axes]:
    figure = ShownFigure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    _tidy(axes)
    return figure, axes


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=LIGHT, linewidth=0.8)
    axes.set_axisbelow(True)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    # Fixed ids and no date: the same log gives the same page.
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": "taurank", "svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata=nothing)
    text = buffer.getvalue()
    return text[text.index("<svg") :]
