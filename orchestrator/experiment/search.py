"""The search section of an experiment: searcher, number of trainings, and their length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator

from taurank.orchestrator.experiment.spec import Seed, Spec
from taurank.orchestrator.experiment.supernets import SamplerSpec, SupernetSpec, supernet_problem
from taurank.orchestrator.search import SearchError, list_searchers, make_searcher
from taurank.orchestrator.text import hint, problem_lines
from taurank.spaces import SearchSpace
from taurank.trainables.supernet import can_mix, list_supernets

MEASURED_BY_IMAGES = "te_nas"
"""The searcher that measures networks of NAS-Bench-201 on images."""
PRUNING_IMAGES = 14
"""Images that it measures networks on, unless its option ``images`` gives another number."""


class SearchSpec(Spec):
    """A search instead of listed candidates: ``evaluations`` trainings of architectures proposed by ``method``.

    Attributes:
        method: the searcher.
        evaluations: trainings in all.
        epochs: length of a training; by default full training.
        unseen: best predicted architectures that were not trained, to list as well.
        options: options of the searcher; of a searcher with a supernet those of `SupernetSearchOptions`.
    """

    method: str = "posterior"
    evaluations: int = Field(default=60, ge=2)
    epochs: int | None = Field(default=None, ge=1)
    unseen: int = Field(default=20, ge=0)
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("method")
    @classmethod
    def _known(cls, name: str) -> str:
        known = list_searchers()
        if name not in known:
            raise ValueError(f"unknown searcher {name!r}; known: {', '.join(known)}{hint(name, known)}")
        return name

    def problem_in(self, space: SearchSpace) -> tuple[str, str] | None:
        """A field that does not suit the space, with the reason in one line; None if all do."""
        if self.method == MEASURED_BY_IMAGES and space.name != "nasbench201":
            return "method", f"te_nas measures networks of nasbench201 only, not of {space.name}; use another method"
        more: dict[str, Any] = {}
        if self.method == MEASURED_BY_IMAGES:
            for name in ("measure", "prunings"):
                if name in self.options:
                    return "options", f"{name} is made from the images; omit it"
            images = self.options.get("images", PRUNING_IMAGES)
            if isinstance(images, bool) or not isinstance(images, int) or images < 2:
                return "options", f"images: {images!r} is not a whole number of at least 2"
            more = {"prunings": {}}
        if self.method in SAMPLERS:
            problem = supernet_options_problem(self.method, self.options, space)
            if problem is not None:
                return problem
            more = {"scores": [[0.0] * len(options) for options in space.decisions]}
        try:
            make_searcher(self.method, space, **searcher_options(self.method, self.options), **more)
        except SearchError as error:
            return ("options" if self.options else "method"), str(error)
        except TypeError:
            return "options", f"{self.method} cannot take {self.options}: a value is of the wrong type"
        return None


SAMPLERS = {"gdas": "gumbel", "manas": "multi-agent", "darts": "mixture"}
"""Searchers that use the scores of a supernet, with its sampler."""


class SupernetSearchOptions(Spec):
    """``options`` of such a searcher.

    Attributes:
        epochs: of the supernet of the whole space.
        learning_rate: of its weights; replaces the recipe's.
        seed: replaces the experiment's.
        sampler: options of its sampler.
        without: options of decisions that no proposal has.
    """

    epochs: int = Field(default=30, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    seed: Seed | None = None
    sampler: dict[str, Any] = Field(default_factory=dict)
    without: list[str] = Field(default_factory=list)

    def supernet(self, method: str, *, seed: int) -> SupernetSpec:
        """The supernet as a stage of a run; ``seed`` is the experiment's."""
        return SupernetSpec(
            sampler=SamplerSpec(name=SAMPLERS[method], options=self.sampler),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            seed=seed if self.seed is None else self.seed,
        )


def searcher_options(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of the searcher itself, without those of what is measured or trained for it."""
    if method == MEASURED_BY_IMAGES:
        return {name: value for name, value in options.items() if name != "images"}
    if method not in SAMPLERS:
        return dict(options)
    return {"without": SupernetSearchOptions.model_validate(dict(options)).without}


def supernet_options_problem(method: str, options: Mapping[str, Any], space: SearchSpace) -> tuple[str, str] | None:
    """A field that rules out the supernet of a search, with the reason in one line; None if there is none."""
    content = dict(options)
    try:
        asked = SupernetSearchOptions.model_validate(content)
    except ValidationError as error:
        return "options", "; ".join(problem_lines(error, SupernetSearchOptions, content))
    if method == "darts" and space.name in list_supernets() and not can_mix(space):
        text = f"darts computes all options at once, which the supernet of {space.name} cannot; use gdas"
        return "method", text
    found = supernet_problem(asked.supernet(method, seed=0), space)
    if found is None:
        return None
    field, text = found
    return ("options", f"sampler: {text}") if field else ("method", text)
