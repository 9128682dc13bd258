"""What is known of architectures from elsewhere, and what a ranking made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Relation = Literal["same-kind", "other", "short"]
"""How the earlier task relates to the present one.

``same-kind``: full trainings on another data set of the same kind, such as two classifications of natural images.
``other``: full trainings on anything else. ``short``: short trainings on another data set.
"""


@dataclass(frozen=True)
class KnowledgeSource:
    """Results of architectures of the same space on another data set or task.

    Attributes:
        name: of the source, for lines about it.
        values: final value by architecture code, higher is better, in any unit. NaN is no value; so should be a
            training that ended at chance. Codes that are no candidates teach how to predict the candidates that lack a
            value.
        relation: see ``Relation``.
        fidelity: share of full training that the values stand for, in (0, 1]; only ``short`` reads it.

    Raises:
        ValueError: an unknown relation, or a fidelity outside (0, 1].
    """

    name: str
    values: Mapping[str, float]
    relation: Relation = "other"
    fidelity: float = 1.0

    def __post_init__(self) -> None:
        if self.relation not in get_args(Relation):
            known = ", ".join(get_args(Relation))
            raise ValueError(f"knowledge {self.name}: relation is {self.relation!r}; it has to be one of {known}")
        if not 0 < self.fidelity <= 1:
            raise ValueError(f"knowledge {self.name}: fidelity is {self.fidelity}; it has to be above 0 and at most 1")


@dataclass(frozen=True)
class KnowledgeUse:
    """What a ranking made of one source of knowledge.

    Attributes:
        name: of the source.
        relation: as it was given.
        known: candidates that have a value.
        predicted: candidates whose value is predicted from the encoding.
        reliability: correlation with the truth that the source is trusted with, in [0, 0.95]; 0 where it was dropped.
        weight: its share in the order; the sources add up to ``Ranking.weights["knowledge"]``.
        reason: why it is trusted so far, in words.
    """

    name: str
    relation: Relation
    known: int
    predicted: int
    reliability: float
    weight: float
    reason: str
