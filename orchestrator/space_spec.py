"""What an experiment says of its search space."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from orchestrator.spec import Spec
from orchestrator.validation import ProblemsError
from spaces import SearchSpace, get_space, list_spaces


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
