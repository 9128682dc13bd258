"""A campaign over a table of recorded trainings and a simulated clock: months of GPU time in seconds."""

from taurank.orchestrator.replay.bench import Bench, make_bench
from taurank.orchestrator.replay.cheap import Cheap, choose_cheap
from taurank.orchestrator.replay.draw import draw_candidates, replay_draw, replay_draws
from taurank.orchestrator.replay.known import knowledge_of, read_knowledge
from taurank.orchestrator.replay.own_replays import OwnReplays
from taurank.orchestrator.replay.plan import ReplayPlan, parse_budget, plan_replay, read_trainings
from taurank.orchestrator.replay.policies import (
    Comparison,
    PolicyRow,
    compare_draw,
    compare_policies,
    policy_draws,
    read_policies,
)
from taurank.orchestrator.replay.policy_printing import (
    policies_document,
    print_policy_draw,
    print_policy_head,
    print_policy_summary,
    summarise_policies,
)
from taurank.orchestrator.replay.printing import print_draw, print_head, print_summary
from taurank.orchestrator.replay.summary import Row, campaigns_document, summarise, write_rows
from taurank.orchestrator.replay.truth import ReplayError

__all__ = [
    "Bench",
    "Cheap",
    "Comparison",
    "OwnReplays",
    "PolicyRow",
    "ReplayError",
    "ReplayPlan",
    "Row",
    "campaigns_document",
    "choose_cheap",
    "compare_draw",
    "compare_policies",
    "draw_candidates",
    "knowledge_of",
    "make_bench",
    "parse_budget",
    "plan_replay",
    "policies_document",
    "policy_draws",
    "print_draw",
    "print_head",
    "print_policy_draw",
    "print_policy_head",
    "print_policy_summary",
    "print_summary",
    "read_knowledge",
    "read_policies",
    "read_trainings",
    "replay_draw",
    "replay_draws",
    "summarise",
    "summarise_policies",
    "write_rows",
]
