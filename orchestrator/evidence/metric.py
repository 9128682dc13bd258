"""The metric by which candidates are ranked: its name in the log, its direction, and how its values are written."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from taurank.orchestrator.evidence.names import TEST_ACCURACY, VALIDATION_ACCURACY

Mode = Literal["min", "max"]


@dataclass(frozen=True)
class RankedMetric:
    """A metric of trainings.

    Attributes:
        name: of its rows in the log.
        mode: which end is better.
        final: name of the rows of the baseline that the ranking is scored against.
        is_own: whether it is the user's, with values of any size.
    """

    name: str = VALIDATION_ACCURACY
    mode: Mode = "max"
    final: str = TEST_ACCURACY
    is_own: bool = False

    @staticmethod
    def own(name: str, mode: Mode) -> RankedMetric:
        """A metric of the user's training code; the baseline is measured by the same."""
        return RankedMetric(name, mode, name, is_own=True)

    @property
    def lower_is_better(self) -> bool:
        """Whether lower values are better."""
        return self.mode == "min"

    @property
    def title(self) -> str:
        """Its name in a sentence."""
        return self.name if self.is_own else "validation accuracy"

    @property
    def final_title(self) -> str:
        """The name of final values in a sentence."""
        return self.name if self.is_own else "accuracy"

    def text(self, value: float) -> str:
        """A value as it is shown: an accuracy in percent, a value of the user's metric as it is."""
        if not math.isfinite(value):
            return "not finite"
        return f"{value:.5g}" if self.is_own else f"{value:.1%}"

    def rising(self, value: float) -> float:
        """The value, negated where lower is better."""
        return -value if self.lower_is_better else value


ACCURACY = RankedMetric()
"""Of trainings on images by taurank."""
