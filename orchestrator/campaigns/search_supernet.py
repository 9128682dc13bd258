"""The supernet of a search: one trial that logs a score for each option of each decision."""

from __future__ import annotations

from dataclasses import replace

from taurank.orchestrator.campaigns.search_set_up import Scores, spec_of
from taurank.orchestrator.evidence import COMPLETED, EvidenceLog
from taurank.orchestrator.experiment import SAMPLERS, SupernetSearchOptions
from taurank.orchestrator.runs import Run
from taurank.orchestrator.search import Constraints, SearchError, make_searcher
from taurank.orchestrator.stages import Stage, supernet_stage
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
    """Whether the training of the supernet is complete."""
    return log.outcomes().get(stage.specs[0].trial, ("", ""))[0] == COMPLETED


def learned_scores(log: EvidenceLog, stage: Stage, space: SearchSpace) -> Scores:
    """The scores of the options by the trained supernet, from the log.

    Raises:
        SearchError: its training failed.
    """
    (trial,) = stage.specs
    outcome, reason = log.outcomes().get(trial.trial, ("", "it did not end"))
    rows = log.evidence()
    own = rows[rows["trial"] == trial.trial]
    table = option_table(zip(own["metric"], own["value"], strict=True), [len(options) for options in space.decisions])
    if outcome != COMPLETED or table is None:
        raise SearchError(
            f"{stage.name}: the supernet of the search has failed: {reason or 'it has no scores'}; begin another "
            "search, with another learning_rate in search.options, or with another method"
        )
    return [list(map(float, row)) for row in table]


def check_constraints(space: SearchSpace, constraints: Constraints | None, seed: int) -> None:
    """Checks that some architecture satisfies the constraints, before a supernet is trained.

    Raises:
        SearchError: none of those that were tried does.
    """
    if constraints is not None:
        make_searcher("random", space, seed=seed, constraints=constraints).ask()
