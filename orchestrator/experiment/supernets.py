"""The supernet section of an experiment."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, field_validator, model_validator

from taurank.orchestrator.evidence import CONTENDERS
from taurank.orchestrator.experiment.parts import ImageCounts
from taurank.orchestrator.experiment.spec import Seed, Spec, options_from_name
from taurank.orchestrator.text import ProblemsError, hint
from taurank.spaces import SearchSpace
from taurank.trainables.supernet import BatchNorm, Paths, SupernetConfig, list_samplers, list_supernets, make_sampler


class SamplerSpec(Spec):
    """A path sampler, which selects the paths of each training step, and its options.

    Attributes:
        name: of the sampler.
        options: options of that sampler.
    """

    name: str = "uniform"
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in list_samplers():
            known = ", ".join(list_samplers())
            raise ValueError(f"unknown sampler {name!r}; known: {known}{hint(name, list_samplers())}")
        return name


class ContenderSpec(Spec):
    """Candidates that the supernet cannot separate are trained further from its weights, and ranked again.

    Attributes:
        epochs: length of these trainings, on a schedule of their own.
        share: of the training images; an epoch costs that share.
        most: at most that many candidates take part, those with the closest gaps; null for all that are too close.
        learning_rate: replaces the recipe's.
    """

    epochs: int = Field(default=1, ge=1)
    share: float = Field(default=1.0, gt=0, le=1)
    most: int | None = Field(default=None, ge=2)
    learning_rate: float | None = Field(default=None, gt=0)

    def count(self, candidates: int) -> int:
        """Maximal number of contenders."""
        return candidates if self.most is None else min(self.most, candidates)

    def cost(self, candidates: int) -> float:
        """Upper bound of the cost in epoch-equivalents."""
        return self.count(candidates) * self.epochs * self.share


class SupernetSpec(Spec):
    """One training with shared weights that scores every candidate.

    Attributes:
        sampler: selects the paths of each step; a name is enough.
        epochs: length of the training, at the cost of as many passes of one candidate over the training images.
        learning_rate: replaces the recipe's.
        batch_norm: statistics for scoring a path: ``recalibrated`` on training images, those of each ``batch``, or the
            ``running`` ones, which all paths share, to reproduce studies that used them.
        calibration_images: training images for ``recalibrated``.
        split_after: after this share of the training every option of one decision gets weights of its own (few-shot).
        split_decision: the decision that is split; by default the one with the largest effect.
        contenders: trains candidates further that the supernet cannot separate.
        seed: of the weights and of the paths.
    """

    sampler: Annotated[SamplerSpec, BeforeValidator(options_from_name)] = SamplerSpec()
    epochs: int = Field(default=10, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)
    batch_norm: BatchNorm = "recalibrated"
    calibration_images: int = Field(default=512, ge=2)
    split_after: float | None = Field(default=None, gt=0, lt=1)
    split_decision: int | None = Field(default=None, ge=0)
    contenders: ContenderSpec | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _splits_to_some_end(self) -> SupernetSpec:
        if self.split_decision is not None and self.split_after is None:
            raise ProblemsError([(("split_decision",), "nothing is split; give split_after too")])
        return self

    @property
    def stage(self) -> str:
        """Name of the stage in the evidence log."""
        return f"supernet:{self.sampler.name}" + ("" if self.split_after is None else "-few-shot")

    @property
    def contenders_source(self) -> str:
        """Source of the accuracies of contenders."""
        return f"{self.stage}{CONTENDERS}"

    @property
    def config(self) -> SupernetConfig:
        """Settings for a trial."""
        return SupernetConfig(
            sampler=self.sampler.name,
            options=self.sampler.options,
            batch_norm=self.batch_norm,
            calibration_images=self.calibration_images,
            split_after=self.split_after,
            split_decision=self.split_decision,
        )

    def score_cost(self, images: ImageCounts) -> float:
        """Epoch-equivalents of one candidate's score: a forward pass is a third of a training step."""
        calibration = min(self.calibration_images, images.train) if self.batch_norm == "recalibrated" else 0
        return (images.validation + calibration) / (3 * images.train)

    def cost(self, candidates: int, images: ImageCounts) -> float:
        """Epoch-equivalents of its training, of the scores of all candidates, and of its contenders, at most."""
        contenders = 0.0 if self.contenders is None else self.contenders.cost(candidates)
        return self.epochs + candidates * self.score_cost(images) + contenders


def supernet_problem(spec: SupernetSpec, space: SearchSpace) -> tuple[tuple[str, ...], str] | None:
    """A field that rules out such a supernet for a space, with the reason; None if there is none."""
    if space.name not in list_supernets():
        return (), f"space {space.name!r} has no supernet; these have one: {', '.join(list_supernets())}"
    drawn = space.sample(2, np.random.default_rng(0))
    try:
        sampler = make_sampler(
            spec.sampler.name, Paths(space, tuple(one.code for one in drawn)), **spec.sampler.options
        )
    except TypeError:
        return ("sampler", "options"), f"{spec.sampler.name!r} cannot take {spec.sampler.options}: a wrong type"
    except ValueError as error:
        return ("sampler", "options"), str(error)
    decisions = len(space.decisions)
    if spec.split_after is not None and not sampler.can_be_split:
        return ("split_after",), f"the sampler {spec.sampler.name} cannot train a split supernet; omit it"
    if spec.split_after is not None and not decisions:
        return ("split_after",), f"{space.name} has no fixed decisions to split by; omit it"
    if spec.split_decision is not None and spec.split_decision >= decisions:
        return ("split_decision",), f"{spec.split_decision} is none of the {decisions} decisions (0 to {decisions - 1})"
    return None
