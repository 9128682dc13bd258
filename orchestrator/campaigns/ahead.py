"""Plans an experiment, a run, or so many candidates before anything is spent: `taurank plan`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from taurank.orchestrator.campaigns.starting import Place, experiment_images
from taurank.orchestrator.candidates import choose_candidates, flops_of, measure_paces, open_meter, stated_paces
from taurank.orchestrator.experiment import Budget, BudgetError, Experiment, ImageCounts, ProxySpec, read_budget
from taurank.orchestrator.knowledge import gather_knowledge, knowledge_line
from taurank.orchestrator.planning import (
    ASSUMED_IMAGES,
    Outlook,
    Pace,
    PlanError,
    PlannedStages,
    PlanRequest,
    Progress,
    Setting,
    candidate_count,
    cheap_proxies,
    look_ahead,
    progress_of,
    split_stages,
    with_batch,
)
from taurank.orchestrator.replay import OwnReplays, choose_cheap, make_bench
from taurank.orchestrator.runs import Run
from taurank.orchestrator.text import hint
from taurank.spaces import list_spaces
from taurank.trainables.data import DataError
from taurank.trainables.table import read_table

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
        values: numbers in an image; None if unknown.
        stages: the stages, if they are fixed.
        notes: printed at the end.
        progress: of an existing run.
        anchors: full trainings to keep of a small budget.
        pace: seconds of an epoch of each candidate; None if they are unknown.
        timing: epoch-equivalents of its measurement.
        asked: the budget as it was asked for; None for one that reaches a tau.
    """

    space: str
    data: str
    candidates: int
    epochs: int | None
    budget: float | None = None
    proxies: Literal["auto"] | ProxySpec | None = "auto"
    images: ImageCounts | None = None
    values: int | None = None
    stages: PlannedStages | None = None
    notes: tuple[str, ...] = ()
    progress: Progress | None = None
    anchors: int = 0
    pace: Pace | None = None
    timing: float = 0.0
    asked: Budget | None = None

    @property
    def with_default_split(self) -> Subject:
        """The same with stages chosen by the default split."""
        return replace(self, stages=None, notes=tuple(note for note in self.notes if note != OWN_STAGES))


def plan_ahead(
    what: Experiment | Path | None = None,
    *,
    space: str = "",
    data: str = "",
    candidates: int | None = None,
    epochs: int | None = None,
    budget: str | None = None,
    tau: float | None = None,
    schedules: str = "",
    epoch_seconds: float | None = None,
    speeds: Sequence[str] = (),
    table: Path | None = None,
    truth: str = "",
    among: str = "distinct",
    draws: int = 3,
    measure: bool = False,
    place: Place | None = None,
    say: Callable[[str], None] = print,
) -> tuple[Outlook, tuple[str, ...]]:
    """The stages of a budget and the tau they are expected to reach, and notes on what that rests on.

    Args:
        what: an experiment, or the folder of a run; None for what the next three arguments say.
        space: name of the search space; empty for one without recorded data.
        data: name of the data set; empty if unknown.
        candidates: number of candidates.
        epochs: length of full training.
        budget: as an experiment has it, such as ``10x`` or ``4h``.
        tau: instead of the budget, the tau to reach.
        schedules: schedule lengths that can be trained, separated by commas; empty for any.
        epoch_seconds: seconds of an epoch; None for those of the run or table.
        speeds: of training on a device that is not here, as ``MODEL=IMAGES_PER_SECOND`` or the name of a CSV; the
            seconds of an epoch of each candidate of an experiment are estimated from them.
        table: recorded trainings that are replayed instead of using the forecast.
        truth: of the table, as `taurank replay` takes it.
        among: the same.
        draws: of the table, replays for each budget.
        measure: whether an epoch of each candidate of an experiment is measured on a few batches, for the hours; it is
            in any case if the budget counts seconds.
        place: where the images for that are, and a cluster; None for the default of a run.
        say: receives progress messages.

    Raises:
        PlanError, SpeedError: nothing can be planned so; one line.
        TableError, ReplayError: the table cannot be replayed.
    """
    if budget is not None and tau is not None:
        raise PlanError("--budget and --tau: give one of the two")
    if tau is not None and not 0 < tau < 1:
        raise PlanError(f"--tau: {tau:g} is not a tau to reach; give one between 0 and 1")
    if epoch_seconds is not None and not 0 < epoch_seconds < math.inf:
        raise PlanError(f"--epoch-seconds: {epoch_seconds:g} is not the duration of an epoch; give seconds above 0")
    if speeds and (epoch_seconds is not None or measure):
        raise PlanError("--speed, --epoch-seconds and --measure: give one of them")
    if speeds and not isinstance(what, Experiment):
        raise PlanError("--speed: only an experiment names its candidates and images; give one, or --epoch-seconds")
    if table is None and (truth, among, draws) != ("", "distinct", 3):
        raise PlanError("--truth, --among and --draws configure the replay of a table: use them with --table")
    lengths = _lengths(schedules)
    subject = (
        _of_what(what, space=space, data=data, candidates=candidates, epochs=epochs)
        if what is not None
        else _of_options(space, data, candidates, epochs, from_table=table is not None)
    )
    asked = _asked(what, budget)
    if measure and (not isinstance(what, Experiment) or epoch_seconds is not None):
        instead = "--epoch-seconds says what is measured" if epoch_seconds is not None else "give a YAML file"
        raise PlanError(f"--measure times the candidates of an experiment: {instead}, or omit the option")
    if isinstance(what, Experiment) and speeds:
        subject = _stated(subject, what, speeds, device=asked.device if asked is not None else "", say=say)
    elif isinstance(what, Experiment) and (measure or (asked is not None and asked.is_time)) and epoch_seconds is None:
        timed = what if asked is None else what.model_copy(update={"budget": str(asked)})
        subject = _measured(subject, timed, place or Place(), say)
    if subject.pace is None and epoch_seconds is not None:
        device = (asked.device if asked is not None else "") or "device"
        each = {str(place): epoch_seconds for place in range(subject.candidates)}
        subject = replace(subject, pace=Pace(each, device=device))
    if asked is not None and tau is None:
        subject = replace(subject, budget=_factor(asked, subject), asked=asked)
    if budget is not None or tau is not None:
        subject = subject.with_default_split
        if tau is not None:
            subject = replace(subject, budget=None, asked=None)
    elif subject.budget is None:
        raise PlanError(
            "--budget or --tau is missing: give --budget 10x, or --tau 0.85 for the cheapest budget that reaches it"
        )
    if lengths is not None:
        subject = subject.with_default_split
    seconds = subject.progress.epoch_seconds if subject.progress else math.nan
    if subject.pace is not None and not math.isfinite(seconds):
        seconds = subject.pace.mean
    seconds = epoch_seconds or seconds
    if table is None:
        question = _by_shipped_replays(subject, lengths, seconds)
    else:
        if lengths is not None:
            raise PlanError("--schedules: a table has its own; omit the option")
        say(f"replaying {table} ...")
        question = _by_own_replays(table, subject, seconds, truth=truth, among=among, draws=draws)
        if subject.images is not None:
            question = replace(question, images=subject.images)
    question = replace(question, timing=subject.timing)
    outlook = look_ahead(question, budget=subject.budget, tau=tau, stages=subject.stages, progress=subject.progress)
    return outlook, (*subject.notes, *_hours(subject, outlook))


