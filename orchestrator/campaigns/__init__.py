"""The top of the product: a run or a search from its experiment to its report."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.campaigns.ahead import plan_ahead
    from taurank.orchestrator.campaigns.campaign import run_campaign
    from taurank.orchestrator.campaigns.rescoring import rank_again, score_again
    from taurank.orchestrator.campaigns.searching import create_search, run_search
    from taurank.orchestrator.campaigns.starting import (
        Place,
        experiment_images,
        load_models,
        load_search,
        resume_run,
        run_to_its_end,
        start_run,
    )

__all__ = [
    "Place",
    "create_search",
    "experiment_images",
    "load_models",
    "load_search",
    "plan_ahead",
    "rank_again",
    "resume_run",
    "run_campaign",
    "run_search",
    "run_to_its_end",
    "score_again",
    "start_run",
]

__getattr__ = lazy_names(__name__)
