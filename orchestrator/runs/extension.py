"""Extends a run with more candidates, more budget, more seeds or more stages.

The earlier run is not changed. The new one starts with a copy of its log, so that all earlier results are evidence in
it and only missing ones are computed.
"""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taurank.orchestrator.candidates import (
    Measured,
    Meter,
    Say,
    book_latencies,
    book_sizes,
    check_size,
    choose_candidates,
    flops_of,
    logged_narrowing,
    measure_paces,
    open_meter,
    resume_meter,
)
from taurank.orchestrator.cluster import check_room_for_trials
from taurank.orchestrator.evidence import DIFFICULTY, EXTENDED, PLAN_CHANGED, EvidenceLog
from taurank.orchestrator.experiment import (
    BudgetError,
    Experiment,
    ExperimentError,
    ImageCounts,
    ProxySpec,
    SearchSpec,
    TrainingSpec,
    parse_experiment,
    read_budget,
    with_knowledge,
)
from taurank.orchestrator.knowledge import gather_knowledge, resolved_knowledge, write_known
from taurank.orchestrator.planning import (
    ROUNDING,
    Pace,
    affordable_epochs,
    plan_trainings,
    planned_epochs,
    seconds_spent,
    timing_epochs,
)
from taurank.orchestrator.runs.creation import RGB, make_folder, write_experiment
from taurank.orchestrator.runs.features import described
from taurank.orchestrator.runs.planned import plan_run
from taurank.orchestrator.runs.run import LOG_FILE, TABLE_FILE, Run, RunError
from taurank.orchestrator.scoring import check_objective
from taurank.orchestrator.stages import note_trained_for
from taurank.orchestrator.text import YamlError, read_yaml, write_yaml
from taurank.spaces import SpaceError
from taurank.trainables.data import ImageData

STAGES = ("trainings", "supernets")
"""What a file may add stages to."""
COPIED = ("checkpoints/*.pt", f"*.{DIFFICULTY}.npy", TABLE_FILE)
"""Files of a run that its extended stages need."""


@dataclass(frozen=True)
class Changes:
    """What is to be more than it was.

    Attributes:
        candidates: how many in all, the new ones drawn like the first; None for none drawn.
        add: more candidates, by name.
        budget: as an experiment has it; None for the same. An amount of time is added to what the run had.
        seeds: more seeds of the baseline.
        stages: lists of more ``trainings`` and ``supernets``, as an experiment has them.
        evaluations: of a search, how many in all; None for the same.
        knowledge: as ``--knowledge`` has it, in place of what the run has; empty for the same.
    """

    candidates: int | None = None
    add: tuple[str, ...] = ()
    budget: str | None = None
    seeds: tuple[int, ...] = ()
    stages: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    evaluations: int | None = None
    knowledge: tuple[str, ...] = ()


def read_stages(file: Path) -> dict[str, list[Any]]:
    """Lists of ``trainings`` and ``supernets`` from a YAML file.

    Raises:
        ExperimentError: it cannot be read, or has something else; one line.
    """
    try:
        content = read_yaml(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YamlError) as error:
        raise ExperimentError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not isinstance(content, dict) or not content or set(content) - set(STAGES):
        raise ExperimentError(f"{file}: expected lists of more {' or '.join(STAGES)}, and nothing else")
    wrong = [name for name, stages in content.items() if not isinstance(stages, list)]
    if wrong:
        raise ExperimentError(f"{file}: {wrong[0]} has to be a list of stages")
    return content


