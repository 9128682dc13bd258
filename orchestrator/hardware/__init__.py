"""Bounds on the cost of a network, objectives of accuracy and cost, and their Pareto front. Pure functions."""

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
