"""The cell space of NAS-Bench-201."""

from taurank.spaces.nasbench201.code import EDGES
from taurank.spaces.nasbench201.graph import live_edges
from taurank.spaces.nasbench201.network import ClassifierHead, MacroNetwork
from taurank.spaces.nasbench201.space import OPERATIONS, NASBench201, format_code, make_operation, parse_code

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
