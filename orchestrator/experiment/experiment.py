"""The experiment: candidates, data, recipe, stages, budget and baseline.

The whole file is validated before anything is spent, and all errors are reported together. Every default is stated
here.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, Field, field_validator, model_validator

from taurank.orchestrator.evidence import ACCURACY, RankedMetric
from taurank.orchestrator.experiment.budget import Budget, read_budget
from taurank.orchestrator.experiment.hardware import LatencySpec, ObjectiveSpec
from taurank.orchestrator.experiment.knowledge import KnowledgeSpecs
from taurank.orchestrator.experiment.own_training import SPACE as OWN_SPACE
from taurank.orchestrator.experiment.own_training import MetricSpec
from taurank.orchestrator.experiment.parts import BaselineSpec, DataSpec, NarrowSpec, ProxySpec, ResourceSpec, SpaceSpec
from taurank.orchestrator.experiment.recipes import families_from_auto, recipe_from_name
from taurank.orchestrator.experiment.search import SearchSpec
from taurank.orchestrator.experiment.spec import Seed, Spec, options_from_name
from taurank.orchestrator.experiment.supernets import SupernetSpec, supernet_problem
from taurank.orchestrator.experiment.trainings import TrainingSpec
from taurank.orchestrator.hardware import Constraint, ConstraintError, read_constraint
from taurank.orchestrator.ranker import RankerOptions
from taurank.orchestrator.text import ProblemsError, write_yaml
from taurank.spaces import Architecture
from taurank.trainables.data import NO_IMAGES
from taurank.trainables.training import FamilyRecipes, Recipe

Problem: TypeAlias = tuple[tuple[str | int, ...], str]
"""The place of a problem, and its description with the way out."""

OF_NETWORKS = ("search", "narrow", "latency", "objective", "families", "supernets")
"""Sections about networks that taurank builds and trains."""
Logger = Literal["tensorboard", "csv", "json", "mlflow", "wandb"]
"""Loggers of Ray by name; see ``stages.loggers``."""


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


class Experiment(Spec):
    """A whole run. Without ``trainings`` and ``supernets`` taurank splits the budget itself.

    Attributes:
        name: name of the run folder, which also has the time: letters, digits, ``-``, ``_`` and ``.``.
        description: a line for `taurank experiments` and the report.
        space: the search space, with its options.
        candidates: what is ranked: ``all`` of the space, a number to draw at random, or a list of codes. A space of
            models by name also takes patterns, such as ``timm:convnext*``.
        search: proposes architectures as results arrive, instead of ``candidates`` and all stages. A name alone is the
            method.
        constraints: bounds such as ``params <= 5e6`` or ``latency <= 20ms``, applied before anything is trained: listed
            candidates that violate one are excluded, drawn ones are drawn again.
        narrow: draws candidates from the options of each decision that suit the device. The options are selected by
            latency when the run starts, and recorded in its log.
        latency: how latency is measured. It is measured if this key is given, or if a constraint or the objective needs
            it.
        objective: accuracy and cost as one number, beside the ranking.
        data: the images.
        recipe: full training: its keys; the name of one (``imagenet-90``); or a name and what is different, as in
            ``{name: imagenet-90, epochs: 45}``. ``auto`` is short for ``families: auto``.
        families: a recipe for each family of networks, which replaces the optimiser, learning rate, decay, warm-up,
            smoothing and clipping of ``recipe``, or a whole recipe by name; ``auto`` for the shipped ones, which are
            whole recipes where ``data`` has a ``size`` of at least 96 pixels. It is the default for models by name,
            unless ``recipe`` has a name or sets one of these values.
        budget: how many times cheaper than full training of all candidates the evidence is: in epochs (``10x``, or the
            number) or in seconds of devices (``10x seconds``). Or the time that it may take: ``4h``, ``30m`` or ``90s``
            on the clock, ``30 gpu-hours`` or ``8 core-hours`` of devices. An epoch of each candidate is timed then.
        anchors: full trainings to keep if the budget is too small for them to improve the order; the final accuracies
            of other candidates are predicted from them. It has no effect beside ``trainings``.
        proxies: scores of the untrained candidates; a list of names is enough. ``auto``: those of the default split,
            and none if the stages are given.
        trainings: stages of trainings, one after another. Omit it and ``supernets`` for the default split.
        supernets: stages of shared weights; the name of a sampler is enough.
        baseline: full trainings that the ranking is scored against; ``{}`` for one of every candidate.
        ranker: settings of the ranker.
        resources: what a trial gets, and bounds; ``auto`` for the defaults.
        knowledge: results of the same architectures on other data, which cost nothing. ``auto``: finished runs of the
            same space on other data in the folder of the runs, and published accuracies of models by name.
        share_results: whether complete trainings are shared with the other runs of the folder.
        trainable: ``package.module:name`` of the user's own training code, for candidates of any kind; it needs neither
            ``space`` nor ``data``.
        metric: with ``trainable``: the number to rank by, and which end of it is better.
        features: with ``trainable``: a CSV with numbers per candidate.
        loggers: Ray's own, beside the evidence log.
        keep_tune: whether Ray's results of each stage are kept.
        checkpoints: ``best`` keeps the weights of the best epoch of each training.
        seed: of the drawing of candidates and of the trainings.
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
    recipe: Annotated[Recipe, BeforeValidator(recipe_from_name)] = Recipe()
    families: Annotated[FamilyRecipes | None, BeforeValidator(families_from_auto)] = None
    budget: str = "10x"
    anchors: Annotated[int, Field(ge=0)] = 0
    proxies: Annotated[Literal["auto"] | ProxySpec | None, BeforeValidator(_proxies_from_names)] = "auto"
    trainings: list[TrainingSpec] | None = None
    supernets: list[Annotated[SupernetSpec, BeforeValidator(_supernet_from_sampler)]] | None = None
    baseline: BaselineSpec | None = None
    ranker: RankerOptions = RankerOptions()
    resources: Annotated[ResourceSpec, BeforeValidator(_no_resources)] = ResourceSpec()
    knowledge: KnowledgeSpecs = "auto"
    share_results: bool = True
    trainable: str | None = None
    metric: Annotated[MetricSpec | None, BeforeValidator(options_from_name)] = None
    features: str | None = None
    loggers: list[Logger] = Field(default_factory=list)
    keep_tune: bool = False
    checkpoints: Literal["best"] | None = None
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
        return str(read_budget(budget))

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
        """Codes that ``candidates`` lists explicitly, and those that only its patterns match."""
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
        """The recipe of full training of a candidate: that of its family, or the common one."""
        if self.families is None:
            return self.recipe
        space = self.space.make()
        return self.families.recipe(self.recipe, space.family(Architecture(space.name, code)))

    def short_recipe_of(self, code: str, epochs: int) -> Recipe:
        """The recipe of a training of a candidate in so many epochs."""
        recipe = self.recipe_of(code)
        # A family has a learning rate of its own: twice of it made networks diverge, and ordered no better.
        return recipe.in_short(epochs) if self.families is None else recipe.of_length(epochs)

    @property
    def ranker_options(self) -> RankerOptions:
        """The settings of the ranker, with what follows from the candidates and their recipes."""
        # Otherwise a training loss does not mean the same for all candidates.
        compared = self.families is None or self.families.share_loss(self.recipe)
        options = self.ranker.for_candidates(foreign=self.space.make().foreign)
        return dataclasses.replace(options, training_loss=options.training_loss and compared)

    @property
    def ranked_metric(self) -> RankedMetric:
        """The metric by which candidates are ranked."""
        return ACCURACY if self.metric is None else self.metric.ranked

    @property
    def bounds(self) -> tuple[Constraint, ...]:
        """The parsed constraints."""
        return tuple(read_constraint(text) for text in self.constraints)

    @property
    def measured_latency(self) -> LatencySpec | None:
        """How the candidates' latency is measured; None if it is not needed."""
        wanted = any(bound.measure == "latency" for bound in self.bounds)
        wanted = wanted or self.narrow is not None
        wanted = wanted or (self.objective is not None and self.objective.of == "latency")
        return self.latency or (LatencySpec() if wanted else None)

    @property
    def allowance(self) -> Budget:
        """The parsed budget."""
        return read_budget(self.budget)

    def to_yaml(self) -> str:
        """The experiment as a file that can be run again."""
        content = _plain(self)
        if self.trainable is None:
            for field in ("trainable", "metric", "features"):
                del content[field]
        else:
            del content["space"]["options"]["candidates"]  # listed below, too
        if self.search is None:
            del content["search"]
        else:  # its proposals are in the log
            del content["candidates"]
            content |= {"proxies": None, "trainings": [], "supernets": [], "baseline": None}
        return write_yaml(content)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {field.alias or name: _plain(getattr(value, name)) for name, field in type(value).model_fields.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def problems_of(experiment: Experiment) -> Iterator[Problem]:
    """All inconsistencies between the parts of an experiment."""
    yield from _repeated_stages(experiment)
    yield from _bad_trainings(experiment)
    yield from _bad_supernets(experiment)
    yield from _bad_families(experiment)
    yield from _bad_recipes(experiment)
    yield from _bad_resources(experiment)
    yield from _bad_candidates(experiment)
    yield from _bad_narrowing(experiment)
    yield from _bad_search(experiment)
    yield from _bad_own_training(experiment)


def _repeated_stages(experiment: Experiment) -> Iterator[Problem]:
    for kind, specs in (("trainings", experiment.trainings or []), ("supernets", experiment.supernets or [])):
        stages = [spec.stage for spec in specs]
        for index, stage in enumerate(stages):
            if stage in stages[:index]:
                yield (kind, index), f"{stage} is listed twice; each stage may be listed once"


def _bad_trainings(experiment: Experiment) -> Iterator[Problem]:
    full = experiment.recipe.epochs
    for index, spec in enumerate(experiment.trainings or []):
        if spec.epochs > full:
            yield (
                ("trainings", index, "epochs"),
                f"{spec.epochs} is longer than full training (recipe.epochs: {full})",
            )
        if experiment.baseline and spec.task is None and spec.seed in experiment.baseline.seeds:
            text = f"seed {spec.seed} is reserved for the baseline (baseline.seeds); use another seed for evidence"
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
    for field in experiment.families.governed:
        if getattr(experiment.recipe, field) != getattr(default, field):
            text = "each family has its own value; change it in families, or set families: null for one recipe"
            yield ("recipe", field), text
    if experiment.supernets:
        yield ("supernets",), "all paths of a supernet share one recipe; set families: null, or omit supernets"


def _bad_recipes(experiment: Experiment) -> Iterator[Problem]:
    if experiment.families is None:
        if experiment.recipe.problem:
            yield ("recipe",), experiment.recipe.problem
        return
    for family, recipe in experiment.families.recipes.items():
        if recipe.problem:
            yield ("families", family), recipe.problem


def _bad_resources(experiment: Experiment) -> Iterator[Problem]:
    gpus = experiment.resources.gpus_per_trial
    if experiment.trainable is None and isinstance(gpus, float) and gpus > 1:
        text = f"{gpus:g} GPUs for a trial, but a training here uses one, and the others would be idle; write at most 1"
        yield ("resources", "gpus_per_trial"), text


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
        text = f"{space.name} has no decisions with options to remove; omit narrow"
        yield ("narrow",), text
    if not isinstance(experiment.candidates, int):
        yield ("narrow",), "it needs drawn candidates; write candidates: 50, or omit narrow"


def _bad_search(experiment: Experiment) -> Iterator[Problem]:
    if experiment.search is None:
        return
    if experiment.candidates != "all":
        yield ("candidates",), "a search proposes its candidates itself; omit candidates or search"
    for field in ("proxies", "trainings", "supernets", "narrow", "baseline"):
        if field in experiment.model_fields_set and getattr(experiment, field) not in (None, [], "auto"):
            yield (field,), f"a search has no such section; omit {field}, or rank its results in another run"
    if experiment.budget != type(experiment).model_fields["budget"].default:
        yield ("budget",), "search.evaluations and search.epochs define the cost of a search; omit budget"
    if (experiment.search.epochs or 0) > experiment.recipe.epochs:
        text = f"{experiment.search.epochs} is longer than full training (recipe.epochs: {experiment.recipe.epochs})"
        yield ("search", "epochs"), text
    problem = experiment.search.problem_in(experiment.space.make())
    if problem is not None:
        yield ("search", problem[0]), problem[1]


def _bad_own_training(experiment: Experiment) -> Iterator[Problem]:
    if experiment.trainable is None:
        for field in ("metric", "features"):
            if getattr(experiment, field) is not None:
                yield (field,), "it is for own training code; name that as trainable: package.module:function"
        if experiment.space.name == OWN_SPACE:
            yield ("space",), "such candidates need own training code; name it as trainable: package.module:function"
        if experiment.data.name == NO_IMAGES:
            yield ("data",), "only own training code (trainable) needs no images"
        return
    if experiment.metric is None:
        text = "metric is missing: name the number to rank by, which the trainable gives: {name: val_loss, mode: min}"
        yield (), text
    default = Recipe(epochs=experiment.recipe.epochs)
    if experiment.recipe != default:
        yield ("recipe",), "own training code has its own; give recipe: {epochs: N} alone"
    if experiment.data.name != NO_IMAGES:
        yield ("data",), "own training code reads its data itself; omit data"
    for field in OF_NETWORKS:
        if getattr(experiment, field):
            yield (field,), f"it needs networks that taurank builds; omit {field} for own training code"
    if experiment.constraints:
        yield ("constraints",), "they need networks that taurank builds; list only candidates that satisfy them"
    if experiment.proxies not in (None, "auto"):
        yield ("proxies",), "they score networks that taurank builds; give their values as features"
    if experiment.share_results:
        yield ("share_results",), "own training code may have changed since; omit share_results"
    for index, spec in enumerate(experiment.trainings or []):
        if spec.task is not None or spec.epoch_share != 1:
            yield ("trainings", index), "own training code trains on its own data; omit task, subset and resolution"
