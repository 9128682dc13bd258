"""Experiments whose candidates the user's own code trains: their metric, and what such a file means."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import field_validator, model_validator

from taurank.orchestrator.evidence import PREDICTED, PREDICTED_SD, Mode, RankedMetric
from taurank.orchestrator.experiment.spec import Spec
from taurank.orchestrator.text import ProblemsError
from taurank.spaces import OwnCandidates, SpaceError, candidate_code
from taurank.trainables.data import NO_IMAGES
from taurank.trainables.table import direction_of
from taurank.trainables.training import Recipe

if TYPE_CHECKING:
    from taurank.orchestrator.experiment.experiment import Experiment

SPACE = OwnCandidates.name
RESERVED = frozenset((
    PREDICTED, PREDICTED_SD, "config", "done", "epoch", "evidence", "outcome", "reason", "seconds", "taken_from",
    "training_iteration", "trial", "trial_id", "unsaved",
))  # fmt: skip
"""Names that results have for other things."""
IMAGES_ONLY = ("search", "narrow", "latency", "objective", "families", "supernets")
"""Sections about networks that taurank builds and trains."""


class MetricSpec(Spec):
    """The number that the user's training code gives after each epoch, and which end of it is better.

    Without ``mode`` the name has to say it: lower is better for losses and errors, higher for accuracies and scores.
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
            text = f"the name {self.name!r} does not say which end is better; give min or max"
            raise ProblemsError([(("mode",), text)])
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


def own_training_problems(experiment: Experiment) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Parts of an experiment that contradict its having, or lacking, training code of the user's own."""
    if experiment.trainable is None:
        for field in ("metric", "features"):
            if getattr(experiment, field) is not None:
                yield (field,), "it is for own training code; name that as trainable: package.module:function"
        if experiment.space.name == SPACE:
            yield ("space",), "such candidates need own training code; name it as trainable: package.module:function"
        if experiment.data.name == NO_IMAGES:
            yield ("data",), "only own training code (trainable) needs no images"
        return
    if experiment.metric is None:
        yield ("metric",), "name the number to rank by, which the trainable gives: {name: val_loss, mode: min}"
    default = Recipe(epochs=experiment.recipe.epochs)
    if experiment.recipe != default:
        yield ("recipe",), "own training code has its own; give recipe: {epochs: N} alone"
    if experiment.data.name != NO_IMAGES:
        yield ("data",), "own training code reads its data itself; omit data"
    for field in IMAGES_ONLY:
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
