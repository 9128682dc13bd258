"""The ranking against the truth."""

from orchestrator.scoring.score import Score, SourceScore, TopScore, are_accuracies, score_ranking
from orchestrator.scoring.speed_up import SpeedUp
from orchestrator.scoring.truth import ScoringError, Truth, baseline_truth, read_truth

__all__ = [
    "Score",
    "ScoringError",
    "SourceScore",
    "SpeedUp",
    "TopScore",
    "Truth",
    "are_accuracies",
    "baseline_truth",
    "read_truth",
    "score_ranking",
]
