"""The experiment file: what to rank, on which images, by which recipe, under which budget.

Everything is checked, all errors at once, before anything is spent. Every default is stated here.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator, model_validator

from orchestrator.constraints import Constraint, ConstraintError, read_constraint
from orchestrator.hardware_spec import LatencySpec, ObjectiveSpec
from orchestrator.narrow_spec import NarrowSpec
from orchestrator.ranker import RankerOptions
from orchestrator.search_spec import SearchSpec
from orchestrator.spec import Seed, Spec, options_from_name
from orchestrator.supernet_spec import SupernetSpec, supernet_problem
from orchestrator.tau import PER_STRATUM
from orchestrator.training_spec import TrainingSpec
from orchestrator.validation import ProblemsError, hint, problem_lines
from orchestrator.yaml_text import YamlError, read_yaml, write_yaml
from spaces import Architecture, SearchSpace, Zoo, get_space, list_spaces
from trainables.data import check_dataset_name
from trainables.data.own_images import split_own
from trainables.family_recipe import GOVERNED, FamilyRecipes
from trainables.proxies import batch_size, get_proxy
from trainables.proxies.chunk import ProxyConfig, score_cost
from trainables.recipe import Recipe

NAMED = resources.files("orchestrator.experiments")


class ExperimentError(ValueError):
    """An experiment that cannot be run; one line per problem, each naming the field and the way out."""


class SpaceSpec(Spec):
    """A registered search space and the options it is made with."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> SpaceSpec:
        try:
            self.make()
        except ValueError as error:
            field = "options" if self.name in list_spaces() else "name"
            raise ProblemsError([((field,), str(error).removeprefix("space: "))]) from None
        return self

    def make(self) -> SearchSpace:
        """The space itself."""
        return get_space(self.name, **self.options)


class DataSpec(Spec):
    """Images and how they are split.

    ``name`` is a published data set, or own images: ``folder:PATH``, ``imagenet:PATH``, ``npz:PATH``. A path is
    relative to the folder of the experiment file. ``size`` is what files are decoded to; without it that is 64.

    ``validation``, ``test`` and ``train`` are a share of the images (below 1) or a number of images. Ranking looks at
    validation images only, the baseline at test images. ``size`` resizes all images to size x size. ``evaluate_on:
    training`` evaluates on the training images; it is there to repeat a published study that did so.
    """

    name: str
    validation: float | int = 0.2
    test: float | int | None = None
    train: float | int | None = None
    size: int | None = Field(default=None, ge=4)
    seed: Seed = 0
    evaluate_on: Literal["held-out", "training"] = "held-out"

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        check_dataset_name(name)
        return name

    def relative_to(self, folder: Path) -> DataSpec:
        """The same with the path of own images made absolute: it means the same from wherever the run goes on."""
        own = split_own(self.name)
        if own is None:
            return self
        kind, path = own
        return self.model_copy(update={"name": f"{kind}:{(folder / path).resolve()}"})

    @field_validator("validation", "test", "train")
    @classmethod
    def _some(cls, share: float | int | None) -> float | int | None:
        if share is not None and (share <= 0 or (isinstance(share, float) and share > 1)):
            raise ValueError(f"{share} is neither a share of the images (0.2) nor a number of images (1000)")
        return share


class ProxySpec(Spec):
    """Scores of the untrained candidates.

    ``images`` of the training part, drawn with ``seed``, are the batch that all are scored on. A score is the mean over
    ``initialisations``, with the weights of seeds ``seed``, ``seed + 1`` and so on. Without ``images`` there are
    as many as ``batch_size`` says.
    """

    names: list[str]
    images: int | None = Field(default=None, ge=2)
    initialisations: int = Field(default=1, ge=1)
    seed: Seed = 0

    @field_validator("names")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        if not names:
            raise ValueError("names no proxy; write `proxies: null` for none, or leave proxies out for the default")
        for place, name in enumerate(names):
            get_proxy(name)
            if name in names[:place]:
                raise ValueError(f"{name} is listed twice; a proxy can be there once")
        return names

    @property
    def batch_images(self) -> int:
        """Images in the batch, those of a large image where none are named."""
        return self.images or batch_size(None)

    @property
    def config(self) -> ProxyConfig:
        """What a trial is told."""
        return ProxyConfig(tuple(self.names), tuple(range(self.seed, self.seed + self.initialisations)))

    def epochs(self, train_images: int) -> float:
        """Epoch-equivalents for one candidate; see ``score_cost``."""
        counts = {"images": self.batch_images, "initialisations": self.initialisations, "train_images": train_images}
        return sum(score_cost(name, **counts) for name in self.names)


class BaselineSpec(Spec):
    """Full trainings that the ranking is scored against; never part of the evidence.

    ``candidates: all`` trains everybody; a number trains that many, drawn at random by design from the finished
    ranking, and tau is estimated from them.
    """

    seeds: tuple[Seed, ...] = (1,)
    candidates: Literal["all"] | Annotated[int, Field(ge=PER_STRATUM)] = "all"

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds) or not seeds:
            raise ValueError(f"seeds are {list(seeds)}; give at least one, none twice (baseline: null for no baseline)")
        return seeds


