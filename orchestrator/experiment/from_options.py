"""Experiments from command-line options: `taurank run --models` and `taurank search --space`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from taurank.orchestrator.experiment.experiment import Experiment
from taurank.orchestrator.experiment.file import parse_experiment, read_knowledge
from taurank.orchestrator.experiment.knowledge import knowledge_content
from taurank.orchestrator.experiment.parts import DataSpec
from taurank.orchestrator.hardware import ConstraintError, read_constraint
from taurank.orchestrator.text import write_yaml
from taurank.spaces import Zoo
from taurank.trainables.data import Dataset, ImageData, NoTestSetError


class ModelsError(ValueError):
    """Incompatible options of `taurank run --models`; one line with the way out."""


EPOCHS = 20
"""Of full training."""
BUDGET = "10x"
TEST = 0.2
"""Share of the images used as test images if the data set has no test set."""


def split_names(texts: Sequence[str]) -> list[str]:
    """The names and patterns in some texts, of which each may have several, separated by commas.

    A mapping of options in JSON is one.
    """
    return [
        name
        for text in texts
        for part in ([text] if text.lstrip().startswith("{") else text.split(","))
        if (name := part.strip())
    ]


def experiment_of_models(
    models: Sequence[str],
    data: str,
    *,
    size: int | None = None,
    epochs: int = EPOCHS,
    budget: str = BUDGET,
    baseline: bool = False,
    test: float | None = None,
    constraints: Sequence[str] = (),
    knowledge: Sequence[str] = (),
) -> tuple[Experiment, str]:
    """An experiment over models by name, and an equivalent YAML file that works in any folder.

    Args:
        models: codes and patterns of the zoo; one text may contain several, separated by commas.
        data: name of the data set; a path in it is relative to the working directory.
        size: side to which images are resized; None for the size of the data set.
        epochs: of full training.
        budget: how many times cheaper than full training of all.
        baseline: whether all are also trained to the end, to score the ranking.
        test: share of the images used as test images; None for the data set's own test set.
        constraints: that models have to satisfy to be ranked.
        knowledge: sources of knowledge as ``--knowledge`` names them; the default for none.

    Raises:
        ExperimentError: a model, the data set or the budget is invalid; one line each.
        ModelsError: a constraint is invalid.
    """
    for text in constraints:
        try:
            read_constraint(text)
        except ConstraintError as error:
            raise ModelsError(f"--constraint: {error}") from None
    images = _images(data, size, test)
    content = {
        "name": "models",
        "space": Zoo.name,
        "candidates": split_names(models),
        **({"constraints": list(constraints)} if constraints else {}),
        "data": images,
        "recipe": {"epochs": epochs},
        "families": "auto",
        "budget": budget,
        "baseline": {"seeds": [1]} if baseline else None,
        **_knowledge(knowledge),
    }
    read = parse_experiment(write_yaml(content), where="--models")
    found = read.data.relative_to(Path.cwd())
    images["name"], content["budget"] = found.name, read.budget
    return read.model_copy(update={"data": found}), write_yaml(content)


def _images(name: str, size: int | None, test: float | None) -> dict[str, Any]:
    given = {"name": name, "size": size, "test": test}
    return {key: value for key, value in given.items() if value is not None}


def _knowledge(texts: Sequence[str]) -> dict[str, Any]:
    return {"knowledge": knowledge_content(read_knowledge(texts))} if texts else {}


def load_with_test(
    make: Callable[[float | None], tuple[Experiment, str]],
    read: Callable[[DataSpec], Dataset],
    split: Callable[[DataSpec, Dataset], ImageData],
) -> tuple[Experiment, str, ImageData]:
    """An experiment, its file and its images, with the data set's test images or a share ``TEST`` of all images.

    Args:
        make: the experiment for a share of test images, as ``experiment_of_models`` makes it.
        read: reads all images; called once.
        split: cuts them into parts.
    """
    experiment, text = make(None)
    dataset = read(experiment.data)
    try:
        return experiment, text, split(experiment.data, dataset)
    except NoTestSetError:
        experiment, text = make(TEST)
        return experiment, text, split(experiment.data, dataset)


def write_models(text: str, file: Path) -> None:
    """Writes an experiment as a new file.

    Raises:
        ModelsError: the file exists, or cannot be written.
    """
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise ModelsError(f"--save-yaml: {file} exists; give another name, or remove it") from None
    except OSError as error:
        raise ModelsError(f"--save-yaml: {file} cannot be written: {error.strerror}") from None


EPOCHS = 20
"""Of full training."""


class SearchCommandError(ValueError):
    """Incompatible options of `taurank search`; one line with the way out."""


def experiment_of_search(
    space: str,
    data: str,
    *,
    size: int | None = None,
    method: str | None = None,
    evaluations: int | None = None,
    epochs: int | None = None,
    constraints: Sequence[str] = (),
    knowledge: Sequence[str] = (),
    test: float | None = None,
) -> tuple[Experiment, str]:
    """A search of a whole space, and an equivalent YAML file that works in any folder.

    Args:
        space: name of the space, with default options.
        data: name of the data set; a path in it is relative to the working directory.
        size: side to which images are resized; None for the size of the data set.
        method: name of the searcher; None for the default.
        evaluations: number of trainings; None for the default.
        epochs: of each training, which is a full one; None for ``EPOCHS``.
        constraints: that architectures have to satisfy to be proposed.
        knowledge: sources of knowledge as ``--knowledge`` names them; the default for none.
        test: share of the images used as test images; None for the data set's own test set.

    Raises:
        ExperimentError: one of the arguments is invalid; one line each.
    """
    asked = {"method": method, "evaluations": evaluations}
    images = _images(data, size, test)
    content = {
        "name": f"search-{space}",
        "space": space,
        "search": {key: value for key, value in asked.items() if value is not None},
        **({"constraints": list(constraints)} if constraints else {}),
        "data": images,
        "recipe": {"epochs": epochs or EPOCHS},
        **_knowledge(knowledge),
    }
    read = parse_experiment(write_yaml(content), where="taurank search")
    found = read.data.relative_to(Path.cwd())
    images["name"] = found.name
    return read.model_copy(update={"data": found}), write_yaml(content)
