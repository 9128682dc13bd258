"""Cell spaces of DARTS and PNAS, and the network that their cells are stacked to."""

from taurank.spaces.cells.darts import DARTS
from taurank.spaces.cells.pnas import PNAS

__all__ = [
    "DARTS",
    "PNAS",
]
