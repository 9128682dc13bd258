"""The command `taurank extend`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from taurank.orchestrator.cli.runs import (
    DATA_DIR,
    Address,
    Cache,
    Dashboard,
    DataDir,
    Download,
    Folder,
    Knowledge,
    NoBaseline,
    run_to_its_end,
)
from taurank.orchestrator.cli.terminal import Document, make_progress_console
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
        str, typer.Option("--budget", help="How many times cheaper than full training, such as 5x.", show_default=False)
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
    from taurank.orchestrator.experiment import split_names
    from taurank.orchestrator.runs import Changes, Run, load_images, read_stages
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
    noted = opened.log.noted(DATA_DIR)
    root = data_dir or (Path(noted) if noted else None)
    images = load_images(opened.experiment.data, root=root, download=download, cache=cache)
    say = partial(print_line, make_progress_console())
    run = extended(opened, changes, images, address=address, say=say)
    # A search does not know its next proposals yet.
    new = 0 if run.experiment.search is not None else len(run.candidates) - len(opened.candidates)
    say(f"{run.folder} continues {opened.folder.name}" + (f" with {new} more candidates" if new else ""))
    return run_to_its_end(run, images, address=address, dashboard=dashboard, with_baseline=not no_baseline)
