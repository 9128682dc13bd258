"""Experiments whose candidates the user's own code trains: their metric, and what such a file means."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator, model_validator

from taurank.orchestrator.evidence import PREDICTED, PREDICTED_SD, Mode, RankedMetric
from taurank.orchestrator.experiment.spec import Spec
from taurank.spaces import OwnCandidates, SpaceError, candidate_code
from taurank.trainables.data import NO_IMAGES
from taurank.trainables.table import direction_of

SPACE = OwnCandidates.name
RESERVED = frozenset((
    PREDICTED, PREDICTED_SD, "config", "done", "epoch", "evidence", "outcome", "reason", "seconds", "taken_from",
    "training_iteration", "trial", "trial_id", "unsaved",
))  # fmt: skip
"""Names that results have for other things."""


class MetricSpec(Spec):
    """The number that the user's training code gives after each epoch, and which end of it is better.

    Attributes:
        name: its name in the results.
        mode: ``min`` or ``max``, the better end. By default it follows from the name: lower is better for losses and
            errors, higher for accuracies and scores.
    """

    name: str
    mode: Mode | None = None

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        if name in RESERVED or not name.strip():
            raise ValueError(f"{name!r} has another meaning in results; give the number another name")
        return name

    @model_validator(mode="after")
    def _directed(self) -> MetricSpec:
        if self.mode is None and direction_of(self.name) == "none":
            raise ValueError(f"the name {self.name!r} does not say which end is better; give mode: min or mode: max")
        return self

    @property
    def ranked(self) -> RankedMetric:
        """The metric with its direction."""
        mode: Mode = "min" if direction_of(self.name) == "lower" else "max"
        return RankedMetric.own(self.name, self.mode or mode)


def with_own_training(content: dict[Any, Any]) -> tuple[dict[Any, Any], list[str]]:
    """The content of a file with what ``trainable`` implies, and one line for each candidate that cannot be read.

    Candidates become codes of a space of their own. There are no images, and nothing that needs networks.
    """
    if content.get("trainable") is None:
        return content, []
    asked, space = content.get("candidates"), content.get("space")
    if space is not None and (space.get("name") if isinstance(space, dict) else space) != SPACE:
        return content, ["space: own training code takes candidates as they are; omit space"]
    if not isinstance(asked, list):
        return content, ["candidates: list what the trainable takes: names, or mappings of options such as {depth: 3}"]
    codes, problems = [], []
    for index, candidate in enumerate(asked):
        try:
            codes.append(candidate_code(candidate))
        except SpaceError as error:
            problems.append(f"candidates.{index}: {str(error).removeprefix('code: ')}")
    options = space.get("options") if isinstance(space, dict) else None
    options = {"candidates": codes, "features": (options or {}).get("features") or {}}
    try:
        OwnCandidates(codes).by_name  # noqa: B018 - refuses equal names
    except SpaceError as error:
        problems.append(str(error))
    implied = {"data": NO_IMAGES, "proxies": None, "knowledge": None, "share_results": False}
    return {**implied, **content, "candidates": codes, "space": {"name": SPACE, "options": options}}, problems
