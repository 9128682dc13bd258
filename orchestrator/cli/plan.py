"""The command `taurank plan`.

Imports are inside the function: torch and Ray take seconds to import, and --help should not.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from taurank.orchestrator.cli.completion import complete_plan, complete_space
from taurank.orchestrator.cli.runs import Address, DataDir
from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console
from taurank.orchestrator.text import print_line


def plan(
    what: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT|RUN",
            help="A YAML file, an experiment that comes with taurank, or the folder of a run.",
            autocompletion=complete_plan,
            show_default=False,
        ),
    ] = "",
    space: Annotated[
        str,
        typer.Option(
            "--space",
            help="Search space. Default: one without recorded data.",
            autocompletion=complete_space,
            show_default=False,
        ),
    ] = "",
    data: Annotated[
        str, typer.Option("--data", help="Name of the data set, as cifar10. Default: unknown.", show_default=False)
    ] = "",
    candidates: Annotated[
        int | None, typer.Option("--candidates", min=2, help="Number of candidates.", show_default=False)
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Length of full training.", show_default=False)
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--budget", help="Such as 10x, 10x seconds, 4h or 30 gpu-hours.", show_default=False),
    ] = None,
    tau: Annotated[
        float | None, typer.Option("--tau", help="Instead of --budget: the tau to reach.", show_default=False)
    ] = None,
    schedules: Annotated[
        str,
        typer.Option(
            "--schedules",
            help="Schedule lengths that can be trained, separated by commas. Default: any.",
            show_default=False,
        ),
    ] = "",
    epoch_seconds: Annotated[
        float | None,
        typer.Option(
            "--epoch-seconds", help="Seconds per epoch. Default: those of the run or table.", show_default=False
        ),
    ] = None,
    speed: Annotated[
        list[str] | None,
        typer.Option(
            "--speed",
            help="Training speed of a device that is not here, for its hours: MODEL=IMAGES_PER_SECOND, or a CSV with "
            "the columns model and images_per_second (may be repeated). Other candidates of an experiment are scaled "
            "by FLOPs.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table",
            help="Replay these recorded trainings instead of using the forecast: slower, exact.",
            show_default=False,
        ),
    ] = None,
    truth: Annotated[str, typer.Option("--truth", help="With --table: as in taurank replay.", show_default=False)] = "",
    among: Annotated[str, typer.Option("--among", help="With --table: as in taurank replay.")] = "distinct",
    draws: Annotated[int, typer.Option("--draws", min=2, help="With --table: number of replays per budget.")] = 3,
    measure: Annotated[
        bool,
        typer.Option("--measure", help="Time a few batches of each candidate of an experiment, to state the hours."),
    ] = False,
    data_dir: DataDir = None,
    address: Address = None,
) -> Document:
    """Show the stages of a budget and the predicted tau; for a run, its current state and expected result."""
    from taurank.orchestrator.experiment import load_experiment

    # Checked before torch is imported, which takes a second.
    experiment = load_experiment(what) if what and not Path(what).is_dir() else None

    from taurank.orchestrator.campaigns import Place, plan_ahead
    from taurank.orchestrator.report import outlook_document, print_outlook

    outlook, notes = plan_ahead(
        experiment or (Path(what) if what else None),
        space=space,
        data=data,
        candidates=candidates,
        epochs=epochs,
        budget=budget,
        tau=tau,
        schedules=schedules,
        epoch_seconds=epoch_seconds,
        speeds=speed or (),
        table=table,
        truth=truth,
        among=among,
        draws=draws,
        measure=measure,
        place=Place(data_dir=data_dir, address=address),
        say=partial(print_line, make_progress_console()),
    )
    print_outlook(make_console(), outlook, notes=notes)
    return outlook_document(outlook, notes=notes)
