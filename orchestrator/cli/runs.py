"""Commands on runs: run, resume, rank, score.

Imports are inside the functions: torch and Ray take seconds to import, and --help should not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taurank.orchestrator.cli.completion import complete_experiment, complete_run
from taurank.orchestrator.cli.results import (
    ColumnNames,
    Features,
    FullEpochs,
    MetricName,
    Mode,
    is_run,
    rank_results,
    required,
)
from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console, output
from taurank.orchestrator.text import print_line

if TYPE_CHECKING:
    from taurank.orchestrator.report import RunReport

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
            help="Instead of a file: models by name, separated by commas, such as "
            "'timm:*_tiny*,torchvision:resnet18' or my_module:make (may be repeated).",
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
        typer.Option(
            "--budget",
            help="With --models: such as 10x, 10x seconds, 4h or 30 gpu-hours. Default: 10x.",
            show_default=False,
        ),
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
    logger: Annotated[
        list[str] | None,
        typer.Option(
            "--logger",
            help="Also log trainings by Ray's tensorboard, csv, json, mlflow or wandb, in RUN/tune (may be repeated).",
            show_default=False,
        ),
    ] = None,
) -> Document | None:
    """Rank the candidates of an experiment, or models by name; with a baseline, also score the ranking."""
    from taurank.orchestrator.campaigns import Place, experiment_images, load_models, start_run
    from taurank.orchestrator.experiment import (
        BUDGET,
        EPOCHS,
        ModelsError,
        load_experiment,
        with_baseline,
        with_knowledge,
        with_loggers,
        write_models,
    )

    place = Place(out, data_dir, download, cache, address, dashboard)
    quiet, console = output().level == "quiet", make_progress_console()
    given: dict[str, object] = {"--data": data, "--size": size, "--epochs": epochs, "--budget": budget}
    given |= {"--constraint": constraint, "--save-yaml": save_yaml}
    if models:
        if experiment:
            if ":" in experiment and not Path(experiment).exists():
                raise ModelsError(f"--models: join models with commas: --models '{','.join([*models, experiment])}'")
            raise ModelsError(f"--models: {experiment} defines its candidates; omit one of the two")
        if not data:
            raise ModelsError("--data is missing: give --data cifar10, or --data folder:PATH for your own images")
        loaded, text, images = load_models(
            models,
            data,
            place,
            size=size,
            epochs=epochs or EPOCHS,
            budget=budget or BUDGET,
            baseline=bool(baseline),
            constraints=constraint or (),
            knowledge=knowledge or (),
            quiet=quiet,
        )
        if save_yaml:
            write_models(text, save_yaml)
            print_line(make_console(), f"written: {save_yaml}; run it with taurank run {save_yaml}")
            return {"file": save_yaml}
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
        images = experiment_images(loaded, place, quiet=quiet)
    loaded = with_loggers(loaded, logger or ())
    with ending_on_interruption():
        return finish(start_run(loaded, images, place, console, with_baseline=baseline is not False))


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
    from taurank.orchestrator.campaigns import Place, resume_run
    from taurank.orchestrator.runs import Run

    place = Place(data_dir=data_dir, download=download, cache=cache, address=address, dashboard=dashboard)
    quiet, console = output().level == "quiet", make_progress_console()
    with ending_on_interruption():
        return finish(resume_run(Run.open(folder), place, console, with_baseline=not no_baseline, quiet=quiet))


def rank(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|RESULTS",
            help="Folder of a run; or results of your own trainings: a table (.csv, .parquet) with a row per candidate "
            "and epoch, or a folder of Ray Tune, Lightning's CSVLogger, MLflow or TensorBoard.",
            autocompletion=complete_run,
            show_default=False,
        ),
    ],
    full_epochs: FullEpochs = None,
    metric: MetricName = "",
    mode: Mode = None,
    features: Features = None,
    columns: ColumnNames = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="With results: write the ranking as CSV or parquet.", show_default=False),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", help="With results: write the report page (.html); a run has its own.", show_default=False
        ),
    ] = None,
) -> Document:
    """Rank again from the log of a run, or rank results of your own trainings; nothing is trained."""
    given: dict[str, object] = {
        "--full-epochs": full_epochs,
        "--metric": metric,
        "--mode": mode,
        "--features": features,
    }
    given |= {"--features": features, "--columns": columns, "--out": out, "--report": report}
    if is_run(source) or not any(given.values()):
        return _rank_run(source, [name for name, value in given.items() if value])
    what = required(full_epochs, metric)
    return rank_results(source, what, mode=mode, features=features, columns=columns, out=out, report=report)


def _rank_run(folder: Path, given: list[str]) -> Document:
    from taurank.orchestrator.campaigns import rank_again
    from taurank.orchestrator.runs import Run, RunError

    if given:
        raise RunError(f"{given[0]}: {folder} is a run, which has its own; omit the option")
    if folder.is_file():
        raise RunError(f"{folder} is not the folder of a run; for results add --full-epochs and --metric")
    return finish(rank_again(Run.open(folder), make_progress_console()))


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
    from taurank.orchestrator.campaigns import score_again
    from taurank.orchestrator.runs import Run

    report = score_again(Run.open(folder), make_progress_console(), baseline=baseline, lower_is_better=lower_is_better)
    return finish(report)


@contextmanager
def ending_on_interruption() -> Iterator[None]:
    """Ends the command with the exit status of Ctrl-C where a run was interrupted; how to resume it is printed."""
    from taurank.orchestrator.session import EXIT_CODE, RunInterruptedError

    try:
        yield
    except RunInterruptedError:
        raise typer.Exit(EXIT_CODE) from None


def finish(report: RunReport) -> Document:
    """The result as a document; its last line is printed if all before it was not."""
    if output().level == "quiet":
        print_line(make_console(), report.last_line)
    return report.document()
