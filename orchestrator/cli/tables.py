"""Commands on tables of recorded trainings: table import, table show.

Imports are inside the functions: pandas takes a second to import, and --help should not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console, reporting
from taurank.orchestrator.text import MiddleElided, print_line

if TYPE_CHECKING:
    from rich.console import Console

    from taurank.trainables.table import Direction, Part, RecordedTable, Truth

HEADINGS = ("source", "epochs", "seed", "metric", "architectures", "missing", "complete", "values", "cost")
NAMES = ("source", "metric")
LEAST_NAME = 12
"""Minimal width of the names of sources and metrics, in narrow terminals too."""

app = typer.Typer(no_args_is_help=True, help="Tables of recorded trainings: import and show them.")


@app.command("import")
@reporting
def import_(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Files of one recording, or the folder of a run of taurank.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="The table to write (parquet).", show_default=False)],
    format_: Annotated[
        str,
        typer.Option(
            "--format",
            help="Format of the files. Default: detected from their content. a4nn, help_latency, mit_curves, naap440, "
            "nasbench201, spikenas, timm; nats_bench, whose files are pickles and run code when they are opened: name "
            "it explicitly, and only for files from the benchmark itself.",
            show_default=False,
        ),
    ] = "",
    space: Annotated[
        str, typer.Option("--space", help="Name of the search space. Default: the importer's.", show_default=False)
    ] = "",
    data: Annotated[
        str,
        typer.Option(
            "--data", help="Name of the data set; selects one if the files contain several.", show_default=False
        ),
    ] = "",
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            help="CSV with one number per row: assigns columns, as in architecture=arch,value=acc,epoch=ep. Also: "
            "source, schedule_epochs, seed, metric, seconds.",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="With --map, values that are the same in all rows: metric=test_accuracy,schedule_epochs=200.",
            show_default=False,
        ),
    ] = None,
    percent: Annotated[
        bool, typer.Option("--percent", help="With --map: accuracies are percentages, divide them by 100.")
    ] = False,
    lower_is_better: Annotated[
        bool | None,
        typer.Option(
            "--lower-is-better/--higher-is-better",
            help="Of a CSV: which end is better of metrics without a fixed meaning, such as validation_error or iou. "
            "Default: what their names say.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing --out.")] = False,
) -> Document:
    """Import recorded trainings from a benchmark's files, a CSV, or a run of taurank into a table.

    A CSV of final results needs a column called architecture, code or model, and one or more of numbers.
    """
    from taurank.trainables.table import TableError, write_table
    from taurank.trainables.table.importers import FINAL_RESULTS

    if out.exists() and not force:
        raise TableError(f"{out} exists; add --force to overwrite it, or choose another --out")
    direction: Direction | None = None if lower_is_better is None else "lower" if lower_is_better else "higher"
    table = _import(sources, format_, space, data, map_ or [], set_ or [], percent=percent, direction=direction)
    write_table(table, out)
    console = make_progress_console()
    _print_head(console, table)
    _print_truths(console, table)
    if map_ or FINAL_RESULTS in table.sources:
        _print_directions(console, table, chosen=direction is not None)
    print_line(console, f"written to {out}; `taurank table show {out}` lists its contents")
    return {"file": out, **_document(table)}


@app.command()
@reporting
def show(file: Annotated[Path, typer.Argument(help="A table.", show_default=False)]) -> Document:
    """Show the contents of a table: sources, schedules, seeds, metrics, costs, missing values, possible references."""
    from rich.table import Table

    from taurank.trainables.table import read_table, summarise

    table = read_table(file)
    console = make_console()
    _print_head(console, table)
    console.print()
    parts = summarise(table)
    lines = _lines(parts, len(table.architectures))
    grid = Table(box=None, pad_edge=False)
    # Empty columns are omitted: terminals are narrow.
    kept = [place for place in range(len(HEADINGS)) if any(cells[place] for cells in lines)]
    for place in kept:
        is_name = HEADINGS[place] in NAMES
        longest = max(len(cells[place]) for cells in lines)
        grid.add_column(
            HEADINGS[place],
            justify="left" if is_name else "right",
            min_width=min(longest, LEAST_NAME) if is_name else None,
        )
    for cells in lines:
        grid.add_row(*(MiddleElided(cells[place]) if HEADINGS[place] in NAMES else cells[place] for place in kept))
    console.print(grid, highlight=False)
    console.print()
    for name, metric in table.info.metrics.items():
        if metric.direction != "none" or metric.unit:
            better = "" if metric.direction == "none" else f", {metric.direction} is better"
            print_line(console, f"{name}: {metric.unit or 'no unit'}{better}")
    console.print()
    _print_truths(console, table)
    return {"file": file, **_document(table), "parts": [asdict(part) for part in parts]}


def _document(table: RecordedTable) -> Document:
    from taurank.trainables.table import possible_truths

    return {
        "info": asdict(table.info),
        "rows": len(table.rows),
        "architectures": len(table.architectures),
        "truths": [asdict(truth) for truth in possible_truths(table)],
    }


def _import(
    sources: Sequence[Path],
    format_: str,
    space: str,
    data: str,
    map_: Sequence[str],
    set_: Sequence[str],
    *,
    percent: bool,
    direction: Direction | None,
) -> RecordedTable:
    from taurank.trainables.table import TableError
    from taurank.trainables.table.importers import (
        import_csv,
        import_results,
        import_table,
        in_space,
        is_recognised,
        is_results,
    )

    if map_:
        if format_:
            raise TableError(f"--format {format_} and --map do not go together: --map is for any other CSV")
        columns, constants = _pairs("--map", map_), _pairs("--set", set_)
        table = import_csv(sources, columns, constants, percent=percent, space=space, data=data, direction=direction)
        return in_space(table, space)
    if format_ == "" and is_results(sources[0]) and not is_recognised(sources[0]):
        if len(sources) > 1 or set_ or percent:
            option = "--set" if set_ else "--percent" if percent else "several files"
            raise TableError(f"{sources[0]}: {option} cannot be used without --map, which assigns the columns of a CSV")
        return in_space(import_results(sources[0], data=data, direction=direction), space)
    for option, given in (("--set", set_), ("--percent", percent), (f"--{direction}-is-better", direction)):
        if given:
            raise TableError(f"{option} is for a CSV; add --map to assign its columns")
    if not format_ and any((source / "evidence.sqlite").is_file() for source in sources):
        from taurank.orchestrator.runs import import_run

        if len(sources) > 1 or space or data:
            raise TableError("a table is made from one run, which defines its space and data; give only its folder")
        return import_run(sources[0])
    return import_table(sources, importer=format_, space=space, data=data)


def _pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """`a=x,b=y`, possibly in several options, as a dictionary."""
    from taurank.trainables.table import TableError

    pairs: dict[str, str] = {}
    for text in (part for given in texts for part in given.split(",")):
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            raise TableError(f"{option}: {text!r} is not of the form NAME=VALUE,NAME=VALUE")
        if name in pairs:
            raise TableError(f"{option}: {name!r} is given twice; remove one")
        pairs[name] = value
    return pairs


def _print_head(console: Console, table: RecordedTable) -> None:
    info = table.info
    options = "".join(f", {name}={value}" for name, value in info.space_options.items())
    lines = {
        "space": f"{info.space or 'unknown'}{options}",
        "data": info.data or "unknown",
        "numbers": f"{len(table.rows):,} of {len(table.architectures):,} architectures",
        "origin": info.origin,
        "licence": info.licence,
    }
    for name, text in lines.items():
        if text:
            print_line(console, f"{name:13}{text}")
    for number, note in enumerate(info.notes):
        print_line(console, f"{'' if number else 'notes':13}{note}")


def _print_truths(console: Console, table: RecordedTable) -> None:
    from taurank.trainables.table import possible_truths

    truths = possible_truths(table)
    if not truths:
        print_line(console, "nothing here can be a truth: no result of a whole training has a better end")
    for number, truth in enumerate(truths):
        print_line(console, f"{'' if number else 'truth':13}{_truth_text(truth)}")


def _print_directions(console: Console, table: RecordedTable, *, chosen: bool) -> None:
    """Which end is better of the metrics whose meaning is not fixed, and where that is from."""
    from taurank.trainables.table import is_fixed

    for name, metric in table.info.metrics.items():
        if is_fixed(name):
            continue
        text = f"{metric.direction} is better" + ("" if chosen else ", by its name")
        if metric.direction == "none":
            text = "not known which end is better, so it cannot be a truth; say --lower-is-better or --higher-is-better"
        print_line(console, f"{name}: {text}")


def _truth_text(truth: Truth) -> str:
    length = f" after {truth.schedule_epochs} epochs" if truth.schedule_epochs else ", of unknown length"
    counts = ", ".join(f"{count:,} of {_seed_text(seed)}" for seed, count in truth.architectures.items())
    return f"{truth.metric} of {truth.source}{length}: {counts}"


def _seed_text(seed: int) -> str:
    return "a mean or unknown seed" if seed < 0 else f"seed {seed}"


def _lines(parts: Sequence[Part], total: int) -> list[tuple[str, ...]]:
    """One line per part; all entries of an encoding share a line."""
    lines, previous = [], None
    entries = [part for part in parts if part.source == "encoding"]
    for part in parts:
        same = (part.source, part.schedule_epochs, part.seed) == previous
        previous = (part.source, part.schedule_epochs, part.seed)
        if part.source == "encoding":
            if not same:
                lines.append(_encoding_line(entries, total))
            continue
        trained = part.schedule_epochs > 0
        lines.append(
            (
                "" if same else part.source,
                "" if same or not trained else _epochs_text(part),
                "" if same or not (trained or part.seed > 0) else ("-" if part.seed < 0 else str(part.seed)),
                part.metric,
                f"{part.architectures:,}",
                f"{total - part.architectures:,}" if total > part.architectures else "",
                f"{part.complete:,}" if trained else "",
                _range(part.values),
                _cost(part),
            )
        )
    return lines


def _encoding_line(entries: Sequence[Part], total: int) -> tuple[str, ...]:
    names = [part.metric for part in entries]
    text = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]} ({len(names)} entries)"
    fewest = min(part.architectures for part in entries)
    least, greatest = min(part.values[0] for part in entries), max(part.values[1] for part in entries)
    missing = f"{total - fewest:,}" if total > fewest else ""
    return ("encoding", "", "", text, f"{fewest:,}", missing, "", _range((least, greatest)), "")


def _epochs_text(part: Part) -> str:
    first, last = part.epochs
    return f"{last if first == last else f'{first} to {last}'} of {part.schedule_epochs}"


def _range(values: tuple[float, float]) -> str:
    least, greatest = (
        f"{value:.0f}" if value.is_integer() and abs(value) < 1e5 else f"{value:.4g}" for value in values
    )
    return least if least == greatest else f"{least} to {greatest}"


def _cost(part: Part) -> str:
    """Seconds of the part, with the number of rows without seconds."""
    if not part.seconds:
        return "unknown" if part.unknown else ""
    amount, unit = (part.seconds / 3600, "h") if part.seconds >= 3600 else (part.seconds, "s")
    return f"{amount:,.1f} {unit}" + (f", {part.unknown:,} unknown" if part.unknown else "")
