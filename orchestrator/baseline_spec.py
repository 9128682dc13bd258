"""What an experiment says of the full trainings that its ranking is scored against."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from orchestrator.spec import Seed, Spec
from orchestrator.tau import PER_STRATUM


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