def _asked(what: Experiment | Path | None, budget: str | None) -> Budget | None:
    """The budget that is asked for, or that of an experiment; None without one, and for that of a run."""
    if budget is None:
        return what.allowance if isinstance(what, Experiment) else None
    try:
        return read_budget(budget)
    except BudgetError as error:
        raise PlanError(f"--budget: {error}") from None


def _factor(budget: Budget, subject: Subject) -> float:
    """How many times cheaper a budget is than full training of all candidates."""
    if budget.factor is not None:
        return budget.factor
    if subject.pace is None or subject.epochs is None:
        raise PlanError(
            f"--budget: {budget} needs the seconds of an epoch: give --epoch-seconds, or an experiment, whose "
            "candidates are measured"
        )
    return subject.pace.speed_up(budget, subject.epochs)


def _measured(subject: Subject, experiment: Experiment, place: Place, say: Callable[[str], None]) -> Subject:
    """The subject with the pace of the candidates that a run of the experiment would choose."""
    try:
        data = experiment_images(experiment, place)
    except DataError as error:
        raise PlanError(
            f"{error}; or, to plan without the images, state a speed: --speed MODEL=IMAGES_PER_SECOND"
        ) from None
    with open_meter(experiment, data, address=place.address, say=say) as meter:
        chosen = choose_candidates(experiment, data, meter, say=say)
    flops = flops_of(experiment, chosen.sizes, chosen.codes, data)
    found = measure_paces(experiment, chosen.codes, data, address=place.address, flops=flops)
    images = subject.images if experiment.trainable is not None else ImageCounts.of(data)
    # A run in epochs times as many as cost an epoch.
    timing = found.epochs if experiment.allowance.is_time else 0.0
    return replace(subject, candidates=len(chosen.codes), images=images, pace=found.pace, timing=timing)


