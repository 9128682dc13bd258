"""Recipes by name in an experiment file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from taurank.orchestrator.experiment.spec import Spec
from taurank.orchestrator.text import ProblemsError, hint, problem_lines
from taurank.trainables.training import COMMON, FAMILIES_OF_LARGE_IMAGES, LARGE, RECIPES, FamilyRecipe, Recipe


def recipe_from_name(value: Any) -> Any:
    """The fields of a recipe by name, with those that are given beside the name in their place.

    With another number of epochs it is the same recipe in small; see ``Recipe.of_length``.

    Raises:
        ProblemsError: no such recipe.
    """
    given = {"name": value} if isinstance(value, str) else value
    if not isinstance(given, Mapping):
        return value
    if isinstance(given.get("step_epochs"), list):  # a strict check takes a list for a tuple in JSON only
        given = {**given, "step_epochs": tuple(given["step_epochs"])}
    if "name" not in given:
        return given
    name = given["name"]
    if not isinstance(name, str) or name not in RECIPES:
        place = () if isinstance(value, str) else ("name",)
        text = f"unknown recipe {name!r}; known: {', '.join(RECIPES)}"
        raise ProblemsError([(place, text + (hint(name, list(RECIPES)) if isinstance(name, str) else ""))])
    recipe, epochs = RECIPES[name](), given.get("epochs")
    if type(epochs) is int and epochs > 0:  # otherwise the problem is reported with the others
        recipe = recipe.of_length(epochs)
    found = asdict(recipe) | {key: item for key, item in given.items() if key != "name"}
    if isinstance(found["augmentation"], Mapping):
        found["augmentation"] = asdict(recipe.augmentation) | dict(found["augmentation"])
    return found


_MISSING = "is missing"


class _Whole(Spec):
    own: Recipe


class _Short(Spec):
    own: FamilyRecipe


def families_from_auto(value: Any) -> Any:
    """The default recipes of the families for ``auto``; otherwise a whole recipe for each that has a name or a length.

    Raises:
        ProblemsError: recipes that are not right, of all families at once.
    """
    if value == "auto":
        return {}
    if not isinstance(value, Mapping):
        return value
    found: dict[Any, Any] = {}
    problems: list[tuple[tuple[str | int, ...], str]] = []
    for family, given in value.items():
        found[family] = given
        try:
            own = recipe_from_name(given)
            if isinstance(own, Mapping):
                kind = _Whole if "epochs" in own else _Short
                found[family] = kind.model_validate_json(json.dumps({"own": own}), strict=True).own
        except ProblemsError as error:
            problems += [((family, *place), text) for place, text in error.found]
        except ValidationError as error:
            lines = [line.partition(": ") for line in problem_lines(error, kind, {"own": own})]
            for place, _, text in sorted(lines, key=lambda line: line[2].startswith(_MISSING)):
                *above, key = place.split(".")[1:]
                if text.startswith(_MISSING):  # such a key has no place of its own in the file
                    problems.append(((family, *above), f"{key} {text}"))
                else:
                    problems.append(((family, *above, key), text))
    if problems:
        raise ProblemsError(problems)
    return found


def families_for(data: Any, recipe: Any) -> Any:
    """What ``families: auto`` stands for with these sections of a file: large images have whole recipes.

    Not beside a recipe with more than what is common to all families, such as an augmentation.
    """
    size = data.get("size") if isinstance(data, Mapping) else None
    is_common = not isinstance(recipe, Mapping) or set(recipe) <= set(COMMON)
    return FAMILIES_OF_LARGE_IMAGES if type(size) is int and size >= LARGE and is_common else "auto"
