"""Scores a ranking against full training."""

from taurank.orchestrator.scoring.baseline_sample import draw_baseline
from taurank.orchestrator.scoring.objective import ObjectiveScore, score_objective
from taurank.orchestrator.scoring.score import SIZES, Score, SourceScore, are_accuracies, score_ranking
from taurank.orchestrator.scoring.speed_up import SpeedUp
from taurank.orchestrator.scoring.tradeoff import (
    FRONT_FILE,
    Front,
    check_objective,
    costs,
    known_cost,
    make_front,
    with_objective,
)
from taurank.orchestrator.scoring.truth import ScoringError, Truth, baseline_truth, read_truth

__all__ = [
    "FRONT_FILE",
    "SIZES",
    "Front",
    "ObjectiveScore",
    "Score",
    "ScoringError",
    "SourceScore",
    "SpeedUp",
    "Truth",
    "are_accuracies",
    "baseline_truth",
    "check_objective",
    "costs",
    "draw_baseline",
    "known_cost",
    "make_front",
    "read_truth",
    "score_objective",
    "score_ranking",
    "with_objective",
]
