"""The experiment file: what to rank, on which images, by which recipe, under which budget.

Everything is checked, all errors at once, before anything is spent. Every default is stated here.
"""

from __future__ import annotations

import dataclasses
import json
import re
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator, model_validator

from orchestrator.baseline_spec import BaselineSpec
from orchestrator.constraints import Constraint, ConstraintError, read_constraint
from orchestrator.data_spec import DataSpec
from orchestrator.experiment_problems import problems_of
from orchestrator.hardware_spec import LatencySpec, ObjectiveSpec
from orchestrator.narrow_spec import NarrowSpec
from orchestrator.proxy_spec import ProxySpec
from orchestrator.ranker import RankerOptions
from orchestrator.resource_spec import ResourceSpec
from orchestrator.search_spec import SearchSpec
from orchestrator.space_spec import SpaceSpec
from orchestrator.spec import Seed, Spec, options_from_name
from orchestrator.supernet_spec import SupernetSpec
from orchestrator.training_spec import TrainingSpec
from orchestrator.validation import ProblemsError, hint, problem_lines
from orchestrator.yaml_text import YamlError, read_yaml, write_yaml
from spaces import Architecture, Zoo
from trainables.family_recipe import GOVERNED, FamilyRecipes
from trainables.recipe import Recipe

NAMED = resources.files("orchestrator.experiments")


class ExperimentError(ValueError):
    """An experiment that cannot be run; one line per problem, each naming the field and the way out."""


def _no_resources(value: Any) -> Any:
    return {} if value == "auto" else value


def _supernet_from_sampler(value: Any) -> Any:
    return {"sampler": value} if isinstance(value, str) else value


def _proxies_from_names(value: Any) -> Any:
    if isinstance(value, list):
        return {"names": value} if value else None
    return value


