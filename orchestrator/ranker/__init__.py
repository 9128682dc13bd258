"""The ranker: from evidence rows to an order with uncertainty."""

from orchestrator.ranker.model import rank_evidence
from orchestrator.ranker.ranking import Ranking
from orchestrator.ranker.views import View, make_views, normal_scores

__all__ = ["Ranking", "View", "make_views", "normal_scores", "rank_evidence"]