def extend(run: Run, changes: Changes, data: ImageData, *, address: str | None = None, say: Say = print) -> Run:
    """Makes a run that continues ``run`` with the changes; nothing is trained yet.

    Args:
        run: stays as it is.
        changes: at least one.
        data: its images.
        address: of the cluster; None for a local one.
        say: receives progress messages.

    Raises:
        RunError: the run is being worked on, or the folder cannot be written.
        ExperimentError: nothing changes, or a change cannot be made; one line.
        KnowledgeError: knowledge cannot be used; one line.
        ClusterError: no node has room for a trial, or latencies cannot be measured.
    """
    if changes == Changes():
        raise ExperimentError(
            "nothing to extend: give more candidates, another budget, more seeds, more stages or other knowledge"
        )
    old = run.experiment
    if old.search is not None:
        return _longer_search(run, old.search, changes, address)
    if changes.evaluations is not None:
        raise ExperimentError("--evaluations: the run is no search; give --candidates or --budget")
    if old.baseline is not None and old.baseline.candidates != "all" and (changes.candidates or changes.add):
        raise ExperimentError(
            f"its baseline is a sample of the {len(run.candidates)} candidates that it has; take a run of all of them, "
            "which takes over what this one has trained"
        )
    check_room_for_trials(address, old.resources)
    with run.locked():
        with open_meter(old, data, address=address, say=say) as meter:
            if meter is not None:
                resume_meter(meter, run.log, run.folder / TABLE_FILE)
            new, sizes = _new_candidates(run, changes, data, meter, say)
        candidates = (*run.candidates, *new)
        changed = _changed(run, changes, list(candidates))
        pace, measured = run.pace, None
        if changed.allowance.is_time:
            timed = {} if pace is None else pace.epoch_seconds
            untimed = candidates if pace is None else new
            if untimed:
                flops = flops_of(changed, sizes, untimed, data)
                measured = measure_paces(changed, untimed, data, address=address, flops=flops)
                pace = replace(measured.pace, epoch_seconds={**measured.pace.epoch_seconds, **timed})
        if run.has_default_plan and not changes.stages:
            timing = timing_epochs(run.log, pace if changed.allowance.is_time else None)
            timing += 0.0 if measured is None else measured.epochs
            trainings = _more_trainings(changed, len(candidates), data, pace, timing)
            changed = changed.model_copy(update={"trainings": trainings})
        known = run.knowledge
        if changes.knowledge:
            asked = with_knowledge(changed, changes.knowledge)
            known = gather_knowledge(asked, candidates, run.folder.parent, natural=data.input_shape[0] == RGB)
            changed = changed.model_copy(update={"knowledge": resolved_knowledge(asked, known)})
        # Trainings of our own plan are as many as the time allows; those of an experiment are what it asks for.
        ours = run.has_default_plan and not changes.stages
        plan_run(changed, candidates, data, run.folder, pace=pace, begun=ours)
        folder, log = _copy(run)
        if measured is not None:
            measured.book(log)
        write_known(known, folder)
        book_sizes(log, changed, sizes)
        write_experiment(changed, folder)
    log.append_event("", "", EXTENDED, f"from {run.folder.name}, {len(run.candidates)} to {len(candidates)} candidates")
    if changes.stages:
        log.note(PLAN_CHANGED, "stages were added")
    for spec in old.supernets or []:
        note_trained_for(log, spec, len(run.candidates))
    if meter is not None and new:
        book_latencies(log, meter, new)
        if meter.table is not None:
            meter.table.save(folder / TABLE_FILE)
    return Run(folder, changed, candidates, log)


def _longer_search(run: Run, search: SearchSpec, changes: Changes, address: str | None) -> Run:
    """The run of a search that continues from the proposals of another one."""
    wanted = changes.evaluations
    if wanted is None or changes != Changes(evaluations=wanted):
        raise ExperimentError("a search is extended by --evaluations alone: how many architectures it trains in all")
    if wanted <= search.evaluations:
        raise ExperimentError(f"--evaluations: {wanted} in all; it has {search.evaluations}, so give more")
    more = search.model_copy(update={"evaluations": wanted})
    check_room_for_trials(address, run.experiment.resources)
    with run.locked():
        folder, log = _copy(run)
        write_known(run.knowledge, folder)
        changed = run.experiment.model_copy(update={"search": more})
        write_experiment(changed, folder)
    log.append_event("", "", EXTENDED, f"from {run.folder.name}, {search.evaluations} to {wanted} evaluations")
    return Run(folder, changed, run.candidates, log).searched()


def _changed(run: Run, changes: Changes, candidates: int | list[str]) -> Experiment:
    """The experiment with the changes, judged like one from a file."""
    content = read_yaml(run.experiment.to_yaml())
    content["candidates"] = candidates
    if changes.budget is not None:
        try:
            more = read_budget(changes.budget)
        except BudgetError as error:
            raise ExperimentError(f"budget: {error}") from None
        spent = seconds_spent(run.log, wall=more.is_wall)
        content["budget"] = str(run.experiment.allowance.plus(more, spent))
    if changes.seeds:
        if content["baseline"] is None:
            content["baseline"] = {"seeds": []}
        content["baseline"]["seeds"] += list(changes.seeds)
    for name, stages in changes.stages.items():
        content[name] = [*(content[name] or []), *stages]
    return described(parse_experiment(write_yaml(content), where="the extended experiment"))


