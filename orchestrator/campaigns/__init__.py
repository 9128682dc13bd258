"""The top of the product: a run or a search from its experiment to its report."""

from taurank.orchestrator.campaigns.campaign import run_campaign
from taurank.orchestrator.campaigns.searching import create_search, run_search

__all__ = ["create_search", "run_campaign", "run_search"]
