"""An experiment from a space and a data set alone: what `taurank search --space` fills in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.experiment import Experiment, parse_experiment
from orchestrator.yaml_text import write_yaml

EPOCHS = 20
"""Of full training."""


class SearchCommandError(ValueError):
    """Options of `taurank search` that do not go together; one line with the way out."""


def experiment_of_search(
    space: str,
    data: str,
    *,
    method: str | None = None,
    evaluations: int | None = None,
    epochs: int | None = None,
    constraints: Sequence[str] = (),
    test: float | None = None,
) -> tuple[Experiment, str]:
    """A search of a whole space, and the YAML file that says the same from any folder.

    Args:
        space: name of the space, with default options.
        data: name of the data set; a path in it is relative to the working directory.
        method: name of the searcher; None for the default.
        evaluations: architectures that are trained; None for the default.
        epochs: of each training, which is a full one; None for ``EPOCHS``.
        constraints: that architectures have to keep to be proposed.
        test: share of the images that is cut off as test images; None for the data set's own.

    Raises:
        ExperimentError: one of them is none; one line each.
    """
    asked = {"method": method, "evaluations": evaluations}
    images: dict[str, Any] = {"name": data} | ({} if test is None else {"test": test})
    content = {
        "name": f"search-{space}",
        "space": space,
        "search": {key: value for key, value in asked.items() if value is not None},
        **({"constraints": list(constraints)} if constraints else {}),
        "data": images,
        "recipe": {"epochs": epochs or EPOCHS},
    }
    read = parse_experiment(write_yaml(content), where="taurank search")
    found = read.data.relative_to(Path.cwd())
    images["name"] = found.name
    return read.model_copy(update={"data": found}), write_yaml(content)
