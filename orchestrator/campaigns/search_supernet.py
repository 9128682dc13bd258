"""The supernet that a search begins with: one trial, whose scores of the options are kept in the log."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ray

from taurank.orchestrator.campaigns.search_set_up import Scores, spec_of
from taurank.orchestrator.cluster import plan_slot
from taurank.orchestrator.evidence import EvidenceLog
from taurank.orchestrator.experiment import SAMPLERS, SupernetSearchOptions
from taurank.orchestrator.runs import RaySession, Run, RunSession
from taurank.orchestrator.search import Constraints, SearchError, make_searcher
from taurank.orchestrator.stages import Setting, Stage, run_stage, supernet_stage
from taurank.spaces import SearchSpace
from taurank.trainables.supernet import Paths
from taurank.trainables.trials import SearchSupernetTrial, option_table


def search_supernet(run: Run) -> Stage | None:
    """The training of the supernet of the whole space; None for searchers that need none."""
    experiment, asked = run.experiment, spec_of(run.experiment)
    if asked.method not in SAMPLERS:
        return None
    spec = SupernetSearchOptions.model_validate(asked.options).supernet(asked.method, seed=experiment.seed)
    space = experiment.space.make()
    stage = supernet_stage(experiment, spec, Paths.covering(space).codes, run.folder)
    (trial,) = stage.specs
    trial = replace(trial, label=f"all of {space.name}")
    return replace(stage, specs=(trial,), trainable=SearchSupernetTrial, keeps_states=False)


def is_trained(log: EvidenceLog, stage: Stage) -> bool:
    """Whether the supernet has come to its end."""
    return log.outcomes().get(stage.specs[0].trial, ("", ""))[0] == "completed"


def train_supernet(
    stage: Stage, session: RunSession, on_ray: RaySession, images: ray.ObjectRef, *, file: Path | None
) -> None:
    """Trains the supernet, or what is left of it; nothing where it is trained.

    Args:
        stage: of the supernet.
        session: of the run.
        on_ray: where it is trained.
        images: to train on.
        file: that trials read these from; None where they are in memory.

    Raises:
        RunInterruptedError: the user wants the run to end; its checkpoint is kept.
        ClusterError: the images are gone; the same.
    """
    run, cluster = session.run, on_ray.cluster
    if is_trained(run.log, stage):
        on_ray.display.skip_stage(stage.title, epochs=stage.cost, spent=stage.spent(run.log))
        return
    slot = plan_slot(cluster, run.experiment.resources, trials=1)
    setting = Setting(
        run=run.folder,
        log=run.log,
        slot=slot,
        slots=lambda: cluster.now().places(slot),
        display=on_ray.display,
        interruption=session.interruption,
        checkpoints=run.checkpoints([]),
        images=file,
        patience=run.experiment.resources.patience,
    )
    run_stage(stage, setting, data=images)


def learned_scores(log: EvidenceLog, stage: Stage, space: SearchSpace) -> Scores:
    """What the trained supernet says of the options of each decision, from the log.

    Raises:
        SearchError: its training has failed.
    """
    (trial,) = stage.specs
    outcome, reason = log.outcomes().get(trial.trial, ("", "it never ended"))
    rows = log.evidence()
    own = rows[rows["trial"] == trial.trial]
    table = option_table(zip(own["metric"], own["value"], strict=True), [len(options) for options in space.decisions])
    if outcome != "completed" or table is None:
        raise SearchError(
            f"{stage.name}: the supernet of the search has failed: {reason or 'it has no scores'}; begin another "
            "search, with another learning_rate in search.options, or with another method"
        )
    return [list(map(float, row)) for row in table]


def check_constraints(space: SearchSpace, constraints: Constraints | None, seed: int) -> None:
    """Sees that somebody keeps the constraints before a supernet is paid for.

    Raises:
        SearchError: nobody does, as far as was tried.
    """
    if constraints is not None:
        make_searcher("random", space, seed=seed, constraints=constraints).ask()