def _new_candidates(
    run: Run, changes: Changes, data: ImageData, meter: Meter | None, say: Say
) -> tuple[list[str], dict[str, Measured]]:
    """Those that are named, then as many as are drawn, with their sizes where these had to be measured.

    None of them is in the run already, and none that is in it is judged again.
    """
    there, sizes = list(run.candidates), dict[str, Measured]()
    if changes.add:
        chosen = choose_candidates(_with_added(run, changes), data, meter, there=there, say=say)
        for code, reason in chosen.set_aside.items():
            raise ExperimentError(f"--add: {code} violates a constraint of the run: {reason}; leave it out")
        for name in changes.add:
            if name in chosen.left_out:
                raise ExperimentError(f"--add: {chosen.left_out[name]}; or leave it out")
        if not chosen.codes:
            reason = next(iter(chosen.left_out.values()), "the run has all of them already")
            raise ExperimentError(f"--add: {', '.join(changes.add)}: no new candidate; {reason}")
        there += chosen.codes
        sizes |= chosen.sizes
    if changes.candidates is not None:
        if changes.candidates <= len(there):
            raise ExperimentError(f"--candidates: {changes.candidates} in all; there are {len(there)}, so give more")
        if run.experiment.trainable is not None:
            raise ExperimentError("--candidates: own training code has no space to draw from; name more with --add")
        asked = _changed(run, changes, changes.candidates)
        narrowed = logged_narrowing(run.log, run.experiment)
        if narrowed is not None:
            check_size(narrowed, changes.candidates, way_out="name others with --add")
        chosen = choose_candidates(asked, data, meter, within=narrowed, there=there, say=say)
        there += chosen.codes
        sizes |= chosen.sizes
    new = there[len(run.candidates) :]
    if meter is not None and new:
        say(f"latencies of {len(new):,} candidates ...")
        meter.measure(new)
        check_objective(run.experiment.objective, [meter.found[code].milliseconds for code in new])
    return new, sizes


def _with_added(run: Run, changes: Changes) -> Experiment:
    """The experiment with the candidates that are named.

    Raises:
        ExperimentError: one of them cannot be read, or is a candidate of the run already.
    """
    space = run.experiment.space.make()
    for name in changes.add:
        try:
            known = space.match(name) is None and space.parse(name).code in run.candidates
        except SpaceError as error:
            raise ExperimentError(f"--add: {str(error).removeprefix('code: ')}") from None
        if known:
            raise ExperimentError(f"--add: {name} is a candidate of the run already; leave it out")
    return _changed(run, changes, [*run.candidates, *changes.add])


def _more_trainings(
    experiment: Experiment, count: int, data: ImageData, pace: Pace | None, timing: float
) -> list[TrainingSpec]:
    """The trainings that we had planned, of as many candidates as the new budget pays for; never of fewer.

    A budget of full training is just that, whatever ``timing`` has taken: as of a new run.
    """
    full, trainings = experiment.recipe.epochs, list(experiment.trainings or [])
    budget = affordable_epochs(experiment, count, pace) - _untrained_epochs(experiment, count, data)
    budget -= 0.0 if experiment.allowance.is_full else timing
    if not trainings:
        return trainings
    shorts = [spec for spec in trainings if not spec.is_full(full)]
    fulls = [spec for spec in trainings if spec.is_full(full)]
    schedules = [spec.epochs for spec in shorts if spec.until is None]
    planned = plan_trainings(
        count,
        full_epochs=full,
        budget_epochs=budget,
        seed=experiment.seed,
        schedules=schedules,
        anchors=experiment.anchors,
    )
    wanted = next((spec.candidates for spec in planned if not spec.is_full(full)), 0)
    grown = [_grown(spec, count if wanted == "all" else wanted, count) for spec in shorts]
    left = budget - sum(planned_epochs(spec, count) for spec in grown)
    affordable = max(0, math.floor((left + ROUNDING) / full))
    if not fulls and affordable:
        fulls = [TrainingSpec(epochs=full, candidates=1, seed=trainings[0].seed)]
    return grown + [_grown(spec, affordable, count) for spec in fulls]


def _untrained_epochs(experiment: Experiment, count: int, data: ImageData) -> float:
    """What proxies and supernets cost."""
    images, proxies = ImageCounts.of(data), experiment.proxies
    cheap = count * proxies.epochs(images.train) if isinstance(proxies, ProxySpec) else 0.0
    return cheap + sum(spec.cost(count, images) for spec in experiment.supernets or [])


def _grown(spec: TrainingSpec, wanted: int, count: int) -> TrainingSpec:
    if spec.candidates == "all":
        return spec
    more = max(spec.candidates, wanted)
    return spec.model_copy(update={"candidates": "all" if more >= count else more})


def _copy(run: Run) -> tuple[Path, EvidenceLog]:
    """A new folder with the log and what its stages resume from.

    States of trainings are links, since these files are never changed in place.

    Raises:
        RunError: it cannot be written; then it is removed.
    """
    folder = make_folder(run.folder.parent, run.experiment.name)
    try:
        with closing(sqlite3.connect(folder / LOG_FILE)) as copy:
            run.log.connection.backup(copy)
        for pattern in COPIED:
            for file in run.folder.glob(pattern):
                target = folder / file.relative_to(run.folder)
                try:
                    os.link(file, target)
                except OSError:  # another file system, or one without links
                    shutil.copyfile(file, target)
        return folder, EvidenceLog(folder / LOG_FILE)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise RunError(f"cannot write to {folder}: {getattr(error, 'strerror', None) or error}") from None
