"""Settings of networks that belong to a recipe: dropout, stochastic depth, residual branches that begin at zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Made = TypeVar("Made")


@dataclass(frozen=True)
class ModelOptions:
    """Settings of a network beside its architecture; one that has no such setting is built without it.

    Attributes:
        dropout: Probability before the last layer; None for that of the model.
        drop_path: Probability that the last residual block is left out; those before it have proportionally less
            (stochastic depth, Huang et al. 2016, arXiv 1603.09382). None for that of the model.
        zero_init_last: Whether the last normalisation of a residual branch begins at zero, so that the network begins
            as a shallow one (Goyal et al. 2017, arXiv 1706.02677, section 5.1). False leaves it to the model.
    """

    dropout: float | None = None
    drop_path: float | None = None
    zero_init_last: bool = False

    def named(self, *, dropout: str, drop_path: str, zero_init_last: str = "") -> dict[str, Any]:
        """What is asked for, by the names that a library has for it; no name where it has none."""
        values = {dropout: self.dropout, drop_path: self.drop_path, zero_init_last: self.zero_init_last or None}
        return {name: value for name, value in values.items() if name and value is not None}


UNCHANGED = ModelOptions()
"""Networks as their library has them."""


def made_with(create: Callable[..., Made], needed: Mapping[str, Any], wanted: Mapping[str, Any]) -> Made:
    """Calls `create` with what is needed, and with what it takes of what is wanted.

    Raises:
        TypeError: It does not take what is needed.
    """
    left = dict(wanted)
    while True:
        try:
            return create(**needed, **left)
        except TypeError as error:
            refused = next((name for name in left if repr(name) in str(error)), None)
            if refused is None:
                raise
        del left[refused]
