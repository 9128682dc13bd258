"""A new run: its folder, its candidates as they are chosen, and its experiment with all of them spelled out."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from taurank.orchestrator.candidates import (
    Say,
    book_candidates,
    book_latencies,
    book_narrowing,
    choose_candidates,
    flops_of,
    measure_paces,
    narrowed_space,
    open_meter,
)
from taurank.orchestrator.cluster import check_room_for_trials
from taurank.orchestrator.evidence import CLASSES, DEFAULT_PLAN, IMAGES, MADE, PLAN, EvidenceLog
from taurank.orchestrator.experiment import Experiment, ImageCounts
from taurank.orchestrator.knowledge import gather_knowledge, resolved_knowledge, write_known
from taurank.orchestrator.planning import default_proxies, default_stages
from taurank.orchestrator.runs.features import described
from taurank.orchestrator.runs.planned import plan_run
from taurank.orchestrator.runs.run import EXPERIMENT_FILE, LOG_FILE, TABLE_FILE, Run, RunError
from taurank.orchestrator.scoring import check_objective
from taurank.orchestrator.text import replaced
from taurank.trainables.data import ImageData

RGB = 3
"""Channels of images like those of ImageNet, which published accuracies are of."""


def create_run(
    experiment: Experiment, parent: Path, data: ImageData, *, address: str | None = None, say: Say = print
) -> Run:
    """Makes the folder ``<name>-<time>`` below ``parent`` and writes the resolved experiment into it.

    Args:
        experiment: the experiment.
        parent: parent folder.
        data: its images; the cost of proxies depends on their number.
        address: of the cluster that measures latencies; None for a local one.
        say: receives progress messages.

    Raises:
        RunError: the folder cannot be written.
        ExperimentError: more candidates asked for than the space has or than keep the constraints, models that cannot
            take the images, or stages that cannot be run.
        KnowledgeError: knowledge that the experiment names cannot be used.
        ClusterError: no node has room for a trial, or latencies cannot be measured.
    """
    if experiment.trainable is None:
        note_large_batch(experiment, data, say)
    experiment = described(experiment)
    check_room_for_trials(address, experiment.resources)
    # A path that came from the command line is relative to where that was typed.
    images = experiment.data.relative_to(Path.cwd())
    with open_meter(experiment, data, address=address, say=say) as meter:
        narrowed = None
        if experiment.narrow is not None and meter is not None:
            narrowed = narrowed_space(experiment, data, meter, say=say)
        chosen = choose_candidates(experiment, data, meter, within=narrowed, say=say)
        candidates = chosen.codes
        named = experiment.model_copy(update={"data": images})
        known = gather_knowledge(named, candidates, parent, natural=data.input_shape[0] == RGB)
        if meter is not None:
            say(f"latencies of {len(candidates):,} candidates ...")
            meter.measure(candidates)
            check_objective(experiment.objective, [meter.found[code].milliseconds for code in candidates])
    measured, pace = None, None
    if experiment.allowance.is_time:
        flops = flops_of(experiment, chosen.sizes, candidates, data)
        measured = measure_paces(experiment, candidates, data, address=address, flops=flops)
        measured.check_left(experiment.allowance, experiment.recipe.epochs)
        pace = measured.pace
    resolved = experiment.model_copy(update={"candidates": list(candidates), "data": images, "narrow": None})
    trainings, supernets = experiment.trainings, experiment.supernets
    counts = ImageCounts.of(data) if experiment.trainable is None else experiment.data.expected_counts
    train_images = counts.train
    proxies = default_proxies(experiment, train_images=train_images, values=math.prod(data.input_shape), pace=pace)
    if trainings is None and supernets is None:
        spent = 0.0 if proxies is None else len(candidates) * proxies.epochs(train_images)
        if measured is not None and not experiment.allowance.is_full:
            spent += measured.epochs
        trainings, supernets = default_stages(experiment, len(candidates), images=counts, proxy_epochs=spent, pace=pace)
    resolved = resolved.model_copy(
        update={"proxies": proxies, "trainings": trainings or [], "supernets": supernets or []}
    )
    resolved = resolved.model_copy(update={"knowledge": resolved_knowledge(experiment, known)})
    plan_run(resolved, candidates, data, parent, pace=pace)
    folder = make_folder(parent, experiment.name)
    write_known(known, folder)
    log = first_log(folder)
    if experiment.trainings is None and experiment.supernets is None:
        log.note(PLAN, DEFAULT_PLAN)
    if experiment.trainable is None:
        log.note(IMAGES, json.dumps(asdict(counts)))
        log.note(CLASSES, str(len(data.classes)))
    book_candidates(log, resolved, chosen)
    if narrowed is not None:
        book_narrowing(log, experiment, narrowed)
    if meter is not None:
        book_latencies(log, meter, candidates)
        if meter.table is not None:
            meter.table.save(folder / TABLE_FILE)
    if measured is not None:
        measured.book(log)
    write_experiment(resolved, folder)
    return Run(folder, resolved, candidates, log)


def note_large_batch(experiment: Experiment, data: ImageData, say: Say) -> None:
    """A line where a batch has more images than there are to train on."""
    if experiment.recipe.batch_size > len(data.train):
        say(
            f"recipe.batch_size is {experiment.recipe.batch_size}, but {experiment.data.name} has {len(data.train)} "
            "training images: an epoch is one step"
        )


def make_folder(parent: Path, name: str) -> Path:
    """A new folder ``<name>-<time>`` for a run; of those made within one second all but the first have a number.

    Raises:
        RunError: it cannot be made.
    """
    name = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = _fresh(parent.resolve(), name)
        (folder / "checkpoints").mkdir()
    except OSError as error:
        raise RunError(f"cannot write to {parent}: {error.strerror}; give another folder with --out") from None
    return folder


def _fresh(parent: Path, name: str) -> Path:
    for number in range(1, 1000):
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise RunError(f"{parent} has a thousand runs of this second; give another folder with --out")


def first_log(folder: Path) -> EvidenceLog:
    """The log of a new run, which says when it was made."""
    log = EvidenceLog(folder / LOG_FILE)
    log.note(MADE, f"{datetime.now():%Y-%m-%d %H:%M:%S}")
    return log


def write_experiment(experiment: Experiment, folder: Path) -> None:
    """Writes the file that a folder is that of a run by: the last one of a new run.

    Raises:
        RunError: it cannot be written.
    """
    try:
        with replaced(folder / EXPERIMENT_FILE) as file:
            file.write_text(experiment.to_yaml(), encoding="utf-8")
    except OSError as error:
        raise RunError(f"cannot write to {folder.parent}: {error.strerror}; give another folder with --out") from None
