"""Pure decisions about trainings: curves in, one decision a trial out."""

from schedulers.policies.penguin import PenguinPolicy
from schedulers.policies.policy import Action, Curve, Decision, Policy

__all__ = ["Action", "Curve", "Decision", "PenguinPolicy", "Policy"]
