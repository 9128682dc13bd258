"""The command `taurank plan`.

Imports are inside the function: torch and Ray take seconds to import, and --help should not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from taurank.orchestrator.cli.completion import complete_plan, complete_space
from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console
from taurank.orchestrator.text import print_line

if TYPE_CHECKING:
    from taurank.orchestrator.experiment import Experiment, ImageCounts, ProxySpec
    from taurank.orchestrator.planning import PlannedStages, PlanRequest, Progress

RUNS = Path("runs")
"""Where runs are made if nothing else is said; earlier ones there are knowledge."""
OWN_STAGES = (
    "note: the experiment defines its stages itself; the forecast is for taurank's own split of the same budget"
)
NARROWED = (
    "note: narrow: candidates are drawn from the options that suit the device; the latency of every option is measured "
    "when the run starts, which is booked in seconds and takes no epochs"
)
TIMED = "note: latencies are measured when the run starts, which is booked in seconds and takes no epochs"
CONSTRAINED = (
    "note: constraints are applied when the run starts, on its images; candidates that violate one are excluded, so "
    "fewer may be ranked, at a lower cost"
)


@dataclass(frozen=True)
class Subject:
    """The run to plan, from a file, a run folder or options.

    Attributes:
        space: name of the search space; empty for one without recorded data.
        data: name of the data set; empty if unknown.
        candidates: number of candidates.
        epochs: length of full training; None if a table defines it.
        budget: how many times cheaper.
        proxies: of untrained candidates; ``auto`` for those of the default split.
        images: numbers of images; None if unknown.
        stages: the stages, if they are fixed.
        notes: printed at the end.
        progress: of an existing run.
        anchors: full trainings to keep of a small budget.
    """

    space: str
    data: str
    candidates: int
    epochs: int | None
    budget: float | None = None
    proxies: Literal["auto"] | ProxySpec | None = "auto"
    images: ImageCounts | None = None
    stages: PlannedStages | None = None
    notes: tuple[str, ...] = ()
    progress: Progress | None = None
    anchors: int = 0

    @property
    def with_default_split(self) -> Subject:
        """The same with stages chosen by the default split."""
        return replace(self, stages=None, notes=tuple(note for note in self.notes if note != OWN_STAGES))


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
        typer.Option("--budget", help="How many times cheaper than training all of them.", show_default=False),
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
) -> Document:
    """Show the stages of a budget and the predicted tau; for a run, its current state and expected result."""
    from taurank.orchestrator.experiment import load_experiment

    # Checked before torch is imported, which takes a second.
    experiment = load_experiment(what) if what and not Path(what).is_dir() else None

    from taurank.orchestrator.planning import PlanError, look_ahead
    from taurank.orchestrator.replay import parse_budget
    from taurank.orchestrator.report import outlook_document, print_outlook

    if budget is not None and tau is not None:
        raise PlanError("--budget and --tau: give one of the two")
    if tau is not None and not 0 < tau < 1:
        raise PlanError(f"--tau: {tau:g} is not a tau to reach; give one between 0 and 1")
    if epoch_seconds is not None and not 0 < epoch_seconds < math.inf:
        raise PlanError(f"--epoch-seconds: {epoch_seconds:g} is not the duration of an epoch; give seconds above 0")
    if table is None and (truth, among, draws) != ("", "distinct", 3):
        raise PlanError("--truth, --among and --draws configure the replay of a table: use them with --table")
    lengths = _lengths(schedules)
    subject = (
        _of_what(what, experiment, space=space, data=data, candidates=candidates, epochs=epochs)
        if what
        else _of_options(space, data, candidates, epochs, from_table=table is not None)
    )
    if budget is not None or tau is not None:
        factor = None if budget is None else parse_budget(budget)
        subject = replace(subject.with_default_split, budget=factor)
    elif subject.budget is None:
        raise PlanError(
            "--budget or --tau is missing: give --budget 10x, or --tau 0.85 for the cheapest budget that reaches it"
        )
    if lengths is not None:
        subject = subject.with_default_split
    seconds = epoch_seconds or (subject.progress.epoch_seconds if subject.progress else math.nan)
    if table is None:
        question = _by_shipped_replays(subject, lengths, seconds)
    else:
        if lengths is not None:
            raise PlanError("--schedules: a table has its own; omit the option")
        print_line(make_progress_console(), f"replaying {table} ...")
        question = _by_own_replays(table, subject, seconds, truth=truth, among=among, draws=draws)
        if subject.images is not None:
            question = replace(question, images=subject.images)
    outlook = look_ahead(question, budget=subject.budget, tau=tau, stages=subject.stages, progress=subject.progress)
    print_outlook(make_console(), outlook, notes=subject.notes)
    return outlook_document(outlook, notes=subject.notes)


def _of_what(
    what: str, experiment: Experiment | None, *, space: str, data: str, candidates: int | None, epochs: int | None
) -> Subject:
    """An experiment, or the run in the folder ``what``."""
    from taurank.orchestrator.knowledge import gather_knowledge, knowledge_line
    from taurank.orchestrator.planning import PlanError, progress_of
    from taurank.orchestrator.runs import Run

    for name, value in (("--space", space), ("--data", data), ("--candidates", candidates), ("--epochs", epochs)):
        if value:
            raise PlanError(f"{name}: {what} defines it already; omit the option, or change it there")
    if experiment is not None:
        planned = _of_experiment(experiment)
        codes = (
            [code for part in experiment.listed() for code in part] if isinstance(experiment.candidates, list) else []
        )
        known = gather_knowledge(experiment, codes, RUNS)
        line = knowledge_line(known, codes)
        uncounted = [f"note: {line}; the predicted tau does not count it"] if line else []
        return replace(planned, notes=(*planned.notes, *uncounted))
    run = Run.open(Path(what))
    subject = replace(_of_experiment(run.experiment, run.images), progress=progress_of(run.log.evidence(), run.rank))
    # A run has applied its constraints already.
    line = knowledge_line(run.knowledge, run.candidates)
    own = [] if run.has_default_plan else [OWN_STAGES]
    return replace(subject, notes=(*own, *([f"note: {line}"] if line else [])))


def _of_experiment(experiment: Experiment, images: ImageCounts | None = None) -> Subject:
    """An experiment on so many images; None for as many as it gives itself."""
    from taurank.orchestrator.planning import PlanError, PlannedStages, candidate_count, default_proxies

    if experiment.search is not None:
        raise PlanError(
            "a search has no plan: it trains search.evaluations for search.epochs; start it with taurank search"
        )
    count, full = candidate_count(experiment), experiment.recipe.epochs
    images = images or experiment.data.expected_counts
    said = {
        NARROWED: experiment.narrow is not None,
        TIMED: experiment.narrow is None and experiment.measured_latency is not None,
        CONSTRAINED: bool(experiment.constraints) and not isinstance(experiment.candidates, int),
    }
    notes = tuple(note for note, holds in said.items() if holds)
    subject = Subject(
        experiment.space.name,
        experiment.data.name,
        count,
        full,
        experiment.speed_up,
        experiment.proxies,
        images,
        notes=notes,
        anchors=experiment.anchors,
    )
    if experiment.trainings is None and experiment.supernets is None:
        return subject
    proxies = default_proxies(experiment, train_images=images.train)
    cost = 0.0 if proxies is None else count * proxies.epochs(images.train)
    stages = PlannedStages(tuple(experiment.trainings or ()), tuple(experiment.supernets or ()), cost)
    return replace(subject, proxies=proxies, stages=stages, notes=(OWN_STAGES, *notes))


def _of_options(space: str, data: str, candidates: int | None, epochs: int | None, *, from_table: bool) -> Subject:
    from taurank.orchestrator.planning import PlanError
    from taurank.orchestrator.text import hint
    from taurank.spaces import list_spaces

    if candidates is None:
        raise PlanError("--candidates is missing: give the number of candidates, or an experiment, or a run")
    for name, value, what in (("--space", space, "space"), ("--data", data, "data set")):
        if from_table and value:
            raise PlanError(f"{name}: the table defines its {what}; omit {value}")
    if epochs is None and not from_table:
        raise PlanError("--epochs is missing: give the length of full training")
    if space and space not in list_spaces():
        known = ", ".join(list_spaces())
        raise PlanError(
            f"--space: {space!r} is none of {known}{hint(space, list_spaces())}; omit it for your own space"
        )
    return Subject(space, data, candidates, epochs)


def _by_shipped_replays(subject: Subject, lengths: list[int] | None, epoch_seconds: float) -> PlanRequest:
    from taurank.orchestrator.planning import (
        ASSUMED_IMAGES,
        DEFAULT_PROXIES,
        PlannedStages,
        PlanRequest,
        Setting,
        are_cheap,
        split_stages,
    )

    full, images = subject.epochs, subject.images or ASSUMED_IMAGES
    assert full is not None

    def proxy_epochs(budget: float) -> float:
        asked = subject.proxies
        if asked == "auto":
            asked = DEFAULT_PROXIES if are_cheap(full, speed_up=budget, train_images=images.train) else None
        return 0.0 if asked is None else subject.candidates * asked.epochs(images.train)

    def stages_of(budget: float) -> PlannedStages | None:
        cost = proxy_epochs(budget)
        trainings, supernets = split_stages(
            subject.space,
            subject.candidates,
            full_epochs=full,
            speed_up=budget,
            images=images,
            schedules=lengths,
            proxy_epochs=cost,
            anchors=subject.anchors,
        )
        return PlannedStages(tuple(trainings), tuple(supernets), cost) if trainings else None

    with_proxies = proxy_epochs(subject.budget or 10.0) > 0
    setting = Setting(subject.space, subject.data, full)
    return PlanRequest(setting, subject.candidates, stages_of, epoch_seconds, with_proxies, images=images)


def _by_own_replays(
    table: Path, subject: Subject, epoch_seconds: float, *, truth: str, among: str, draws: int
) -> PlanRequest:
    from taurank.orchestrator.planning import PlanError
    from taurank.orchestrator.replay import OwnReplays, choose_cheap, make_bench
    from taurank.trainables.table import read_table

    recorded = read_table(table)
    bench = make_bench(recorded, truth=truth, among=among)
    if subject.epochs not in (None, bench.full_epochs):
        raise PlanError(
            f"--table: its full trainings have {bench.full_epochs} epochs, the planned ones {subject.epochs}; "
            "give a table of the same length, or omit it"
        )
    if math.isnan(epoch_seconds):
        epoch_seconds = recorded.seconds_per_epoch
    # The proxy of the default split, by its name here or in published tables.
    recorded_names = [name for name in ("jacob_cov", "jacov") if f"proxy:{name}" in recorded.sources]
    proxies = recorded_names[0] if recorded_names and subject.proxies is not None else "none"
    cheap = choose_cheap(recorded, proxies=proxies, supernets="")
    replays = OwnReplays(bench, cheap, subject.candidates, draws)
    return replays.question(subject.budget, epoch_seconds=epoch_seconds)


def _lengths(text: str) -> list[int] | None:
    """The schedules of ``12,200``; None for any."""
    from taurank.orchestrator.planning import PlanError

    if not text:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise PlanError(f"--schedules: {text!r} is not a list of lengths in epochs such as 12,200")
    return sorted({int(part) for part in parts})
