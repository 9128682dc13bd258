"""Reads experiment files."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError, Logger
from taurank.orchestrator.experiment.knowledge import (
    KnowledgeSection,
    KnowledgeSpecs,
    absolute_knowledge,
    knowledge_of_options,
)
from taurank.orchestrator.experiment.listing import experiment_text, list_experiments
from taurank.orchestrator.experiment.own_training import with_own_training
from taurank.orchestrator.experiment.recipes import families_for
from taurank.orchestrator.text import YamlError, hint, problem_lines, read_yaml, write_yaml
from taurank.spaces import Zoo
from taurank.trainables.training import GOVERNED

_log = logging.getLogger(__name__)


def _with_families(content: dict[Any, Any]) -> dict[Any, Any]:
    """Resolves ``recipe: auto``, and the default of ``families`` for models by name."""
    recipe, space = content.get("recipe"), content.get("space")
    name = space.get("name") if isinstance(space, dict) else space
    by_hand = isinstance(recipe, dict) and any(field in recipe for field in ("name", *GOVERNED))
    if recipe == "auto":
        content = {"families": "auto"} | {key: value for key, value in content.items() if key != "recipe"}
    elif name == Zoo.name and "families" not in content and not by_hand and not isinstance(recipe, str):
        content = content | {"families": "auto"}
    if content.get("families") == "auto":
        content = content | {"families": families_for(content.get("data"), content.get("recipe"))}
    return content


def load_experiment(
    source: str | os.PathLike[str] | Mapping[str, Any] | Experiment, *, trainable: str | None = None
) -> Experiment:
    """Reads an experiment; nothing is spent.

    Args:
        source: a YAML file, the name of an experiment that comes with taurank, the content of a file as a mapping, or
            an experiment, which is returned as it is. Paths in a file are relative to its folder, those in a mapping
            to the working directory.
        trainable: training code of the user's own, in place of what the source names.

    Raises:
        ExperimentError: no such file or name, broken YAML, unknown keys, bad values; all problems at once.

    Example:
        >>> from taurank import load_experiment
        >>> load_experiment("quickstart").candidates
        48
        >>> load_experiment({"name": "cells", "space": "nasbench201", "data": "digits", "budget": "5x"}).budget
        '5x'
    """
    if isinstance(source, Experiment):
        if trainable is None:
            return source
        content = read_yaml(source.to_yaml()) | {"trainable": trainable}
        return _absolute(_from_content(content, where="the experiment"), Path.cwd())
    own = {} if trainable is None else {"trainable": trainable}
    if isinstance(source, Mapping):
        return _absolute(_from_content({**source, **own}, where="the experiment"), Path.cwd())
    name_or_file = os.fspath(source)
    path, known = Path(name_or_file), list_experiments()
    try:
        if path.suffix in (".yaml", ".yml") or path.is_file():
            text = path.read_text(encoding="utf-8")
        elif name_or_file in known:
            text = experiment_text(name_or_file)
        else:
            raise ExperimentError(
                f"{name_or_file!r} is neither a YAML file nor an experiment that comes with taurank "
                f"({', '.join(known)}){hint(name_or_file, known)}"
            )
    except UnicodeDecodeError:
        raise ExperimentError(f"{path} cannot be read: it is not UTF-8 text") from None
    except OSError as error:
        suggestion = f"; did you mean {path.stem!r}, which comes with taurank?" if path.stem in known else ""
        raise ExperimentError(f"{path} cannot be read: {error.strerror or error}{suggestion}") from None
    _log.info("the experiment is read from %s", path.absolute() if path.is_file() else f"taurank: {name_or_file}")
    return _absolute(parse_experiment(text, where=name_or_file, **own), path.parent.absolute())


def _absolute(experiment: Experiment, folder: Path) -> Experiment:
    """The experiment with absolute paths, so that it means the same in any working directory."""
    latency = None if experiment.latency is None else experiment.latency.relative_to(folder)
    return experiment.model_copy(
        update={
            "data": experiment.data.relative_to(folder),
            "latency": latency,
            "features": None if experiment.features is None else str((folder / experiment.features).resolve()),
            "knowledge": absolute_knowledge(experiment.knowledge, folder),
        }
    )


def parse_experiment(text: str, *, where: str, **own: Any) -> Experiment:
    """Reads an experiment from YAML text; ``where`` names it in errors, ``own`` replaces keys of it.

    Raises:
        ExperimentError: see ``load_experiment``.
    """
    try:
        content = read_yaml(text)
    except YamlError as error:
        raise ExperimentError(f"{where}: {error}") from None
    if not isinstance(content, dict):
        found = {type(None): "nothing", list: "a list"}.get(type(content), "a single value")
        raise ExperimentError(f"{where}: expected keys and values (name, space, data ...), found {found}")
    return _from_content(content | own, where=where)


def _from_content(content: dict[Any, Any], *, where: str) -> Experiment:
    # By way of JSON, where keys are text and types can be taken strictly: `epochs: yes` is not an epoch.
    content, unreadable = with_own_training(_with_families(content))
    if unreadable:
        raise ExperimentError("\n".join(f"{where}: {line}" for line in unreadable))
    try:
        as_json = json.dumps(content, default=str)
    except (ValueError, TypeError):
        raise ExperimentError(f"{where}: a part of it contains itself, or has keys that are not text") from None
    try:
        return Experiment.model_validate_json(as_json, strict=True)
    except ValidationError as error:
        lines = problem_lines(error, Experiment, json.loads(as_json))
        raise ExperimentError("\n".join(f"{where}: {line}" for line in lines)) from None


def with_baseline(experiment: Experiment, *, where: str) -> Experiment:
    """The experiment with a baseline of all candidates, or its own where it has one.

    Raises:
        ExperimentError: it is a search, or a training has the seed of the baseline.
    """
    if experiment.baseline is not None:
        return experiment
    content = read_yaml(experiment.to_yaml()) | {"baseline": {}}
    return parse_experiment(write_yaml(content), where=f"{where} with --baseline")


def with_loggers(experiment: Experiment, names: Sequence[str]) -> Experiment:
    """The experiment with loggers of Ray beside its own.

    Raises:
        ExperimentError: an unknown name; one line.
    """
    for name in names:
        if name not in get_args(Logger):
            known = get_args(Logger)
            raise ExperimentError(f"--logger: {name!r} is none of {', '.join(known)}{hint(name, known)}")
    return experiment.model_copy(update={"loggers": list(dict.fromkeys([*experiment.loggers, *names]))})


def with_knowledge(experiment: Experiment, texts: Sequence[str]) -> Experiment:
    """The experiment with the knowledge that ``--knowledge`` names; see ``read_knowledge``."""
    return experiment.model_copy(update={"knowledge": read_knowledge(texts)})


def read_knowledge(texts: Sequence[str]) -> KnowledgeSpecs:
    """The knowledge that ``--knowledge`` names, with paths relative to the working directory made absolute.

    Raises:
        ExperimentError: a source has unknown keys or values; one line each.
    """
    content = {"knowledge": knowledge_of_options(texts)}
    alone = {"none", "auto"} & {source["from"] for source in content["knowledge"] or [] if isinstance(source, dict)}
    if alone:
        raise ExperimentError(f"--knowledge: {min(alone)} stands alone; omit it, or the other sources")
    try:
        found = KnowledgeSection.model_validate(content, strict=True).knowledge
    except ValidationError as error:
        lines = problem_lines(error, KnowledgeSection, content)
        raise ExperimentError("\n".join(line.replace("knowledge", "--knowledge", 1) for line in lines)) from None
    return absolute_knowledge(found, Path.cwd())
