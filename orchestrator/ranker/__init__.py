"""The ranker: from evidence rows to an order with uncertainty."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.ranker.accuracy import FEWEST_ANCHORS
    from taurank.orchestrator.ranker.choices import can_design, choose_full_trainings, choose_short_runs
    from taurank.orchestrator.ranker.contenders import find_contenders
    from taurank.orchestrator.ranker.design import Spending
    from taurank.orchestrator.ranker.failures import find_failures
    from taurank.orchestrator.ranker.final import Labels, align_to_prior, final_inputs, score_targets
    from taurank.orchestrator.ranker.gaussian_process import JITTER, GaussianProcess, cholesky
    from taurank.orchestrator.ranker.groups import PRETEXT_TASKS, SUPERNETS
    from taurank.orchestrator.ranker.inputs import Inputs, make_inputs
    from taurank.orchestrator.ranker.knowledge import FEWEST_COMPARED, FEWEST_KNOWN, KNOWLEDGE
    from taurank.orchestrator.ranker.knowledge_sources import KnowledgeSource, KnowledgeUse, Relation
    from taurank.orchestrator.ranker.metric_scale import MetricScale, final_values, in_accuracies, in_unit
    from taurank.orchestrator.ranker.model import RankingModel, rank_evidence
    from taurank.orchestrator.ranker.options import RankerOptions
    from taurank.orchestrator.ranker.prior import prior_order
    from taurank.orchestrator.ranker.prospects import Prospect, TrainingOption
    from taurank.orchestrator.ranker.ranking import LEVEL, Certainty, Ranking
    from taurank.orchestrator.ranker.regressors import REGRESSORS, FinalInputs, GaussianProcessRegressor
    from taurank.orchestrator.ranker.short_runs import complete_short_runs
    from taurank.orchestrator.ranker.signal import JUDGING, Validation, signal_of
    from taurank.orchestrator.ranker.trust import FEWEST_ALONE, SupernetTrust, ranking_lines, supernet_trust
    from taurank.orchestrator.ranker.views import (
        LOWER_IS_BETTER,
        Kind,
        View,
        make_views,
        normal_scores,
    )

__all__ = [
    "FEWEST_ALONE",
    "FEWEST_ANCHORS",
    "FEWEST_COMPARED",
    "FEWEST_KNOWN",
    "JITTER",
    "JUDGING",
    "KNOWLEDGE",
    "LEVEL",
    "LOWER_IS_BETTER",
    "PRETEXT_TASKS",
    "REGRESSORS",
    "SUPERNETS",
    "Certainty",
    "FinalInputs",
    "GaussianProcess",
    "GaussianProcessRegressor",
    "Inputs",
    "Kind",
    "KnowledgeSource",
    "KnowledgeUse",
    "Labels",
    "MetricScale",
    "Prospect",
    "RankerOptions",
    "Ranking",
    "RankingModel",
    "Relation",
    "Spending",
    "SupernetTrust",
    "TrainingOption",
    "Validation",
    "View",
    "align_to_prior",
    "can_design",
    "cholesky",
    "choose_full_trainings",
    "choose_short_runs",
    "complete_short_runs",
    "final_inputs",
    "final_values",
    "find_contenders",
    "find_failures",
    "in_accuracies",
    "in_unit",
    "make_inputs",
    "make_views",
    "normal_scores",
    "prior_order",
    "rank_evidence",
    "ranking_lines",
    "score_targets",
    "signal_of",
    "supernet_trust",
]

__getattr__ = lazy_names(__name__)
