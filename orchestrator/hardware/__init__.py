"""Bounds and objectives on what a network costs, and the Pareto front of accuracy against cost. Pure functions."""

from taurank.orchestrator.hardware.constraints import Constraint, ConstraintError, Measure, read_amount, read_constraint
from taurank.orchestrator.hardware.objectives import Kind, ObjectiveError, objective
from taurank.orchestrator.hardware.pareto import front, front_probability

__all__ = [
    "Constraint",
    "ConstraintError",
    "Kind",
    "Measure",
    "ObjectiveError",
    "front",
    "front_probability",
    "objective",
    "read_amount",
    "read_constraint",
]
