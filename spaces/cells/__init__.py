"""Cell spaces of DARTS and PNAS."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.spaces.cells.darts import DARTS
    from taurank.spaces.cells.pnas import PNAS

__all__ = [
    "DARTS",
    "PNAS",
]

__getattr__ = lazy_names(__name__)
