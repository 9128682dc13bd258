"""What an experiment says of a search: who proposes, how many are trained, and how long."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from orchestrator.search.registry import list_searchers, make_searcher
from orchestrator.search.searcher import SearchError
from orchestrator.search_supernet_spec import SAMPLERS, searcher_options, supernet_options_problem
from orchestrator.spec import Spec
from orchestrator.validation import hint
from spaces import SearchSpace
from trainables.proxies.pruning import Active

MEASURED_BY_IMAGES = "te_nas"
"""The searcher that measures networks of NAS-Bench-201 on images."""


class SearchSpec(Spec):
    """A search instead of listed candidates: ``evaluations`` trainings of what ``method`` proposes.

    A training is ``epochs`` long, by default a full one. The list that the search ends in also has the ``unseen`` best
    predicted architectures that were not trained. ``options`` are those of the searcher; for one that begins with a
    supernet those of `SupernetSearchOptions`.
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
            raise ValueError(f"unknown searcher {name!r}; there are {', '.join(known)}{hint(name, known)}")
        return name

    def problem_in(self, space: SearchSpace) -> tuple[str, str] | None:
        """The field that does not suit the space, and why, in one line; None where all do."""
        if self.method == MEASURED_BY_IMAGES and space.name != "nasbench201":
            return "method", f"te_nas measures networks of nasbench201 only, not of {space.name}; take another method"
        if "measure" in self.options:
            return "options", "measure is made from the images; leave it out"
        more: dict[str, Any] = {"measure": _measures_nothing} if self.method == MEASURED_BY_IMAGES else {}
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


def _measures_nothing(active: Active, seed: int) -> tuple[float, float]:
    raise NotImplementedError("it only stands for a measure while options are checked")
