"""Starts and resumes runs and searches: what `taurank run` and `taurank.run` have in common.

torch and Ray take seconds to import, so they are imported after an experiment has been checked: mistakes in it are
reported at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from taurank.orchestrator.experiment import (
    DataSpec,
    Experiment,
    experiment_of_models,
    experiment_of_search,
    load_with_test,
)
from taurank.orchestrator.text import Console, make_console, print_line

if TYPE_CHECKING:
    from taurank.orchestrator.report import RunReport
    from taurank.orchestrator.runs import Run
    from taurank.trainables.data import Dataset, ImageData

DATA_DIR = "data_dir"
"""Key of the folder of the data sets in the log of a run, so that resuming finds the images."""


@dataclass(frozen=True)
class Place:
    """Where a run finds its images, is written and trains.

    Attributes:
        out: folder in which the run folder is created.
        data_dir: folder of the published data sets; None for ``$TAURANK_DATA``, else ``./data``.
        download: whether a data set that is missing may be fetched.
        cache: folder of the decoded images; None for the user's own.
        address: of a Ray cluster to join; None for a local Ray.
        dashboard: whether a local Ray starts its dashboard.
    """

    out: Path = Path("runs")
    data_dir: Path | None = None
    download: bool = False
    cache: Path | None = None
    address: str | None = None
    dashboard: bool = False

    def dataset(self, spec: DataSpec, *, quiet: bool) -> Dataset:
        """All images of the data set of an experiment.

        Raises:
            DataError: they are not there; one line with the way out.
        """
        from taurank.orchestrator.runs import read_images

        bars = make_console(stderr=True, quiet=quiet)
        return read_images(spec, root=self._root, download=self.download, cache=self.cache, console=bars)

    @property
    def _root(self) -> Path | None:
        return self.data_dir.resolve() if self.data_dir else None

    def note_in(self, run: Run) -> None:
        """Writes to the log of a new run what resuming it needs."""
        if self._root:
            run.log.note(DATA_DIR, str(self._root))

    def of_run(self, run: Run) -> Place:
        """The same with the data folder that the log of a run names, unless another is given."""
        noted = run.log.noted(DATA_DIR)
        root = self.data_dir or (Path(noted) if noted else None)
        return Place(self.out, root, self.download, self.cache, self.address, self.dashboard)


def experiment_images(experiment: Experiment, place: Place, *, quiet: bool = False) -> ImageData:
    """The images of an experiment, split as it says; none for own training code, which is checked instead.

    Raises:
        DataError: they are not there, or cannot be split so; one line.
        OwnCodeError: the training code cannot be used; one line.
    """
    if experiment.trainable is not None:
        from taurank.trainables.data import no_images
        from taurank.trainables.own import find_own_code

        find_own_code(experiment.trainable)
        return no_images()
    return _split(experiment.data, place.dataset(experiment.data, quiet=quiet))


def load_models(
    models: Sequence[str],
    data: str,
    place: Place,
    *,
    size: int | None,
    epochs: int,
    budget: str,
    baseline: bool,
    constraints: Sequence[str],
    knowledge: Sequence[str] = (),
    quiet: bool = False,
) -> tuple[Experiment, str, ImageData]:
    """An experiment over models by name, the same as a file, and its images; see ``experiment_of_models``."""
    make = partial(
        experiment_of_models,
        models,
        data,
        size=size,
        epochs=epochs,
        budget=budget,
        baseline=baseline,
        constraints=constraints,
        knowledge=knowledge,
    )
    return _with_images(lambda test: make(test=test), place, quiet)


def load_search(
    space: str,
    data: str,
    place: Place,
    *,
    size: int | None,
    method: str | None,
    evaluations: int | None,
    epochs: int | None,
    constraints: Sequence[str],
    knowledge: Sequence[str] = (),
    quiet: bool = False,
) -> tuple[Experiment, str, ImageData]:
    """A search of a whole space, the same as a file, and its images; see ``experiment_of_search``."""
    make = partial(
        experiment_of_search,
        space,
        data,
        size=size,
        method=method,
        evaluations=evaluations,
        epochs=epochs,
        constraints=constraints,
        knowledge=knowledge,
    )
    return _with_images(lambda test: make(test=test), place, quiet)


def _with_images(
    make: Callable[[float | None], tuple[Experiment, str]], place: Place, quiet: bool
) -> tuple[Experiment, str, ImageData]:
    return load_with_test(make, partial(place.dataset, quiet=quiet), _split)


def _split(spec: DataSpec, dataset: Dataset) -> ImageData:
    from taurank.orchestrator.runs import split_images

    return split_images(spec, dataset)


def start_run(
    experiment: Experiment, images: ImageData, place: Place, console: Console, *, with_baseline: bool = True
) -> RunReport:
    """Creates the run or the search of an experiment, and runs it to its report.

    Args:
        experiment: what is run.
        images: its images.
        place: where.
        console: receives progress and results.
        with_baseline: whether the baseline of the experiment is trained, if it has one.

    Raises:
        RunInterruptedError: the user asked it to end; the line that says how to resume has been printed.
        RunError, ExperimentError, ClusterError, ...: it cannot run, in one line.
    """
    from taurank.orchestrator.stages import check_loggers

    check_loggers(experiment.loggers)
    say = partial(print_line, console)
    if experiment.search is not None:
        from taurank.orchestrator.campaigns.searching import create_search

        created = create_search(experiment, place.out, images, address=place.address, say=say)
    else:
        from taurank.orchestrator.runs import create_run

        created = create_run(experiment, place.out, images, address=place.address, say=say)
    place.note_in(created)
    return run_to_its_end(created, images, place, console, with_baseline=with_baseline)


def resume_run(
    run: Run, place: Place, console: Console, *, with_baseline: bool = True, quiet: bool = False
) -> RunReport:
    """Runs what an interrupted run lacks; see ``start_run``."""
    images = experiment_images(run.experiment, place.of_run(run), quiet=quiet)
    return run_to_its_end(run, images, place, console, with_baseline=with_baseline)


def run_to_its_end(run: Run, images: ImageData, place: Place, console: Console, *, with_baseline: bool) -> RunReport:
    """Runs the missing parts of a run; an interruption prints how to resume, and goes on to the caller."""
    from taurank.orchestrator.session import RunInterruptedError
    from taurank.orchestrator.stages import check_loggers

    check_loggers(run.experiment.loggers)
    try:
        if run.experiment.search is not None:
            from taurank.orchestrator.campaigns.searching import run_search

            return run_search(run, images, console=console, address=place.address, dashboard=place.dashboard)
        from taurank.orchestrator.campaigns.campaign import run_campaign

        return run_campaign(
            run,
            images,
            console=console,
            address=place.address,
            dashboard=place.dashboard,
            with_baseline=with_baseline,
        )
    except RunInterruptedError:
        print_line(console, run.resume_hint)
        raise
