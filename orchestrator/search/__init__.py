"""Search in spaces that are too large to list: searchers that propose, and are told."""

from orchestrator.search.final_list import FinalList, final_list
from orchestrator.search.registry import list_searchers, make_searcher
from orchestrator.search.searcher import Constraints, Observation, Problem, Searcher, SearchError

__all__ = [
    "Constraints",
    "FinalList",
    "Observation",
    "Problem",
    "SearchError",
    "Searcher",
    "final_list",
    "list_searchers",
    "make_searcher",
]