def _stated(
    subject: Subject, experiment: Experiment, speeds: Sequence[str], *, device: str, say: Callable[[str], None]
) -> Subject:
    """The subject with the pace of its candidates on a device whose speeds are stated."""
    images = experiment.data.known_images()
    found = stated_paces(experiment, images, speeds, say=say)
    counts = experiment.data.counts_of(images)
    notes = [
        f"note: {counts.train:,} training and {counts.validation:,} validation images"
        + (" are cut from the set as it was published; nothing was counted" if images.as_published else ""),
        f"note: hours are an estimate: {found.stated} of {len(found.seconds)} candidates have a stated speed"
        + ("; the others are scaled by FLOPs from the stated model nearest in size" if found.are_scaled else ""),
    ]
    pace = Pace(found.seconds, device=device or "device")
    notes = [*subject.notes, *notes]
    return replace(subject, candidates=len(found.seconds), images=counts, pace=pace, notes=tuple(notes))


def _hours(subject: Subject, outlook: Outlook) -> list[str]:
    if subject.pace is None or subject.epochs is None:
        return []
    stages = outlook.chosen.stages
    bounded = subject.stages is not None or all(spec.candidates == "all" for spec in stages.trainings)
    most = None if bounded else subject.asked
    return [subject.pace.in_words(subject.epochs, outlook.epochs(stages) / subject.candidates, budget=most)]


def _of_what(what: Experiment | Path, *, space: str, data: str, candidates: int | None, epochs: int | None) -> Subject:
    """An experiment, or the run in the folder ``what``."""
    where = what.name if isinstance(what, Experiment) else what
    for name, value in (("--space", space), ("--data", data), ("--candidates", candidates), ("--epochs", epochs)):
        if value:
            raise PlanError(f"{name}: {where} defines it already; omit the option, or change it there")
    if isinstance(what, Experiment):
        planned = _of_experiment(what)
        codes = [code for part in what.listed() for code in part] if isinstance(what.candidates, list) else []
        line = knowledge_line(gather_knowledge(what, codes, RUNS), codes)
        uncounted = [f"note: {line}; the predicted tau does not count it"] if line else []
        return replace(planned, notes=(*planned.notes, *uncounted))
    run = Run.open(what)
    subject = replace(
        _of_experiment(run.experiment, run.images),
        progress=progress_of(run.log.evidence(), run.rank),
        budget=run.speed_up,
        pace=run.pace,
    )
    # A run has applied its constraints already.
    line = knowledge_line(run.knowledge, run.candidates)
    own = [] if run.has_default_plan else [OWN_STAGES]
    return replace(subject, notes=(*own, *([f"note: {line}"] if line else [])))


def _of_experiment(experiment: Experiment, images: ImageCounts | None = None) -> Subject:
    """An experiment on so many images; None for as many as it gives itself."""
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
        experiment.allowance.factor,
        experiment.proxies,
        images,
        experiment.data.expected_values,
        notes=notes,
        anchors=experiment.anchors,
        asked=experiment.allowance,
    )
    if experiment.trainings is None and experiment.supernets is None:
        return subject
    proxies = with_batch(experiment.proxies, subject.values) if isinstance(experiment.proxies, ProxySpec) else None
    cost = 0.0 if proxies is None else count * proxies.epochs(images.train)
    stages = PlannedStages(tuple(experiment.trainings or ()), tuple(experiment.supernets or ()), cost)
    return replace(subject, proxies=proxies, stages=stages, notes=(OWN_STAGES, *notes))


def _of_options(space: str, data: str, candidates: int | None, epochs: int | None, *, from_table: bool) -> Subject:

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
    full, images = subject.epochs, subject.images or ASSUMED_IMAGES
    assert full is not None

    def proxy_epochs(budget: float) -> float:
        asked = subject.proxies
        if asked == "auto":
            asked = cheap_proxies(full, speed_up=budget, train_images=images.train)
        asked = with_batch(asked, subject.values)
        return 0.0 if asked is None else subject.candidates * asked.epochs(images.train)

    def stages_of(budget: float) -> PlannedStages | None:
        cost, asked = proxy_epochs(budget), subject.asked
        total = subject.candidates * full / budget
        if asked is not None and asked.seconds is not None and subject.pace is not None and budget == subject.budget:
            total = subject.pace.epochs_of(asked, full)
        timing = subject.timing if budget > 1 or total > subject.candidates * full else 0.0
        trainings, supernets = split_stages(
            subject.space,
            subject.candidates,
            full_epochs=full,
            budget_epochs=total - cost - timing,
            images=images,
            schedules=lengths,
            anchors=subject.anchors,
        )
        return PlannedStages(tuple(trainings), tuple(supernets), cost, subject.timing) if trainings else None

    with_proxies = proxy_epochs(subject.budget or 10.0) > 0
    setting = Setting(subject.space, subject.data, full)
    return PlanRequest(
        setting, subject.candidates, stages_of, epoch_seconds, with_proxies, images=images, asked=subject.asked
    )


def _by_own_replays(
    table: Path, subject: Subject, epoch_seconds: float, *, truth: str, among: str, draws: int
) -> PlanRequest:

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
    if not text:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise PlanError(f"--schedules: {text!r} is not a list of lengths in epochs such as 12,200")
    return sorted({int(part) for part in parts})
