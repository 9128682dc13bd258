"""The experiment file: what to rank, on which images, by which recipe, under which budget.

Everything is checked, all errors at once, before anything is spent. Every default is stated here.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from schedulers.tune import list_schedulers
from spaces import SearchSpace, get_space
from trainables.data import list_datasets
from trainables.recipe import Recipe

NAMED = resources.files("orchestrator.experiments")


class ExperimentError(ValueError):
    """An experiment that cannot be run; one line per problem, each naming the field and the way out."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _options_from_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class SpaceSpec(_Strict):
    """A registered search space and the options it is made with."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> SpaceSpec:
        self.make()
        return self

    def make(self) -> SearchSpace:
        """The space itself."""
        return get_space(self.name, **self.options)


class DataSpec(_Strict):
    """Images and how they are split.

    ``validation``, ``test`` and ``train`` are a share of the images (below 1) or a number of images. Ranking looks at
    validation images only, the baseline at test images. ``size`` resizes all images to size x size. ``evaluate_on:
    training`` evaluates on the training images; it is there to repeat a published study that did so.
    """

    name: str
    validation: float | int = 0.2
    test: float | int | None = None
    train: float | int | None = None
    size: int | None = Field(default=None, ge=4)
    seed: int = 0
    evaluate_on: Literal["held-out", "training"] = "held-out"

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in list_datasets():
            raise ValueError(
                f"unknown data set {name!r}; known: {', '.join(list_datasets())}{_hint(name, list_datasets())}"
            )
        return name


class SchedulerSpec(_Strict):
    """A scheduler that may end trainings early, and its options."""

    name: str = "none"
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in list_schedulers():
            known = ", ".join(list_schedulers())
            raise ValueError(f"unknown scheduler {name!r}; known: {known}{_hint(name, list_schedulers())}")
        return name


class TrainingSpec(_Strict):
    """Trainings of single candidates: ``epochs`` long on a schedule of that length.

    ``candidates: all`` trains everybody; a number trains that many, spread evenly over the order known by then.
    ``budget_epochs`` bounds what a scheduler may spend; without a scheduler the cost is known beforehand.
    """

    epochs: int = Field(ge=1)
    candidates: Literal["all"] | Annotated[int, Field(ge=1)] = "all"
    scheduler: Annotated[SchedulerSpec, BeforeValidator(_options_from_name)] = SchedulerSpec()
    budget_epochs: float | None = Field(default=None, gt=0)
    seed: int = 0

    @property
    def stage(self) -> str:
        """Name of the stage in the evidence log."""
        return f"training-{self.epochs}" + ("" if self.scheduler.name == "none" else f":{self.scheduler.name}")


class SupernetSpec(_Strict):
    """One training with shared weights that scores every candidate.

    ``recalibrate`` re-estimates the batch-norm statistics of each path on ``calibration_images`` training images before
    it is scored; turning it off exists to repeat studies that did not. ``learning_rate`` replaces the recipe's.
    """

    sampler: Literal["uniform", "epsilon-greedy"] = "uniform"
    epochs: int = Field(default=10, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    epsilon: float = Field(default=0.2, ge=0, le=1)
    random_rounds: int = Field(default=100, ge=0)
    recalibrate: bool = True
    calibration_images: int = Field(default=512, ge=2)
    seed: int = 0

    @property
    def stage(self) -> str:
        """Name of the stage in the evidence log."""
        return f"supernet:{self.sampler}"


class BaselineSpec(_Strict):
    """Full trainings of every candidate that the ranking is scored against; never part of the evidence."""

    seeds: tuple[int, ...] = (1,)

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds) or not seeds:
            raise ValueError(f"seeds are {list(seeds)}; give at least one, none twice (baseline: null for no baseline)")
        return seeds


class ResourceSpec(_Strict):
    """What one training trial takes. ``auto``: a measured fraction of a GPU where there is one, else CPU threads."""

    cpus_per_trial: float | Literal["auto"] = "auto"
    gpus_per_trial: float | Literal["auto"] = "auto"
    cpus: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=0)

    @field_validator("cpus_per_trial", "gpus_per_trial")
    @classmethod
    def _sensible(cls, value: float | str) -> float | str:
        if isinstance(value, float) and (value < 0 or (value > 1 and value != int(value))):
            raise ValueError(f"{value} is not a share Ray can place: use a fraction up to 1, or a whole number")
        return value


def _no_resources(value: Any) -> Any:
    return {} if value == "auto" else value


class Experiment(_Strict):
    """A whole run. ``trainings`` and ``supernets`` left out: the budget is split by ``orchestrator.plan``."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    description: str = ""
    space: Annotated[SpaceSpec, BeforeValidator(_options_from_name)]
    candidates: Literal["all"] | Annotated[int, Field(ge=1)] | list[str] = "all"
    data: Annotated[DataSpec, BeforeValidator(_options_from_name)]
    recipe: Recipe = Recipe()
    budget: str = Field(default="10x", pattern=r"^[0-9]+(\.[0-9]+)?x$")
    trainings: list[TrainingSpec] | None = None
    supernets: list[SupernetSpec] | None = None
    baseline: BaselineSpec | None = BaselineSpec()
    resources: Annotated[ResourceSpec, BeforeValidator(_no_resources)] = ResourceSpec()
    seed: int = Field(default=0, ge=0)

    @field_validator("budget")
    @classmethod
    def _cheaper(cls, budget: str) -> str:
        if float(budget[:-1]) < 1:
            raise ValueError(f"budget is {budget}; it has to be at least 1x (the cost of one full training of all)")
        return budget

    @model_validator(mode="after")
    def _consistent(self) -> Experiment:
        for kind, specs in (("trainings", self.trainings or []), ("supernets", self.supernets or [])):
            stages = [spec.stage for spec in specs]
            if len(set(stages)) != len(stages):
                raise ValueError(f"{kind} lists {max(stages, key=stages.count)} twice; each stage can be there once")
        for index, spec in enumerate(self.trainings or []):
            if spec.epochs > self.recipe.epochs:
                raise ValueError(
                    f"trainings.{index}.epochs is {spec.epochs}, longer than full training "
                    f"(recipe.epochs: {self.recipe.epochs})"
                )
            if self.baseline and spec.seed in self.baseline.seeds:
                raise ValueError(
                    f"trainings.{index}.seed is {spec.seed}, which is a baseline seed too: "
                    "the truth must not be bought as evidence"
                )
        if isinstance(self.candidates, list):
            space = self.space.make()
            parsed = [space.parse(code).code for code in self.candidates]
            repeated = (
                sorted({code for code in parsed if parsed.count(code) > 1}) if len(set(parsed)) < len(parsed) else []
            )
            if repeated:
                raise ValueError(f"candidates lists {repeated[0]} twice")
            if len(parsed) < 2:
                raise ValueError(f"candidates lists {len(parsed)}; an order needs at least 2")
        return self

    @property
    def speed_up(self) -> float:
        """How many times cheaper than one full training of all candidates the evidence has to be."""
        return float(self.budget[:-1])

    def to_yaml(self) -> str:
        """The experiment as a file that runs again as it is."""
        return yaml.safe_dump(_plain(self), sort_keys=False, allow_unicode=True, width=120)


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


