"""The report: one self-contained HTML page. It needs no network, and without JavaScript it shows static figures."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.ranker import Ranking, SupernetTrust
from taurank.orchestrator.report import figures
from taurank.orchestrator.report.answer import answer_of, objective_best
from taurank.orchestrator.report.glossary import GLOSSARY
from taurank.orchestrator.report.hardware import HEADINGS, cost_text
from taurank.orchestrator.report.pages import asset, render
from taurank.orchestrator.report.plots import plot_curves, plot_front, plot_predictions
from taurank.orchestrator.report.sources import SourceUse, source_uses
from taurank.orchestrator.report.standings import TOP, columns_of, standings
from taurank.orchestrator.report.trained import STATE_WORDS, Trained, foremost, read_trainings, thinned
from taurank.orchestrator.report.trust import TITLE, name_of, trust_note, trust_rows
from taurank.orchestrator.scoring import Front, Score
from taurank.orchestrator.text import as_json, replaced

LISTED = 1000
"""Maximal number of candidates on the page; ranking.csv has all."""
KNOWLEDGE_NOTE = "Results of the same architectures on other data; they cost nothing. Weights are shares in the order."


@dataclass(frozen=True)
class Content:
    """What a page shows.

    Attributes:
        title: its heading.
        description: a sentence on it.
        names: short names of the candidates, by code.
        ranking: their order; None before there is one.
        rows: evidence rows, baseline included, with values as they are shown.
        events: of trials: ``time, stage, trial, event, reason``.
        full_epochs: length of full training.
        finals: final values of a ranking's table as they are shown.
        final: formats one of them.
        metric: what they are.
        lower_is_better: direction of the values.
        evidence: what the ranking was made of; None for the rows without the baseline.
        score: of the ranking; None without a reference.
        measured: final values by full training where there is no score, by code.
        void: lines on void scores.
        trust: of supernets.
        tradeoff: accuracy against cost.
        hardware: lines on constraints and latencies.
        searched: lines on a search.
        notes: lines on how results were read, or on how a run stands.
        definition: text of the experiment.
        refresh: seconds after which an open page asks for a newer one; 0 for a file.
    """

    title: str
    description: str
    names: Mapping[str, str]
    ranking: Ranking | None
    rows: pd.DataFrame
    events: pd.DataFrame
    full_epochs: int
    finals: Callable[[pd.DataFrame], pd.DataFrame] = field(default=lambda table: table)
    final: Callable[[float], str] = figures.percent
    metric: str = "accuracy"
    lower_is_better: bool = False
    evidence: pd.DataFrame | None = None
    score: Score | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    void: Sequence[str] = ()
    trust: Sequence[SupernetTrust] = ()
    tradeoff: Front | None = None
    hardware: Sequence[str] = ()
    searched: Sequence[str] = ()
    notes: Sequence[str] = ()
    definition: str = ""
    refresh: float = 0.0

    @cached_property
    def own_rows(self) -> pd.DataFrame:
        """Rows without the baseline."""
        return self.rows[self.rows["stage"] != BASELINE]

    @cached_property
    def trainings(self) -> list[Trained]:
        """All trainings, those of the baseline included."""
        return read_trainings(self.rows, self.events, full_epochs=self.full_epochs)

    @cached_property
    def truth(self) -> Mapping[str, float]:
        """Final values by full training, by code."""
        if self.score is None:
            return self.measured
        return dict(zip(self.score.candidates, self.score.truth.measured, strict=True))


def write_page(path: Path, content: Content) -> Path:
    """Writes the page as one file."""
    with replaced(path) as file:
        file.write_text(render_page(content), encoding="utf-8")
    return path


def render_page(content: Content) -> str:
    """The page as text."""
    script = Markup(asset("uPlot.iife.min.js") + "\n" + asset("page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return render(
        "page.html",
        content=content,
        script=script,
        digest=digest,
        style=Markup(asset("uPlot.min.css") + asset("page.css")),
        licence=Markup(asset("uPlot.LICENSE")),
        glossary=GLOSSARY,
        figures=figures,
        shown=None if content.ranking is None else _shown(content, content.ranking),
        stopped=_ended_early(content),
    )


def _shown(content: Content, ranking: Ranking) -> dict[str, Any]:
    """What the template shows of a ranking."""
    table = content.finals(ranking.with_tiers)
    trained = foremost(content.trainings)
    rows = standings(ranking, table, content.own_rows, content.names, content.truth, trained)[:LISTED]
    columns = columns_of(rows, content.final, content.metric)
    spent = float(content.own_rows["epochs"].sum())
    answer = answer_of(ranking, content.score, spent=spent, full=float(len(table) * content.full_epochs))
    evidence = content.own_rows if content.evidence is None else content.evidence
    places = {row["code"]: place for place, row in enumerate(rows)}
    codes = [str(code) for code in table["architecture"]]
    sources = source_uses(ranking, evidence, codes, full_epochs=content.full_epochs)
    return {
        "ranking": ranking,
        "answer": answer,
        "objective": objective_best(table, content.names),
        "rows": rows,
        "columns": columns,
        "count": len(table),
        "top": min(TOP, len(table)),
        "cells": [[column.text(row) for column in columns] for row in rows],
        "sources": [_source_row(use, len(codes)) for use in sources],
        "compared": next((use.against for use in sources if use.found is not None), ""),
        "data": _data(content, ranking, rows, columns, places),
        "static": _static_figures(content, ranking, table),
        "score": None if content.score is None else _score(content.score),
        "front": _front(content),
        "trust": _trust(content),
    }


def _data(
    content: Content,
    ranking: Ranking,
    rows: Sequence[Mapping[str, Any]],
    columns: Iterable[Any],
    places: Mapping[str, int],
) -> Markup:
    """What the script reads, as JSON that cannot end its element."""
    trainings = [one for one in content.trainings if one.code in places and len(one.epochs)]
    count = len(rows)
    wins = np.rint(200 * ranking.win_probabilities(count)[np.triu_indices(count, 1)]).astype(np.uint8)
    return Markup(
        json.dumps(
            as_json(
                {
                    "candidates": [{key: _rounded(value) for key, value in row.items()} for row in rows],
                    "curves": [
                        {
                            "c": places[one.code],
                            "stage": one.stage,
                            "state": one.state,
                            "x": one.epochs[kept],
                            "y": [_rounded(value) for value in one.values[kept].tolist()],
                            "words": f"{one.stage}: {one.words}",
                        }
                        for one, kept in zip(trainings, thinned(trainings), strict=True)
                    ],
                    "wins": base64.b64encode(wins.tobytes()).decode(),
                    "columns": [[column.key, column.heading] for column in columns],
                    "states": STATE_WORDS,
                    "metric": content.metric,
                    "percent": content.final is figures.percent,
                    "lower": content.lower_is_better,
                    "predicts": ranking.predicts_others,
                    "refresh": content.refresh,
                    "title": content.title,
                }
            ),
            allow_nan=False,
            separators=(",", ":"),
        ).replace("<", "\\u003c")
    )


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _static_figures(content: Content, ranking: Ranking, table: pd.DataFrame) -> list[tuple[str, str, Markup]]:
    """Name, title and SVG of the figures without JavaScript, and for print."""
    found = []
    place = {str(code): number for number, code in enumerate(table["architecture"])}
    drawn = [one for one in content.trainings if one.code in place and len(one.epochs)]
    if drawn:
        figure = plot_curves(drawn, place, content.metric, percent=content.final is figures.percent)
        found.append(("curves", "Learning curves", Markup(figure)))
    if content.score is not None:
        figure = plot_predictions(ranking, content.truth, content.metric, percent=content.final is figures.percent)
        found.append(("predictions", "Predicted against measured", Markup(figure)))
    if content.tradeoff is not None and len(content.tradeoff.members):
        title = f"{content.metric[0].upper()}{content.metric[1:]} against {content.tradeoff.against}"
        figure = plot_front(
            content.tradeoff,
            content.names,
            content.metric,
            percent=content.final is figures.percent,
            lower_is_better=content.lower_is_better,
        )
        found.append(("front", title, Markup(figure)))
    return found


def _source_row(use: SourceUse, candidates: int) -> tuple[str, tuple[str, ...]]:
    tau = (
        ("-", "-") if use.found is None else (f"{use.found.tau:.2f} ({figures.interval(use.found)})", str(use.found.n))
    )
    return use.name, (f"{use.weight:.2f}", f"{use.covered} of {candidates}", *tau)


def _score(score: Score) -> dict[str, Any]:
    """The ranking and each source alone against full training."""
    whole = score.truth.sample is None
    speed_up = math.nan if score.speed_up is None else score.speed_up.seconds
    rows = [("taurank", score.ranking, speed_up)]
    rows += [(source.name, source.agreement, source.speed_up) for source in score.sources]
    heads = ("tau-b", "95 % interval", *(["Spearman"] if whole else []), "architectures", "cheaper")
    body = []
    for name, found, cheaper in rows:
        taus = (figures.decimal(found.tau), figures.interval(found))
        spearman = [figures.decimal(found.spearman)] if whole else []
        body.append((name, (*taus, *spearman, str(found.n), figures.times(cheaper))))
    return {
        "heads": heads,
        "body": body,
        "measures": [(name, (value,)) for name, value in figures.measures(score).items()],
    }


def _front(content: Content) -> dict[str, Any] | None:
    found = content.tradeoff
    if found is None or not len(found.members):
        return None
    heads = (HEADINGS[found.against], "rank", "predicted final", "on the front")
    body = [
        (
            content.names[str(row["architecture"])],
            (
                cost_text(found.against, row[found.column]),
                str(row["rank"]),
                content.final(row["predicted_accuracy"]),
                f"{row['front_probability']:.0%}",
            ),
        )
        for _, row in found.members.iterrows()
    ]
    return {"against": found.against, "heads": heads, "body": body}


def _trust(content: Content) -> dict[str, Any] | None:
    if not content.trust:
        return None
    return {
        "title": TITLE,
        "note": trust_note(content.trust, full_epochs=content.full_epochs),
        "heads": [name_of(one) for one in content.trust],
        "body": trust_rows(content.trust),
    }


def _ended_early(content: Content) -> list[tuple[str, Trained]]:
    """Trainings that were stopped, paused or failed, each with the name of its candidate or else its own."""
    return [
        (content.names.get(one.code, one.trial), one)
        for one in content.trainings
        if one.state in ("stopped", "paused", "failed")
    ]
