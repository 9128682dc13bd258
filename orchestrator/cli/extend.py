"""The command `taurank extend`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from taurank.orchestrator.cli.runs import (
    Address,
    Cache,
    Dashboard,
    DataDir,
    Download,
    Folder,
    Knowledge,
    NoBaseline,
    ending_on_interruption,
    finish,
)
from taurank.orchestrator.cli.terminal import Document, make_progress_console, output
from taurank.orchestrator.text import print_line


def extend(
    folder: Folder,
    candidates: Annotated[
        int | None,
        typer.Option("--candidates", help="Number of candidates in total; the new ones are drawn.", show_default=False),
    ] = None,
    add: Annotated[
        list[str] | None,
        typer.Option("--add", help="Candidates by name, separated by commas; may be repeated.", show_default=False),
    ] = None,
    budget: Annotated[
        str,
        typer.Option(
            "--budget", help="In all, such as 5x; or an amount of time to add, such as 2h.", show_default=False
        ),
    ] = "",
    baseline_seed: Annotated[
        list[int] | None,
        typer.Option(
            "--baseline-seed", help="An additional seed of full training; may be repeated.", show_default=False
        ),
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option("--evaluations", help="Of a search: number of trainings in total.", show_default=False),
    ] = None,
    stages: Annotated[
        Path | None,
        typer.Option("--stages", help="A YAML file with lists of more trainings or supernets.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    download: Download = False,
    cache: Cache = None,
    address: Address = None,
    dashboard: Dashboard = False,
    no_baseline: NoBaseline = False,
    knowledge: Knowledge = None,
) -> Document:
    """Extend a run with more candidates, budget, seeds or stages, or with other knowledge, in a new folder.

    The evidence of the run is kept; only what is missing is trained.
    """
    from taurank.orchestrator.campaigns import Place, experiment_images, run_to_its_end
    from taurank.orchestrator.experiment import split_names
    from taurank.orchestrator.runs import Changes, Run, read_stages
    from taurank.orchestrator.runs import extend as extended

    changes = Changes(
        candidates=candidates,
        add=tuple(split_names(add or ())),
        budget=budget or None,
        seeds=tuple(baseline_seed or ()),
        stages={} if stages is None else read_stages(stages),
        evaluations=evaluations,
        knowledge=tuple(knowledge or ()),
    )
    opened = Run.open(folder)
    place = Place(data_dir=data_dir, download=download, cache=cache, address=address, dashboard=dashboard).of_run(
        opened
    )
    console = make_progress_console()
    images = experiment_images(opened.experiment, place, quiet=output().level == "quiet")
    say = partial(print_line, console)
    run = extended(opened, changes, images, address=address, say=say)
    # A search does not know its next proposals yet.
    new = 0 if run.experiment.search is not None else len(run.candidates) - len(opened.candidates)
    say(f"{run.folder} continues {opened.folder.name}" + (f" with {new} more candidates" if new else ""))
    with ending_on_interruption():
        return finish(run_to_its_end(run, images, place, console, with_baseline=not no_baseline))