def list_experiments() -> list[str]:
    """Names of the experiments that come with taurank."""
    return sorted(Path(entry.name).stem for entry in NAMED.iterdir() if entry.name.endswith(".yaml"))


def load_experiment(name_or_file: str) -> Experiment:
    """Reads an experiment by its file or by the name of one that comes with taurank.

    Raises:
        ExperimentError: no such file or name, broken YAML, unknown keys, bad values; all problems at once.
    """
    path = Path(name_or_file)
    if path.suffix in (".yaml", ".yml") or path.is_file():
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ExperimentError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    elif name_or_file in list_experiments():
        text = (NAMED / f"{name_or_file}.yaml").read_text(encoding="utf-8")
    else:
        known = list_experiments()
        raise ExperimentError(
            f"{name_or_file!r} is neither a YAML file nor an experiment that comes with taurank "
            f"({', '.join(known)}){_hint(name_or_file, known)}"
        )
    return parse_experiment(text, where=name_or_file)


def parse_experiment(text: str, *, where: str) -> Experiment:
    """Reads an experiment from YAML text; ``where`` names it in errors.

    Raises:
        ExperimentError: see ``load_experiment``.
    """
    try:
        content = yaml.load(text, Loader=_UniqueKeys)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ExperimentError(f"{where}{line}: {error.problem or error}") from None
    except yaml.YAMLError as error:
        raise ExperimentError(f"{where}: {error}") from None
    if not isinstance(content, dict):
        raise ExperimentError(
            f"{where}: expected keys and values (name, space, data ...), found {type(content).__name__}"
        )
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ExperimentError("\n".join(_lines(error, where))) from None


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, except that a key given twice is refused instead of the first being dropped."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key, _ in node.value:
            if keys.count(key.value) > 1:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep=deep)


def _lines(error: ValidationError, where: str) -> Iterator[str]:
    seen = set()
    for problem in error.errors():
        # Parts that pydantic adds to tell the members of a union apart are not keys of the file.
        path = [str(part) for part in problem["loc"] if not _is_union_member(part)]
        if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            allowed = _allowed_keys(path[:-1])
            message = f"unknown key{_hint(path[-1], allowed)}; allowed: {', '.join(allowed)}"
        elif problem["type"] == "missing":
            message = "missing; it has no default"
        elif problem["type"] in ("value_error", "assertion_error"):
            message = str(problem.get("ctx", {}).get("error", problem["msg"]))
        else:
            message = f"{problem['msg']} (found {problem['input']!r})"
        line = f"{where}: {'.'.join(path) + ': ' if path else ''}{message}"
        if line not in seen:
            seen.add(line)
            yield line


def _is_union_member(part: Any) -> bool:
    return isinstance(part, str) and ("[" in part or part in {"int", "float", "constrained-int", "function-before"})


def _allowed_keys(path: list[str]) -> list[str]:
    """Keys allowed below ``path``, found by walking the models."""
    here: Any = Experiment
    for part in path:
        if part.isdigit():
            continue
        if isinstance(here, type) and issubclass(here, BaseModel):
            annotation: Any = here.model_fields[part].annotation if part in here.model_fields else None
        else:
            hints = {field.name: field for field in dataclasses.fields(here)}
            annotation = hints[part].default_factory if part in hints else None
        here = _model_within(annotation) or here
    if isinstance(here, type) and issubclass(here, BaseModel):
        return list(here.model_fields)
    return [field.name for field in dataclasses.fields(here)]


def _model_within(annotation: Any) -> Any:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_within(inner)
        if found is not None:
            return found
    return None


def _hint(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
