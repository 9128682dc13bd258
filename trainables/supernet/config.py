"""Settings of a supernet beside its recipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

BatchNorm = Literal["recalibrated", "batch", "running"]


@dataclass(frozen=True)
class SupernetConfig:
    """Sampler, splitting of weights, and batch-norm statistics of scores.

    Attributes:
        sampler: its name, see ``list_samplers``.
        options: of the sampler.
        batch_norm: statistics that a path is scored with. ``recalibrated``: re-estimated for each path on training
            images. ``batch``: of each batch of validation images. ``running``: those that the training of all paths has
            left; it exists to repeat studies that did so.
        calibration_images: training images used to recalibrate, or all where there are fewer; at least 2.
        split_after: share of the training, in (0, 1), after which every option of one decision gets weights of its own
            (few-shot NAS); None for one set of weights to the end.
        split_decision: position of that decision among the space's; None takes the one with the most impact on the
            loss so far.

    Raises:
        ValueError: a value outside its range; the message names the field, the value and the range.
    """

    sampler: str = "uniform"
    options: Mapping[str, Any] = field(default_factory=dict)
    batch_norm: BatchNorm = "recalibrated"
    calibration_images: int = 512
    split_after: float | None = None
    split_decision: int | None = None

    def __post_init__(self) -> None:
        if self.batch_norm not in get_args(BatchNorm):
            raise ValueError(f"batch_norm is {self.batch_norm!r}; it has to be one of {', '.join(get_args(BatchNorm))}")
        if self.calibration_images < 2:
            raise ValueError(f"calibration_images is {self.calibration_images}; it has to be at least 2")
        if self.split_after is not None and not 0 < self.split_after < 1:
            raise ValueError(f"split_after is {self.split_after}; it has to be above 0 and below 1, or null")
        if self.split_decision is not None and (self.split_after is None or self.split_decision < 0):
            raise ValueError(
                f"split_decision is {self.split_decision}; it has to be at least 0 and needs split_after beside it"
            )
