"""Commands on runs: run, resume, rank, score.

Imports are inside the functions: torch and Ray take seconds to import, and --help should not.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taurank.orchestrator.cli.completion import complete_experiment, complete_run
from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console, output
from taurank.orchestrator.text import print_line

if TYPE_CHECKING:
    from taurank.orchestrator.experiment import DataSpec
    from taurank.orchestrator.report import RunReport
    from taurank.orchestrator.runs import Run
    from taurank.trainables.data import Dataset, ImageData

DATA_DIR = "data_dir"
"""Key of --data-dir in the log of a run, so that resuming finds the images."""

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Folder with the data sets. Default: $TAURANK_DATA, else ./data.", show_default=False
    ),
]
Download = Annotated[
    bool, typer.Option("--download", help="Download the data set if it is missing (prints its name and size).")
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache",
        help="Folder of the decoded images. Default: taurank in $XDG_CACHE_HOME, else in ~/.cache.",
        show_default=False,
    ),
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
Knowledge = Annotated[
    list[str] | None,
    typer.Option(
        "--knowledge",
        help="Results of the same architectures on other data: folder of a run, table (.parquet), CSV, or published, "
        "as FROM[=RELATION][:metric=NAME], separated by commas (may be repeated); none omits all. Default: auto, "
        "finished runs of other data in --out, and published accuracies of models by name.",
        show_default=False,
    ),
]
NoBaseline = Annotated[bool, typer.Option("--no-baseline", help="Skip the full trainings that score the ranking.")]
Folder = Annotated[Path, typer.Argument(help="Folder of a run.", autocompletion=complete_run, show_default=False)]


def run(
    context: typer.Context,
    experiment: Annotated[
        str,
        typer.Argument(
            help="A YAML file, or the name of an experiment that comes with taurank.",
            autocompletion=complete_experiment,
            show_default=False,
        ),
    ] = "",
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--models",
            help="Instead of a file: models by name, such as 'timm:*_tiny*,torchvision:resnet18' or my_module:make "
            "(may be repeated).",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option("--data", help="With --models: the data set, such as cifar10 or folder:PATH.", show_default=False),
    ] = "",
    size: Annotated[
        int | None,
        typer.Option("--size", min=4, help="With --models: side to which images are resized.", show_default=False),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs", min=1, help="With --models: epochs of full training. Default: 20.", show_default=False
        ),
    ] = None,
    budget: Annotated[
        str,
        typer.Option("--budget", help="With --models: how many times cheaper. Default: 10x.", show_default=False),
    ] = "",
    constraint: Annotated[
        list[str] | None,
        typer.Option(
            "--constraint",
            help="With --models: bound on all candidates, such as 'params <= 5e6', 'flops <= 600M', 'latency <= 20ms' "
            "(may be repeated).",
            show_default=False,
        ),
    ] = None,
    save_yaml: Annotated[
        Path | None,
        typer.Option("--save-yaml", help="With --models: write the file and run nothing.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder in which the run folder is created.")] = Path("runs"),
    data_dir: DataDir = None,
    download: Download = False,
    cache: Cache = None,
    address: Address = None,
    dashboard: Dashboard = False,
    baseline: Annotated[
        bool | None,
        typer.Option(
            "--baseline/--no-baseline",
            help="Whether to train all candidates to the end, to score the ranking. Default: as in the file; "
            "no where it says nothing, and with --models.",
            show_default=False,
        ),
    ] = None,
    knowledge: Knowledge = None,
) -> Document | None:
    """Rank the candidates of an experiment, or models by name; with a baseline, also score the ranking."""
    from taurank.orchestrator.experiment import (
        BUDGET,
        EPOCHS,
        ModelsError,
        experiment_of_models,
        load_experiment,
        load_with_test,
        with_baseline,
        with_knowledge,
        write_models,
    )

    root = data_dir.resolve() if data_dir else None
    read = partial(read_experiment_images, root=root, download=download, cache=cache)
    given: dict[str, object] = {"--data": data, "--size": size, "--epochs": epochs, "--budget": budget}
    given |= {"--constraint": constraint, "--save-yaml": save_yaml}
    if models:
        if experiment:
            raise ModelsError(f"--models: {experiment} defines its candidates; omit one of the two")
        if not data:
            raise ModelsError("--data is missing: give --data cifar10, or --data folder:PATH for your own images")
        make = partial(
            experiment_of_models,
            models,
            data,
            size=size,
            epochs=epochs or EPOCHS,
            budget=budget or BUDGET,
            baseline=bool(baseline),
            constraints=constraint or (),
            knowledge=knowledge or (),
        )
        loaded, text, images = load_with_test(lambda test: make(test=test), read, split_experiment_images)
        if save_yaml:
            write_models(text, save_yaml)
            print_line(make_console(), f"written: {save_yaml}; run it with taurank run {save_yaml}")
            return {"file": save_yaml}
        console = make_progress_console()
        print_line(console, "as a file (--save-yaml FILE writes it without running it):")
        print_line(console, "".join(f"  {line}\n" for line in text.splitlines()))
    else:
        if not experiment:
            options = [name for name, value in given.items() if value]
            if options:
                raise ModelsError(
                    f"--models is missing: {options[0]} is about models by name; give --models 'timm:...'"
                )
            context.fail("Missing argument 'EXPERIMENT', or --models and --data.")
        for name, value in given.items():
            if value:
                raise ModelsError(f"{name}: {experiment} defines it already; change it there")
        loaded = load_experiment(experiment)
        if baseline:
            loaded = with_baseline(loaded, where=experiment)
        if knowledge:
            loaded = with_knowledge(loaded, knowledge)
        if loaded.search is not None:
            raise ModelsError(f"{experiment} is a search; use taurank search {experiment}")
        images = split_experiment_images(loaded.data, read(loaded.data))
    from taurank.orchestrator.runs import create_run

    say = partial(print_line, make_progress_console())
    created = create_run(loaded, out, images, address=address, say=say)
    if root:
        created.log.note(DATA_DIR, str(root))
    return run_to_its_end(
        created,
        images,
        address=address,
        dashboard=dashboard,
        with_baseline=baseline is not False,
    )


def resume(
    folder: Folder,
    data_dir: DataDir = None,
    download: Download = False,
    cache: Cache = None,
    address: Address = None,
    dashboard: Dashboard = False,
    no_baseline: NoBaseline = False,
) -> Document:
    """Resume an interrupted run; finished work is not repeated."""
    from taurank.orchestrator.runs import Run, load_images

    opened = Run.open(folder)
    noted = opened.log.noted(DATA_DIR)
    root = data_dir or (Path(noted) if noted else None)
    return run_to_its_end(
        opened,
        load_images(opened.experiment.data, root=root, download=download, cache=cache),
        address=address,
        dashboard=dashboard,
        with_baseline=not no_baseline,
    )


def rank(folder: Folder) -> Document:
    """Rank again from the log of a run, without training; writes the ranking and the report."""
    from taurank.orchestrator.report import report_run
    from taurank.orchestrator.runs import Run
    from taurank.orchestrator.session import storage_failures

    opened = Run.open(folder)
    with storage_failures(opened.folder, opened.log):
        report = report_run(opened, make_progress_console())
    return _finish(report)


def score(
    folder: Folder,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline",
            help="The reference: folder of another run, a table of recorded trainings (.parquet), or a CSV (columns "
            "architecture, value; several rows of one architecture are its seeds). Default: the run's own.",
            show_default=False,
        ),
    ] = None,
    lower_is_better: Annotated[
        bool | None,
        typer.Option(
            "--lower-is-better/--higher-is-better",
            help="With --baseline: which end of its values is better. Default: what the column's name says (loss, "
            "error, perplexity ...), else higher.",
            show_default=False,
        ),
    ] = None,
) -> Document:
    """Score the ranking of a run against full training: its own baseline, another run's, or a table's."""
    from taurank.orchestrator.report import report_run
    from taurank.orchestrator.runs import Run
    from taurank.orchestrator.scoring import ScoringError, read_truth
    from taurank.orchestrator.session import storage_failures

    opened = Run.open(folder)
    space = opened.experiment.space.make()
    truth, console = None, make_progress_console()
    if baseline:
        truth = read_truth(
            baseline,
            opened.candidates,
            parse=lambda text: space.parse(text).code,
            lower_is_better=lower_is_better,
        )
        for line in truth.notes:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    elif lower_is_better is not None:
        raise ScoringError("--lower-is-better and --higher-is-better are for --baseline; the run's own is an accuracy")
    with storage_failures(opened.folder, opened.log):
        report = report_run(opened, console, truth, need_score=True)
    return _finish(report)


def read_experiment_images(spec: DataSpec, *, root: Path | None, download: bool, cache: Path | None) -> Dataset:
    """Imported once the experiment has been checked: mistakes in it are reported without waiting for torch."""
    from taurank.orchestrator.runs import read_images

    return read_images(spec, root=root, download=download, cache=cache)


def split_experiment_images(spec: DataSpec, dataset: Dataset) -> ImageData:
    """The same for the cut into parts."""
    from taurank.orchestrator.runs import split_images

    return split_images(spec, dataset)


def run_to_its_end(run: Run, data: ImageData, *, address: str | None, dashboard: bool, with_baseline: bool) -> Document:
    """Runs the missing parts of the run; after an interruption, prints how to resume."""
    from taurank.orchestrator.campaigns import run_campaign, run_search
    from taurank.orchestrator.session import EXIT_CODE, RunInterruptedError

    console = make_progress_console()
    try:
        if run.experiment.search is not None:
            report = run_search(run, data, console=console, address=address, dashboard=dashboard)
        else:
            report = run_campaign(
                run, data, console=console, address=address, dashboard=dashboard, with_baseline=with_baseline
            )
    except RunInterruptedError:
        print_line(console, run.resume_hint)
        raise typer.Exit(EXIT_CODE) from None
    return _finish(report)


def _finish(report: RunReport) -> Document:
    """The result as a document; its last line is printed if all before it was not."""
    if output().level == "quiet":
        print_line(make_console(), report.last_line)
    return report.document()
