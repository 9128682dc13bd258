"""Pure decisions about trainings: curves in, one decision per trial and the next steps out.

The policies themselves are imported by ``make_policy``.
"""

from taurank.schedulers.policies.driver import Driver
from taurank.schedulers.policies.orders import by_best_so_far, by_epochs_and_value, by_last_value
from taurank.schedulers.policies.policy import (
    Action,
    Curve,
    Decision,
    Decisions,
    Limits,
    Policy,
    State,
    Step,
    curve_matrix,
)
from taurank.schedulers.policies.registry import choices, list_policies, make_policy, policy_class
from taurank.schedulers.policies.rungs import hyperband_brackets
from taurank.schedulers.policies.simulation import Report, Reported, Sent, Simulation, run_simulated, simulate

__all__ = [
    "Action",
    "Curve",
    "Decision",
    "Decisions",
    "Driver",
    "Limits",
    "Policy",
    "Report",
    "Reported",
    "Sent",
    "Simulation",
    "State",
    "Step",
    "by_best_so_far",
    "by_epochs_and_value",
    "by_last_value",
    "choices",
    "curve_matrix",
    "hyperband_brackets",
    "list_policies",
    "make_policy",
    "policy_class",
    "run_simulated",
    "simulate",
]
