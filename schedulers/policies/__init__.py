"""Pure decisions about trainings: curves in, one decision a trial and the next steps out."""

from schedulers.policies.penguin import PenguinPolicy
from schedulers.policies.policy import Action, Curve, Decision, Decisions, Limits, Policy, Step
from schedulers.policies.registry import list_policies, make_policy

__all__ = [
    "Action",
    "Curve",
    "Decision",
    "Decisions",
    "Limits",
    "PenguinPolicy",
    "Policy",
    "Step",
    "list_policies",
    "make_policy",
]
