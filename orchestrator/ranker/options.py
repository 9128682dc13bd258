"""Settings of the ranker."""

from dataclasses import dataclass
from typing import Literal

Models = tuple[Literal["gaussian-process", "extra-trees", "boosted-trees", "pairwise"], ...]
Aggregation = Literal["normal-scores", "log-rank", "borda", "bradley-terry"]


@dataclass(frozen=True)
class RankerOptions:
    """Settings of the ranker.

    Attributes:
        models: regressors of the final score; the Gaussian process always takes part.
        aggregation: how the sources are fused into the prior order.
        training_loss: whether the training loss counts beside the accuracy of short trainings. Between families of
            networks, and between recipes, it measures how fast a network fits, not how well it generalises.
        failed: place of a candidate all of whose trainings failed: ``last``, below all others, or ``unknown``, where
            the evidence without training puts it (in the middle without any).
    """

    models: Models = ("gaussian-process", "extra-trees")
    aggregation: Aggregation = "normal-scores"
    training_loss: bool = True
    failed: Literal["last", "unknown"] = "last"
