"""The ranker: from evidence rows to an order with uncertainty."""

from orchestrator.ranker.model import RankerOptions, RankingModel, rank_evidence
from orchestrator.ranker.ranking import Ranking
from orchestrator.ranker.views import View, make_views, normal_scores

__all__ = ["RankerOptions", "Ranking", "RankingModel", "View", "make_views", "normal_scores", "rank_evidence"]
