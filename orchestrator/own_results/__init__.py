"""Results of trainings that taurank has not run: read, ranked, and what to train next."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.own_results.following import NextTraining, NextTrainings, plan_next
    from taurank.orchestrator.own_results.ranking import ResultsModel, model_of
    from taurank.orchestrator.own_results.records import ResultsError
    from taurank.orchestrator.own_results.results import Results, read_features, read_results

__all__ = [
    "NextTraining",
    "NextTrainings",
    "Results",
    "ResultsError",
    "ResultsModel",
    "model_of",
    "plan_next",
    "read_features",
    "read_results",
]

__getattr__ = lazy_names(__name__)
