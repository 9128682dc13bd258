"""Numbers per candidate that the user gives for candidates of their own training code."""

from __future__ import annotations

from pathlib import Path

from taurank.orchestrator.experiment import Experiment, ExperimentError
from taurank.orchestrator.own_results import ResultsError, read_features
from taurank.spaces import SpaceError


def described(experiment: Experiment) -> Experiment:
    """The experiment with the numbers of its features file in it, so that its run needs the file no more.

    Raises:
        ExperimentError: the file cannot be read, or lacks a candidate; one line.
    """
    if experiment.features is None:
        return experiment
    space = experiment.space.make()
    given = experiment.space.options.get("features", {})
    if given and all(code in next(iter(given.values())) for code in experiment.space.options["candidates"]):
        return experiment
    try:
        table = read_features(Path(experiment.features))
        table.index = [space.parse(str(name)).code for name in table.index]
        columns = {str(name): {str(code): float(value) for code, value in table[name].items()} for name in table}
        options = experiment.space.options | {"features": columns}
        described = experiment.space.model_copy(update={"options": options})
        described.make().feature_names  # noqa: B018 - refuses candidates without numbers
    except (ResultsError, SpaceError) as error:
        text = str(error).removeprefix("features: ").removeprefix("code: ")
        raise ExperimentError(f"features: {text}") from None
    return experiment.model_copy(update={"space": described})
