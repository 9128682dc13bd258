"""Settings of a supernet beside its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

_SAMPLERS = ("uniform", "epsilon-greedy")


@dataclass(frozen=True)
class SupernetConfig:
    """How paths are sampled, and how batch norm is made fit for each before it is scored.

    Attributes:
        sampler: ``uniform`` or ``epsilon-greedy``.
        epsilon: share of random rounds of the epsilon-greedy sampler, in [0, 1].
        random_rounds: its first rounds, all random.
        recalibrate: re-estimate the batch-norm statistics of a path before it is scored. Without it all paths are
            scored with the statistics that the training has left.
        calibration_images: training images used for that, or all where there are fewer; at least 2.

    Raises:
        ValueError: a value outside its range; the message names the field, the value and the range.
    """

    sampler: Literal["uniform", "epsilon-greedy"] = "uniform"
    epsilon: float = 0.2
    random_rounds: int = 100
    recalibrate: bool = True
    calibration_images: int = 512

    def __post_init__(self) -> None:
        if self.sampler not in _SAMPLERS:
            raise ValueError(f"sampler is {self.sampler!r}; it has to be one of {', '.join(_SAMPLERS)}")
        if not 0 <= self.epsilon <= 1:
            raise ValueError(f"epsilon is {self.epsilon}; it has to be in [0, 1]")
        for name, lowest in (("random_rounds", 0), ("calibration_images", 2)):
            if getattr(self, name) < lowest:
                raise ValueError(f"{name} is {getattr(self, name)}; it has to be at least {lowest}")
