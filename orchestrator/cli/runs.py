"""Commands on runs: run, resume, rank, score.

Commands import what they need themselves: torch and Ray take seconds, and --help should not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.terminal import make_console

if TYPE_CHECKING:
    from orchestrator.campaign import Run
    from trainables.data import ImageData

DATA_DIR = "data_dir"
"""Where the log of a run notes --data-dir, so that resuming finds the images again."""

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Folder with the data sets. Default: $TAURANK_DATA, else ./data.", show_default=False
    ),
]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch the data set if it is missing (says what and how big).")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", help="Join a running Ray cluster (host:port, or auto). Default: a local Ray.", show_default=False
    ),
]
Dashboard = Annotated[
    bool, typer.Option("--dashboard", help="Start the Ray dashboard on loopback and print its address.")
]
NoBaseline = Annotated[bool, typer.Option("--no-baseline", help="Leave out the full trainings that score the ranking.")]
Folder = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)]


def run(
    experiment: Annotated[
        str,
        typer.Argument(help="A YAML file, or the name of an experiment that comes with taurank.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="Where the folder of the run is made.")] = Path("runs"),
    data_dir: DataDir = None,
    download: Download = False,
    address: Address = None,
    dashboard: Dashboard = False,
    no_baseline: NoBaseline = False,
) -> None:
    """Rank the candidates of an experiment, then score the ranking against full training."""
    from orchestrator.campaign import Run, load_images
    from orchestrator.experiment import load_experiment

    loaded = load_experiment(experiment)
    root = data_dir.resolve() if data_dir else None
    data = load_images(loaded.data, root=root, download=download)
    created = Run.create(loaded, out, data)
    if root:
        created.log.note(DATA_DIR, str(root))
    _campaign(
        created,
        data,
        address=address,
        dashboard=dashboard,
        with_baseline=not no_baseline,
    )


def resume(
    folder: Folder,
    data_dir: DataDir = None,
    download: Download = False,
    address: Address = None,
    dashboard: Dashboard = False,
    no_baseline: NoBaseline = False,
) -> None:
    """Go on with a run that was interrupted; nothing that is finished is repeated."""
    from orchestrator.campaign import Run, load_images

    opened = Run.open(folder)
    noted = opened.log.noted(DATA_DIR)
    root = data_dir or (Path(noted) if noted else None)
    _campaign(
        opened,
        load_images(opened.experiment.data, root=root, download=download),
        address=address,
        dashboard=dashboard,
        with_baseline=not no_baseline,
    )


def rank(folder: Folder) -> None:
    """Rank again from the log of a run, without training; writes the ranking and the report."""
    from orchestrator.campaign import Run

    Run.open(folder).report(make_console())


def score(
    folder: Folder,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            help="The truth: folder of another run, a table of recorded trainings (.parquet), or a CSV (columns "
            "architecture, value; several rows of one architecture are its seeds). Default: the run's own.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Score the ranking of a run against full training: its own baseline, another run's, or a table's."""
    from orchestrator.campaign import Run
    from orchestrator.scoring import read_truth

    opened = Run.open(folder)
    space = opened.experiment.space.make()
    truth = None
    if baseline:
        truth = read_truth(baseline, opened.candidates, parse=lambda text: space.parse(text).code)
    opened.report(make_console(), truth, need_score=True)


def _campaign(run: Run, data: ImageData, *, address: str | None, dashboard: bool, with_baseline: bool) -> None:
    from orchestrator.campaign import run_campaign
    from orchestrator.interruption import EXIT_CODE, RunInterruptedError

    console = make_console()
    try:
        run_campaign(run, data, console=console, address=address, dashboard=dashboard, with_baseline=with_baseline)
    except RunInterruptedError:
        console.print(run.farewell, highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_CODE) from None
