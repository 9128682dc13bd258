"""The part of an experiment that narrows its space to what suits a device."""

from __future__ import annotations

from pydantic import Field

from orchestrator.spec import Spec
from trainables.option_selection import Capacity


class NarrowSpec(Spec):
    """Candidates are drawn with some options of each decision only: the ``keep`` of the most capacity a millisecond.

    An option that leaves its layer out is kept besides. Latency is measured as ``latency`` says, or taken from its
    table.
    """

    keep: int = Field(default=4, ge=1)
    capacity: Capacity = "flops"
