"""Search in spaces that are too large to list: searchers propose architectures and take in results."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.search.final_lists import final_list
    from taurank.orchestrator.search.proposals import (
        ACCURACY,
        STAGE,
        Proposals,
        note_unseen,
        proposed_codes,
        unseen_codes,
    )
    from taurank.orchestrator.search.registry import list_searchers, make_searcher, searcher_class
    from taurank.orchestrator.search.searcher import Constraints, Direction, Observation, Problem, Searcher, SearchError
    from taurank.orchestrator.search.te_nas import TeNasSearcher

__all__ = [
    "ACCURACY",
    "STAGE",
    "Constraints",
    "Direction",
    "Observation",
    "Problem",
    "Proposals",
    "SearchError",
    "Searcher",
    "TeNasSearcher",
    "final_list",
    "list_searchers",
    "make_searcher",
    "note_unseen",
    "proposed_codes",
    "searcher_class",
    "unseen_codes",
]

__getattr__ = lazy_names(__name__)
