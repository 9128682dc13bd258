"""The output of `taurank rank RESULTS` and `taurank next`."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from taurank.orchestrator.evidence import (
    FLOPS,
    LATENCY,
    LATENCY_MS,
    PARAMETERS,
    SIZE,
    VALIDATION_ACCURACY,
)
from taurank.orchestrator.own_results import NextTrainings, Results, ResultsError, ResultsModel
from taurank.orchestrator.report.figures import number
from taurank.orchestrator.report.page import Content, write_page
from taurank.orchestrator.report.tables import SHOWN, print_ranking
from taurank.orchestrator.text import MiddleElided, counted, print_line, replaced

SIZES = (
    (SIZE, PARAMETERS, ("parameters", "params")),
    (SIZE, FLOPS, ("flops", "macs")),
    (LATENCY, LATENCY_MS, ("latency_ms", "latency")),
)
"""Source and metric of features that the page shows as costs, and their names in lower case."""


def print_own_ranking(console: Console, model: ResultsModel) -> None:
    """Prints the ranking of results, final values in the unit of their metric."""
    results, ranking = model.results, model.ranking
    _print_results(console, results)
    print_ranking(
        console,
        replace(ranking, table=model.finals(ranking.table)),
        None,
        model.evidence,
        {code: code for code in results.candidates},
        metric=results.metric,
        measured=model.measured.size,
    )


def print_next(console: Console, results: Results, found: NextTrainings) -> None:
    """Prints the next trainings and what they do to the expected tau."""
    _print_results(console, results)
    table = Table(box=None, pad_edge=False)
    table.add_column("candidate", min_width=12)
    for heading in ("from epoch", "to epoch", "schedule", "epochs"):
        table.add_column(heading, justify="right", no_wrap=True)
    for training in found.trainings[:SHOWN]:
        numbers = (training.from_epoch, training.to_epoch, training.schedule_epochs, training.epochs)
        table.add_row(MiddleElided(training.candidate), *map(str, numbers))
    console.print(table)
    if len(found.trainings) > SHOWN:
        print_line(console, f"... and {len(found.trainings) - SHOWN} more")
    whole = len(results.candidates) * results.full_epochs
    print_line(
        console,
        f"{counted(len(found.trainings), 'training')}, {found.epochs:,} epochs; spent so far: {found.spent:,.0f} "
        f"epochs, {found.spent / whole:.1%} of full training",
    )
    prospect = found.prospect
    print_line(
        console,
        f"expected tau: {prospect.now:.2f} now, {prospect.after:.2f} ({prospect.low:.2f} to {prospect.high:.2f}) after "
        f"them; {found.certainty}",
    )


def next_document(results: Results, found: NextTrainings) -> dict[str, Any]:
    """The same as one JSON object."""
    prospect = found.prospect
    return {
        "metric": results.metric,
        "mode": results.mode,
        "full_epochs": results.full_epochs,
        "candidates": len(results.candidates),
        "trainings": [asdict(training) for training in found.trainings],
        "epochs": found.epochs,
        "spent": found.spent,
        "expected_tau": prospect.now,
        "expected_tau_after": prospect.after,
        "low": prospect.low,
        "high": prospect.high,
        "certainty": found.certainty,
        "notes": list(results.notes),
    }


def own_ranking_document(model: ResultsModel) -> dict[str, Any]:
    """The ranking as one JSON object, final values in the unit of their metric."""
    results, ranking = model.results, model.ranking
    return {
        "metric": results.metric,
        "mode": results.mode,
        "full_epochs": results.full_epochs,
        "ranking": model.frame().to_dict("records"),
        "certainty": ranking.certainty,
        "full_trainings": ranking.full_trainings,
        "weights": ranking.weights,
        "expected_tau": ranking.expected_tau,
        "expected_tau_interval": ranking.expected_tau_interval,
        "cost": {name: results.rows[name].sum() for name in ("epochs", "seconds")},
        "notes": list(results.notes),
    }


def write_own_ranking(model: ResultsModel, file: Path) -> None:
    """Writes the ranking as CSV, or as parquet by the name of the file.

    Raises:
        ResultsError: it cannot be written.
    """
    frame = model.frame()
    try:
        with replaced(file) as new:
            if file.suffix == ".parquet":
                frame.to_parquet(new, index=False)
            else:
                frame.to_csv(new, index=False)
    except OSError as error:
        raise ResultsError(f"--out: {file} cannot be written: {error.strerror or error}") from None


def write_own_page(model: ResultsModel, file: Path) -> None:
    """Writes the report page of a ranking of results.

    Raises:
        ResultsError: it cannot be written.
    """
    try:
        write_page(file, own_content(model))
    except OSError as error:
        raise ResultsError(f"--report: {file} cannot be written: {error.strerror or error}") from None


def own_content(model: ResultsModel) -> Content:
    """What the page shows of results, all values in the unit of their metric."""
    results = model.results
    return Content(
        title=f"ranking by {results.metric}",
        description=_results_line(results),
        names={code: code for code in results.candidates},
        ranking=model.ranking,
        rows=pd.concat([_curves(model), _sizes(results.features)], ignore_index=True),
        events=pd.DataFrame(columns=["time", "stage", "trial", "event", "reason"]),
        full_epochs=results.full_epochs,
        finals=model.finals,
        final=partial(number, digits=5),
        metric=results.metric,
        lower_is_better=results.mode == "min",
        evidence=model.evidence,
        measured={str(code): float(value) for code, value in model.measured.items()},
        notes=results.notes,
    )


def _curves(model: ResultsModel) -> pd.DataFrame:
    """The measured rows of the evidence, with the values as they were given."""
    measured = model.evidence[model.evidence["metric"] == VALIDATION_ACCURACY]
    given = model.results.rows.set_index(["training", "epoch"])["value"]
    return measured.assign(value=given.reindex(pd.MultiIndex.from_frame(measured[["trial", "epoch"]])).to_numpy())


def _sizes(features: pd.DataFrame) -> pd.DataFrame:
    """Features that are sizes or latencies by their names, as rows of a log."""
    parts = [
        pd.DataFrame(
            {
                "stage": source,
                "trial": source,
                "architecture": features.index,
                "source": source,
                "epoch": 0,
                "schedule_epochs": 0,
                "seed": 0,
                "metric": metric,
                "value": features[column].to_numpy(dtype=float),
                "seconds": 0.0,
                "epochs": 0.0,
                "epoch_share": 1.0,
            }
        )
        for source, metric, known in SIZES
        for column in features.columns
        if str(column).lower() in known
    ]
    return pd.concat(parts) if parts else pd.DataFrame()


def _print_results(console: Console, results: Results) -> None:
    for note in results.notes:
        print_line(console, note)
    print_line(console, _results_line(results))


def _results_line(results: Results) -> str:
    end = "lower" if results.mode == "min" else "higher"
    return (
        f"{len(results.candidates):,} candidates by {results.metric} ({end} is better) after {results.full_epochs} "
        f"epochs, from {counted(results.rows['training'].nunique(), 'training')}"
    )
