"""The command `taurank search`.

Imports are inside the function: torch and Ray take seconds to import, and --help should not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from taurank.orchestrator.cli.completion import complete_experiment, complete_space
from taurank.orchestrator.cli.runs import (
    Address,
    Cache,
    Dashboard,
    DataDir,
    Download,
    Knowledge,
    ending_on_interruption,
    finish,
)
from taurank.orchestrator.cli.terminal import Document, make_progress_console, output
from taurank.orchestrator.text import print_line


def search(
    context: typer.Context,
    experiment: Annotated[
        str,
        typer.Argument(
            help="A YAML file with a section `search:`; or give --space and --data.",
            autocompletion=complete_experiment,
            show_default=False,
        ),
    ] = "",
    space: Annotated[
        str,
        typer.Option(
            "--space",
            help="Instead of a file: name of the search space.",
            autocompletion=complete_space,
            show_default=False,
        ),
    ] = "",
    data: Annotated[
        str,
        typer.Option("--data", help="With --space: the data set, such as cifar10 or folder:PATH.", show_default=False),
    ] = "",
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            min=4,
            help="With --space: pixels on each side to which images are resized. Default: that of the data set.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="With --space: the searcher; gdas, manas and darts train a supernet first. Default: posterior.",
            show_default=False,
        ),
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option(
            "--evaluations",
            min=2,
            help="With --space: number of trainings. Default: 60.",
            show_default=False,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", min=1, help="With --space: epochs of each training. Default: 20.", show_default=False),
    ] = None,
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint",
            help="With --space: a bound for all proposals, such as 'params <= 5e6', 'flops <= 600M', 'latency <= 20ms' "
            "(may be repeated).",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder in which the run folder is created.")] = Path("runs"),
    data_dir: DataDir = None,
    download: Download = False,
    cache: Cache = None,
    address: Address = None,
    dashboard: Dashboard = False,
    knowledge: Knowledge = None,
) -> Document:
    """Search a space too large to list: train the proposals, and rank them with the best predicted others."""
    from taurank.orchestrator.campaigns import Place, experiment_images, load_search, start_run
    from taurank.orchestrator.experiment import (
        SearchCommandError,
        load_experiment,
        with_knowledge,
    )

    place = Place(out, data_dir, download, cache, address, dashboard)
    quiet = output().level == "quiet"
    given = {
        "--space": space,
        "--data": data,
        "--size": size,
        "--method": method,
        "--evaluations": evaluations,
        "--epochs": epochs,
        "--constraint": constraint,
    }
    console = make_progress_console()
    if experiment:
        for name, value in given.items():
            if value:
                raise SearchCommandError(f"{name}: {experiment} defines it already; change it there")
        loaded = load_experiment(experiment)
        if loaded.search is None:
            raise SearchCommandError(
                f"{experiment} has no section search; write search: posterior instead of candidates, or use taurank run"
            )
        if knowledge:
            loaded = with_knowledge(loaded, knowledge)
        images = experiment_images(loaded, place, quiet=quiet)
    else:
        if not space:
            options = [name for name, value in given.items() if value]
            if options:
                raise SearchCommandError(
                    f"--space is missing: {options[0]} is about a space by name; give --space NAME"
                )
            context.fail("Missing argument 'EXPERIMENT', or --space and --data.")
        if not data:
            raise SearchCommandError(
                "--data is missing: give --data cifar10, or --data folder:PATH for your own images"
            )
        loaded, text, images = load_search(
            space,
            data,
            place,
            size=size,
            method=method,
            evaluations=evaluations,
            epochs=epochs,
            constraints=constraint or (),
            knowledge=knowledge or (),
            quiet=quiet,
        )
        print_line(console, "as a file:")
        print_line(console, "".join(f"  {line}\n" for line in text.splitlines()))
    with ending_on_interruption():
        return finish(start_run(loaded, images, place, console, with_baseline=False))
