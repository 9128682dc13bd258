"""What cannot be in an experiment whose parts are right each for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from orchestrator.supernet_spec import supernet_problem
from trainables.family_recipe import GOVERNED
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from orchestrator.experiment import Experiment

Problem: TypeAlias = tuple[tuple[str | int, ...], str]
"""Where a problem is, and what it is with the way out."""


def problems_of(experiment: Experiment) -> Iterator[Problem]:
    """All problems between the parts of an experiment."""
    yield from _repeated_stages(experiment)
    yield from _bad_trainings(experiment)
    yield from _bad_supernets(experiment)
    yield from _bad_families(experiment)
    yield from _bad_candidates(experiment)
    yield from _bad_narrowing(experiment)
    yield from _bad_search(experiment)


def _repeated_stages(experiment: Experiment) -> Iterator[Problem]:
    for kind, specs in (("trainings", experiment.trainings or []), ("supernets", experiment.supernets or [])):
        stages = [spec.stage for spec in specs]
        for index, stage in enumerate(stages):
            if stage in stages[:index]:
                yield (kind, index), f"{stage} is listed twice; each stage can be there once"


def _bad_trainings(experiment: Experiment) -> Iterator[Problem]:
    full = experiment.recipe.epochs
    for index, spec in enumerate(experiment.trainings or []):
        if spec.epochs > full:
            yield (
                ("trainings", index, "epochs"),
                f"{spec.epochs} is longer than full training (recipe.epochs: {full})",
            )
        if experiment.baseline and spec.task is None and spec.seed in experiment.baseline.seeds:
            text = f"seed {spec.seed} is a baseline seed too: the truth must not be bought as evidence"
            yield ("trainings", index, "seed"), text


def _bad_supernets(experiment: Experiment) -> Iterator[Problem]:
    space = experiment.space.make()
    for index, spec in enumerate(experiment.supernets or []):
        problem = supernet_problem(spec, space)
        if problem is not None:
            yield ("supernets", index, *problem[0]), problem[1]


def _bad_families(experiment: Experiment) -> Iterator[Problem]:
    if experiment.families is None:
        return
    default = Recipe()
    for field in GOVERNED:
        if getattr(experiment.recipe, field) != getattr(default, field):
            text = "each family says that for itself; change it in families, or set families: null for all alike"
            yield ("recipe", field), text
    if experiment.supernets:
        yield ("supernets",), "all paths of a supernet share one recipe; set families: null, or leave supernets out"


def _bad_candidates(experiment: Experiment) -> Iterator[Problem]:
    space, asked = experiment.space.make(), experiment.candidates
    if not isinstance(asked, list):
        try:
            size = space.size
        except ValueError as error:
            yield ("space", "options"), str(error)
            return
        if isinstance(asked, int) and size is not None and asked > size:
            yield ("candidates",), f"{asked} are more than the {size} of {experiment.space.name}"
        return
    seen: Counter[str] = Counter()
    others: set[str] = set()
    unknown = 0
    for index, text in enumerate(asked):
        try:
            matches = space.match(text)
            if matches is not None:
                others.update(architecture.code for architecture in matches)
                continue
            code = space.parse(text).code
        except ValueError as error:
            unknown += 1
            yield ("candidates", index), str(error)
            continue
        seen[code] += 1
        if seen[code] == 2:
            yield ("candidates", index), f"{text!r} is listed twice"
    count = len(others | set(seen)) + unknown
    if count < 2:
        yield ("candidates",), f"lists {count}; an order needs at least 2"


def _bad_narrowing(experiment: Experiment) -> Iterator[Problem]:
    if experiment.narrow is None:
        return
    space = experiment.space.make()
    if space.foreign or not space.decisions:
        text = f"{space.name} has no decisions whose options could be left out; leave narrow out"
        yield ("narrow",), text
    if not isinstance(experiment.candidates, int):
        yield ("narrow",), "it is for candidates that are drawn; write candidates: 50, or leave narrow out"


def _bad_search(experiment: Experiment) -> Iterator[Problem]:
    if experiment.search is None:
        return
    if experiment.candidates != "all":
        yield ("candidates",), "a search proposes its candidates itself; leave candidates out, or search"
    for field in ("proxies", "trainings", "supernets", "narrow", "baseline"):
        if field in experiment.model_fields_set and getattr(experiment, field) not in (None, [], "auto"):
            yield (field,), f"a search has no such part; leave {field} out, or rank what it finds in another run"
    if experiment.budget != type(experiment).model_fields["budget"].default:
        yield ("budget",), "search.evaluations and search.epochs say what a search spends; leave budget out"
    if (experiment.search.epochs or 0) > experiment.recipe.epochs:
        text = f"{experiment.search.epochs} is longer than full training (recipe.epochs: {experiment.recipe.epochs})"
        yield ("search", "epochs"), text
    problem = experiment.search.problem_in(experiment.space.make())
    if problem is not None:
        yield ("search", problem[0]), problem[1]
