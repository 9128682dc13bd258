"""What an experiment says of the supernet that a search begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from orchestrator.spec import Seed, Spec
from orchestrator.supernet_spec import SamplerSpec, SupernetSpec, supernet_problem
from orchestrator.validation import problem_lines
from spaces import SearchSpace
from trainables.supernet import can_mix, list_supernets

SAMPLERS = {"gdas": "gumbel", "manas": "multi-agent", "darts": "mixture"}
"""Searchers whose scores a supernet is trained for, and its sampler."""


class SupernetSearchOptions(Spec):
    """``options`` of such a searcher.

    The supernet of the whole space is trained for ``epochs``, with ``learning_rate`` in place of the recipe's and
    ``seed`` in place of the experiment's; ``sampler`` has the options of its sampler. ``without`` are options of
    architectures that are not proposed.
    """

    epochs: int = Field(default=30, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    seed: Seed | None = None
    sampler: dict[str, Any] = Field(default_factory=dict)
    without: list[str] = Field(default_factory=list)

    def supernet(self, method: str, *, seed: int) -> SupernetSpec:
        """The supernet, as a run has them; ``seed`` is the experiment's."""
        return SupernetSpec(
            sampler=SamplerSpec(name=SAMPLERS[method], options=self.sampler),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            seed=seed if self.seed is None else self.seed,
        )


def searcher_options(method: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """What the searcher itself is given: for those that need no supernet all of it."""
    if method not in SAMPLERS:
        return dict(options)
    return {"without": SupernetSearchOptions.model_validate(dict(options)).without}


def supernet_options_problem(method: str, options: Mapping[str, Any], space: SearchSpace) -> tuple[str, str] | None:
    """The field that keeps a search from its supernet, and why, in one line; None where nothing does."""
    content = dict(options)
    try:
        asked = SupernetSearchOptions.model_validate(content)
    except ValidationError as error:
        return "options", "; ".join(problem_lines(error, SupernetSearchOptions, content))
    if method == "darts" and space.name in list_supernets() and not can_mix(space):
        text = f"darts computes all options at once, which the supernet of {space.name} cannot; take gdas"
        return "method", text
    found = supernet_problem(asked.supernet(method, seed=0), space)
    if found is None:
        return None
    field, text = found
    return ("options", f"sampler: {text}") if field else ("method", text)
