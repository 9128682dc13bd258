"""Common base of all parts of an experiment file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Spec(BaseModel):
    """A part of an experiment: immutable, and it refuses unknown keys and wrong types."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Seed = Annotated[int, Field(ge=0)]


def options_from_name(value: Any) -> Any:
    """A name alone stands for that name with default options."""
    return {"name": value} if isinstance(value, str) else value
