"""Latency of networks: measured, or summed over their parts."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.trainables.latency.candidates import (
        CandidateLatency,
        Setting,
        has_fewer_parts,
        measure_whole,
        parts_by_code,
        table_of_parts,
    )
    from taurank.trainables.latency.capacity import Capacity
    from taurank.trainables.latency.options import every_option, select_options
    from taurank.trainables.latency.parts import LatencyError
    from taurank.trainables.latency.table import Conditions, LatencyTable

__all__ = [
    "CandidateLatency",
    "Capacity",
    "Conditions",
    "LatencyError",
    "LatencyTable",
    "Setting",
    "every_option",
    "has_fewer_parts",
    "measure_whole",
    "parts_by_code",
    "select_options",
    "table_of_parts",
]

__getattr__ = lazy_names(__name__)
