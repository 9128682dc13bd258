"""The cell space of NAS-Bench-201."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.spaces.nasbench201.code import EDGES, OPERATIONS, format_code, parse_code
    from taurank.spaces.nasbench201.graph import live_edges
    from taurank.spaces.nasbench201.network import ClassifierHead, MacroNetwork, make_operation
    from taurank.spaces.nasbench201.space import NASBench201

__all__ = [
    "EDGES",
    "OPERATIONS",
    "ClassifierHead",
    "MacroNetwork",
    "NASBench201",
    "format_code",
    "live_edges",
    "make_operation",
    "parse_code",
]

__getattr__ = lazy_names(__name__)