class ResourceSpec(Spec):
    """What one training trial takes. ``auto``: a measured fraction of a GPU where there is one, else CPU threads.

    ``checkpoint_gigabytes``: what the states of all trainings of the run may take on disk. Beyond it those that have
    ended lose theirs, then those of the waiting ones that have trained least; these start over when they are thawed.
    ``hang_minutes``: a trial that reports nothing for so long is ended, and has failed if that happens again. ``auto``:
    20 times the median of what results of the stage took so far, and at least ten minutes.
    """

    cpus_per_trial: float | Literal["auto"] = "auto"
    gpus_per_trial: float | Literal["auto"] = "auto"
    cpus: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=0)
    checkpoint_gigabytes: float = Field(default=50.0, ge=0)
    hang_minutes: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"

    @property
    def patience(self) -> float | None:
        """Seconds that a trial may report nothing; None for ``auto``."""
        return None if self.hang_minutes == "auto" else 60 * self.hang_minutes

    @field_validator("cpus_per_trial", "gpus_per_trial")
    @classmethod
    def _sensible(cls, value: float | str) -> float | str:
        if isinstance(value, float) and (value < 0 or (value > 1 and value != int(value))):
            raise ValueError(f"{value} is not a share Ray can place: use a fraction up to 1, or a whole number")
        return value

    @field_validator("cpus_per_trial")
    @classmethod
    def _bounded(cls, value: float | str) -> float | str:
        if value == 0:
            raise ValueError("0 CPUs would start all trials at once: use a fraction up to 1, or a whole number")
        return value


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
        problems = [
            *self._repeated_stages(),
            *self._bad_trainings(),
            *self._bad_supernets(),
            *self._bad_families(),
            *self._bad_candidates(),
            *self._bad_narrowing(),
            *self._bad_search(),
        ]
        if problems:
            raise ProblemsError(problems)
        return self

    def _repeated_stages(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        for kind, specs in (("trainings", self.trainings or []), ("supernets", self.supernets or [])):
            stages = [spec.stage for spec in specs]
            for index, stage in enumerate(stages):
                if stage in stages[:index]:
                    yield (kind, index), f"{stage} is listed twice; each stage can be there once"

    def _bad_trainings(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        full = self.recipe.epochs
        for index, spec in enumerate(self.trainings or []):
            if spec.epochs > full:
                yield (
                    ("trainings", index, "epochs"),
                    f"{spec.epochs} is longer than full training (recipe.epochs: {full})",
                )
            if self.baseline and spec.task is None and spec.seed in self.baseline.seeds:
                text = f"seed {spec.seed} is a baseline seed too: the truth must not be bought as evidence"
                yield ("trainings", index, "seed"), text

    def _bad_supernets(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        space = self.space.make()
        for index, spec in enumerate(self.supernets or []):
            problem = supernet_problem(spec, space)
            if problem is not None:
                yield ("supernets", index, *problem[0]), problem[1]

    def _bad_families(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        if self.families is None:
            return
        default = Recipe()
        for field in GOVERNED:
            if getattr(self.recipe, field) != getattr(default, field):
                text = "each family says that for itself; change it in families, or set families: null for all alike"
                yield ("recipe", field), text
        if self.supernets:
            yield ("supernets",), "all paths of a supernet share one recipe; set families: null, or leave supernets out"

    def _bad_candidates(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        space, asked = self.space.make(), self.candidates
        if not isinstance(asked, list):
            try:
                size = space.size
            except ValueError as error:
                yield ("space", "options"), str(error)
                return
            if isinstance(asked, int) and size is not None and asked > size:
                yield ("candidates",), f"{asked} are more than the {size} of {self.space.name}"
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

    def _bad_narrowing(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        if self.narrow is None:
            return
        space = self.space.make()
        if space.foreign or not space.decisions:
            text = f"{space.name} has no decisions whose options could be left out; leave narrow out"
            yield ("narrow",), text
        if not isinstance(self.candidates, int):
            yield ("narrow",), "it is for candidates that are drawn; write candidates: 50, or leave narrow out"

    def _bad_search(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        if self.search is None:
            return
        if self.candidates != "all":
            yield ("candidates",), "a search proposes its candidates itself; leave candidates out, or search"
        for field in ("proxies", "trainings", "supernets", "narrow", "baseline"):
            if field in self.model_fields_set and getattr(self, field) not in (None, [], "auto"):
                yield (field,), f"a search has no such part; leave {field} out, or rank what it finds in another run"
        if self.budget != _default_of("budget"):
            yield ("budget",), "search.evaluations and search.epochs say what a search spends; leave budget out"
        if (self.search.epochs or 0) > self.recipe.epochs:
            text = f"{self.search.epochs} is longer than full training (recipe.epochs: {self.recipe.epochs})"
            yield ("search", "epochs"), text
        problem = self.search.problem_in(self.space.make())
        if problem is not None:
            yield ("search", problem[0]), problem[1]

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


def _default_of(field: str) -> Any:
    return Experiment.model_fields[field].default


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
