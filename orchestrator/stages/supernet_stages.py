"""The stages of a supernet: its training, the scores of all candidates, the further training of contenders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from taurank.orchestrator.experiment import Experiment, ImageCounts, SchedulerSpec, SupernetSpec
from taurank.orchestrator.stages.stage import Stage, chunked, trial_spec
from taurank.trainables.data import ImageData
from taurank.trainables.trials import ContenderTrial, PathScoresTrial, SupernetTrial, read_checkpoint, share_weights


def supernet_stage(experiment: Experiment, spec: SupernetSpec, candidates: Sequence[str], run: Path) -> Stage:
    """The training of one supernet over all candidates."""
    recipe = experiment.recipe.of_length(spec.epochs, learning_rate=spec.learning_rate)
    trial = trial_spec(experiment, spec.stage, candidates, recipe, spec.seed, run)
    return Stage(
        name=spec.stage,
        source=spec.stage,
        specs=(replace(trial, supernet=spec.config),),
        trainable=SupernetTrial,
        scheduler=SchedulerSpec(),
        schedule_epochs=spec.epochs,
        planned_epochs=float(spec.epochs),
        keeps_states=True,
    )


def scores_stage(
    experiment: Experiment,
    spec: SupernetSpec,
    candidates: Sequence[str],
    paths: Sequence[str],
    run: Path,
    data: ImageData,
) -> Stage:
    """Scores of all candidates by a supernet that was trained for ``paths``, one trial per chunk."""
    recipe = experiment.recipe.of_length(spec.epochs, learning_rate=spec.learning_rate)
    chunks = chunked(candidates)
    cost = spec.score_cost(ImageCounts.of(data))
    return Stage(
        name=spec.stage,
        part="scores",
        source=spec.stage,
        specs=tuple(
            replace(
                trial_spec(experiment, f"{spec.stage} scores/{number}", chunk, recipe, spec.seed, run),
                label=f"chunk {number} of {len(chunks)}",
                supernet=spec.config,
                candidates=tuple(paths),
            )
            for number, chunk in enumerate(chunks, start=1)
        ),
        trainable=PathScoresTrial,
        scheduler=SchedulerSpec(),
        schedule_epochs=spec.epochs,
        planned_epochs=len(candidates) * cost,
    )


def contenders_stage(
    experiment: Experiment, spec: SupernetSpec, paths: Sequence[str], contenders: Sequence[str], run: Path
) -> Stage:
    """Further training of contenders from their weights in a supernet that was trained for ``paths``."""
    asked = spec.contenders
    assert asked is not None
    recipe = experiment.recipe.of_length(asked.epochs, learning_rate=asked.learning_rate)
    return Stage(
        name=spec.stage,
        part="contenders",
        source=spec.contenders_source,
        specs=tuple(
            replace(
                trial_spec(experiment, f"{spec.stage} contenders", [code], recipe, spec.seed, run),
                supernet=spec.config,
                candidates=tuple(paths),
                epoch_share=asked.share,
            )
            for code in contenders
        ),
        trainable=ContenderTrial,
        scheduler=SchedulerSpec(),
        schedule_epochs=asked.epochs,
        planned_epochs=len(contenders) * asked.epochs * asked.share,
    )


def trained_weights(stage: Stage) -> dict[str, Any] | None:
    """The weights of a trained supernet; None if its checkpoint is missing or damaged."""
    (spec,) = stage.specs
    saved = read_checkpoint(Path(spec.checkpoint), spec.fingerprint)
    return None if saved is None or saved.state is None else share_weights(saved.state)
