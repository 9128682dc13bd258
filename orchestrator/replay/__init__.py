"""A campaign over a table of recorded trainings and a simulated clock: months of GPU time in seconds."""

from orchestrator.replay.bench import Bench, make_bench
from orchestrator.replay.cheap import Cheap, choose_cheap
from orchestrator.replay.draw import draw_candidates, replay_draw
from orchestrator.replay.draws import replay_draws
from orchestrator.replay.errors import ReplayError
from orchestrator.replay.measures import Row
from orchestrator.replay.plan import ReplayPlan, plan_replay, read_trainings
from orchestrator.replay.policies import (
    Comparison,
    PolicyRow,
    compare_draw,
    compare_policies,
    policy_draws,
    read_policies,
)
from orchestrator.replay.policy_printing import (
    policies_to_json,
    print_policy_draw,
    print_policy_head,
    print_policy_summary,
    summarise_policies,
)
from orchestrator.replay.printing import print_draw, print_head, print_summary, say
from orchestrator.replay.summary import summarise, to_json, write_rows
from orchestrator.replay.truth import Truth

__all__ = [
    "Bench",
    "Cheap",
    "Comparison",
    "PolicyRow",
    "ReplayError",
    "ReplayPlan",
    "Row",
    "Truth",
    "choose_cheap",
    "compare_draw",
    "compare_policies",
    "draw_candidates",
    "make_bench",
    "plan_replay",
    "policies_to_json",
    "policy_draws",
    "print_draw",
    "print_head",
    "print_policy_draw",
    "print_policy_head",
    "print_policy_summary",
    "print_summary",
    "read_policies",
    "read_trainings",
    "replay_draw",
    "replay_draws",
    "say",
    "summarise",
    "summarise_policies",
    "to_json",
    "write_rows",
]
