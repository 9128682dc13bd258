"""Settings of the ranker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Models = tuple[Literal["gaussian-process", "extra-trees", "boosted-trees", "pairwise"], ...]
Aggregation = Literal["normal-scores", "log-rank", "borda", "bradley-terry"]


@dataclass(frozen=True)
class RankerOptions:
    """Settings of the ranker.

    Attributes:
        models: regressors of the final score; the Gaussian process always takes part.
        aggregation: how the sources are fused into the prior order.
        training_loss: whether the training loss counts beside the accuracy of short trainings. It never does where
            families have recipes whose losses differ, as in label smoothing or mixup.
        one_design: whether the candidates are of one design, so that size and curvature proxies can be expected to
            order them. By default those of a search space are, and models by name or of own code are not.
        failed: place of a candidate all of whose trainings failed: ``last``, below all others, or ``unknown``, where
            the evidence without training puts it (in the middle without any).
    """

    models: Models = ("gaussian-process", "extra-trees")
    aggregation: Aggregation = "normal-scores"
    training_loss: bool = True
    one_design: bool | None = None
    failed: Literal["last", "unknown"] = "last"

    def for_candidates(self, *, foreign: bool) -> RankerOptions:
        """With ``one_design`` decided: candidates of ``foreign`` spaces are networks of other people, of any kind."""
        return self if self.one_design is not None else replace(self, one_design=not foreign)
