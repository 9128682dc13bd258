"""The command `taurank next`, and `taurank rank` on results of trainings that taurank has not run.

Imports are inside the functions: pandas and SciPy take a second to import, and --help should not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taurank.orchestrator.cli.completion import LOG_FILE
from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console
from taurank.orchestrator.text import print_line

if TYPE_CHECKING:
    from taurank.orchestrator.own_results import ResultsModel

FullEpochs = Annotated[
    int | None,
    typer.Option("--full-epochs", help="Of results: length of full training, in epochs.", show_default=False),
]
MetricName = Annotated[str, typer.Option("--metric", help="Of results: name of the metric.", show_default=False)]
Mode = Annotated[
    str | None,
    typer.Option(
        "--mode", help="Of results: min or max. Default: what the name of the metric says.", show_default=False
    ),
]
Features = Annotated[
    Path | None,
    typer.Option(
        "--features", help="Of results: a table of numbers per candidate, such as size and depth.", show_default=False
    ),
]
ColumnNames = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        help="Of results: names of columns, such as candidate=net,epoch=step,seed=s,schedule_epochs=t,seconds=time. "
        "Default: those with a sensible name.",
        show_default=False,
    ),
]


def next_(
    source: Annotated[
        Path,
        typer.Argument(metavar="RESULTS", help="A table or a folder, as taurank rank takes it.", show_default=False),
    ],
    budget: Annotated[
        str,
        typer.Option(
            "--budget",
            help="How many times cheaper than full training of all, such as 5x; what was trained so far counts.",
            show_default=False,
        ),
    ] = "",
    epochs: Annotated[
        float | None,
        typer.Option("--epochs", help="Instead of --budget: epochs that may be trained now.", show_default=False),
    ] = None,
    full_epochs: FullEpochs = None,
    metric: MetricName = "",
    mode: Mode = None,
    features: Features = None,
    columns: ColumnNames = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Trainings cannot be continued: count all of their epochs again.")
    ] = False,
) -> Document:
    """Show which candidates of your own trainings to train next, how far, and the tau expected after that."""
    from taurank.orchestrator.experiment import read_factor
    from taurank.orchestrator.own_results import plan_next
    from taurank.orchestrator.report import next_document, print_next

    factor = read_factor(budget) if budget else None
    model = _model(source, required(full_epochs, metric), mode=mode, features=features, columns=columns)
    found = plan_next(model, budget=factor, epochs=epochs, restart=restart)
    print_next(make_console(), model.results, found)
    return next_document(model.results, found)


def rank_results(
    source: Path,
    what: tuple[int, str],
    *,
    mode: str | None,
    features: Path | None,
    columns: list[str] | None,
    out: Path | None,
    report: Path | None,
) -> Document:
    """Ranks results, prints the table, writes it to ``out`` and the page to ``report`` if these are given."""
    from taurank.orchestrator.report import (
        own_ranking_document,
        print_own_ranking,
        write_own_page,
        write_own_ranking,
    )

    model = _model(source, what, mode=mode, features=features, columns=columns)
    print_own_ranking(make_console(), model)
    if out is not None:
        write_own_ranking(model, out)
        print_line(make_progress_console(), f"written: {out}")
    if report is not None:
        write_own_page(model, report)
        print_line(make_progress_console(), f"written: {report}")
    return own_ranking_document(model)


def is_run(source: Path) -> bool:
    """Whether a path is the folder of a run."""
    return (source / LOG_FILE).is_file()


def required(full_epochs: int | None, metric: str) -> tuple[int, str]:
    """Both of them.

    Raises:
        ResultsError: one is missing.
    """
    from taurank.orchestrator.own_results import ResultsError

    if full_epochs is None:
        raise ResultsError("--full-epochs is missing: give the length of full training, in epochs")
    if not metric:
        raise ResultsError("--metric is missing: give the name of the metric, such as val_acc")
    return full_epochs, metric


def _model(
    source: Path, what: tuple[int, str], *, mode: str | None, features: Path | None, columns: list[str] | None
) -> ResultsModel:
    from taurank.orchestrator.experiment import split_names
    from taurank.orchestrator.own_results import ResultsError, model_of, read_results

    named = {}
    for text in split_names(columns or ()):
        role, sign, name = text.partition("=")
        if not (sign and role and name):
            raise ResultsError(f"--columns: {text!r} is not ROLE=NAME, such as candidate=net")
        named[role.strip()] = name.strip()
    full_epochs, metric = what
    return model_of(
        read_results(source, full_epochs=full_epochs, metric=metric, mode=mode, features=features, columns=named)
    )