def _list_from_one(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _search_from_method(value: Any) -> Any:
    return {"method": value} if isinstance(value, str) else value


def _families_from_auto(value: Any) -> Any:
    return {} if value == "auto" else value


class Experiment(Spec):
    """A whole run. ``trainings`` and ``supernets`` left out: the budget is split by ``orchestrator.plan``.

    ``proxies`` may be a list of names; ``auto``: what the split buys, nothing where the stages are named here.

    ``candidates`` may list patterns where the space has them (``timm:convnext*``). ``families``: each family of
    networks is trained by a recipe of its own, which takes the place of what ``recipe`` says of optimiser, learning
    rate, decay, warm-up, smoothing and clipping; ``recipe: auto`` is short for ``families: auto``. That is the default
    where the candidates are other people's models, unless ``recipe`` says one of those itself.

    ``constraints`` (``params <= 5e6``, ``latency <= 20ms``) are applied before anything is trained: who is listed and
    violates one is set aside, drawn candidates are drawn again. Latency is measured where a constraint or the objective
    needs it, or where ``latency`` says how. ``narrow: {}`` draws candidates with the options of each decision only that
    suit the device; they are chosen by latencies when the run starts, and kept in its log.

    ``search`` takes the place of ``candidates`` and of all stages: who is trained is proposed as the results come in.

    ``share_results: false`` trains everything anew, also what another run in the same folder has trained alike.
    """

    name: str
    description: str = ""
    space: Annotated[SpaceSpec, BeforeValidator(options_from_name)]
    candidates: Literal["all"] | Annotated[int, Field(ge=2)] | list[str] = "all"
    search: Annotated[SearchSpec | None, BeforeValidator(_search_from_method)] = None
    constraints: Annotated[list[str], BeforeValidator(_list_from_one)] = Field(default_factory=list)
    narrow: NarrowSpec | None = None
    latency: LatencySpec | None = None
    objective: ObjectiveSpec | None = None
    data: Annotated[DataSpec, BeforeValidator(options_from_name)]
    recipe: Recipe = Recipe()
    families: Annotated[FamilyRecipes | None, BeforeValidator(_families_from_auto)] = None
    budget: str = "10x"
    proxies: Annotated[Literal["auto"] | ProxySpec | None, BeforeValidator(_proxies_from_names)] = "auto"
    trainings: list[TrainingSpec] | None = None
    supernets: list[Annotated[SupernetSpec, BeforeValidator(_supernet_from_sampler)]] | None = None
    baseline: BaselineSpec | None = BaselineSpec()
    ranker: RankerOptions = RankerOptions()
    resources: Annotated[ResourceSpec, BeforeValidator(_no_resources)] = ResourceSpec()
    share_results: bool = True
    seed: Seed = 0

    @field_validator("name")
    @classmethod
    def _names_a_folder(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
            raise ValueError(f"{name!r} names the folder of the run: use up to 100 letters, digits, '-', '_' and '.'")
        return name

    @field_validator("budget", mode="before")
    @classmethod
    def _cheaper(cls, budget: Any) -> str:
        if not isinstance(budget, str) or not re.fullmatch(r"[0-9]+(\.[0-9]+)?x", budget) or float(budget[:-1]) < 1:
            raise ValueError(f"{budget} is not how many times cheaper than full training: write 10x, or 1x and above")
        return budget

    @field_validator("constraints")
    @classmethod
    def _readable(cls, constraints: list[str]) -> list[str]:
        problems: list[tuple[tuple[str | int, ...], str]] = []
        for index, text in enumerate(constraints):
            try:
                read_constraint(text)
            except ConstraintError as error:
                problems.append(((index,), str(error)))
        if problems:
            raise ProblemsError(problems)
        return constraints

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        problems = list(problems_of(self))
        if problems:
            raise ProblemsError(problems)
        return self

    def listed(self) -> tuple[list[str], list[str]]:
        """Codes that ``candidates`` lists itself, and those that only its patterns stand for."""
        assert isinstance(self.candidates, list)
        space = self.space.make()
        named, matched = [], []
        for text in self.candidates:
            matches = space.match(text)
            if matches is None:
                named.append(space.parse(text).code)
            else:
                matched += [architecture.code for architecture in matches]
        return named, [code for code in dict.fromkeys(matched) if code not in named]

    def recipe_of(self, code: str) -> Recipe:
        """How a candidate is trained to the end: by the recipe of its family, or by the one that all share."""
        if self.families is None:
            return self.recipe
        space = self.space.make()
        return self.families.recipe(self.recipe, space.family(Architecture(space.name, code)))

    @property
    def bounds(self) -> tuple[Constraint, ...]:
        """The constraints as they are applied."""
        return tuple(read_constraint(text) for text in self.constraints)

    @property
    def measured_latency(self) -> LatencySpec | None:
        """How the candidates' latency is measured; None where nobody asks for it."""
        wanted = any(bound.measure == "latency" for bound in self.bounds)
        wanted = wanted or self.narrow is not None
        wanted = wanted or (self.objective is not None and self.objective.of == "latency")
        return self.latency or (LatencySpec() if wanted else None)

    @property
    def speed_up(self) -> float:
        """How many times cheaper than one full training of all candidates the evidence has to be."""
        return float(self.budget[:-1])

    def to_yaml(self) -> str:
        """The experiment as a file that runs again as it is."""
        content = _plain(self)
        if self.search is None:
            del content["search"]
        else:  # who it proposed is in the log
            del content["candidates"]
            content |= {"proxies": None, "trainings": [], "supernets": [], "baseline": None}
        return write_yaml(content)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _with_families(content: dict[Any, Any]) -> dict[Any, Any]:
    """Spells out ``recipe: auto``, and what a file over other people's models means that is silent about it."""
    recipe, space = content.get("recipe"), content.get("space")
    if recipe == "auto":
        return {"families": "auto"} | {key: value for key, value in content.items() if key != "recipe"}
    name = space.get("name") if isinstance(space, dict) else space
    by_hand = isinstance(recipe, dict) and any(field in recipe for field in GOVERNED)
    if name == Zoo.name and "families" not in content and not by_hand:
        return content | {"families": "auto"}
    return content


def list_experiments() -> list[str]:
    """Names of the experiments that come with taurank."""
    return sorted(Path(entry.name).stem for entry in NAMED.iterdir() if entry.name.endswith(".yaml"))


def load_experiment(name_or_file: str) -> Experiment:
    """Reads an experiment by its file or by the name of one that comes with taurank.

    Raises:
        ExperimentError: no such file or name, broken YAML, unknown keys, bad values; all problems at once.
    """
    path, known = Path(name_or_file), list_experiments()
    try:
        if path.suffix in (".yaml", ".yml") or path.is_file():
            text = path.read_text(encoding="utf-8")
        elif name_or_file in known:
            text = (NAMED / f"{name_or_file}.yaml").read_text(encoding="utf-8")
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
    experiment = parse_experiment(text, where=name_or_file)
    folder = path.parent.absolute()
    latency = None if experiment.latency is None else experiment.latency.relative_to(folder)
    return experiment.model_copy(update={"data": experiment.data.relative_to(folder), "latency": latency})


def parse_experiment(text: str, *, where: str) -> Experiment:
    """Reads an experiment from YAML text; ``where`` names it in errors.

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
    # By way of JSON, where keys are text and types can be taken strictly: `epochs: yes` is not an epoch.
    try:
        as_json = json.dumps(_with_families(content), default=str)
    except (ValueError, TypeError):
        raise ExperimentError(f"{where}: a part of it contains itself, or has keys that are not text") from None
    try:
        return Experiment.model_validate_json(as_json, strict=True)
    except ValidationError as error:
        lines = problem_lines(error, Experiment, json.loads(as_json))
        raise ExperimentError("\n".join(f"{where}: {line}" for line in lines)) from None
