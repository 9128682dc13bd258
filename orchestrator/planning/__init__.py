"""From a budget to stages, and the tau that such a plan is expected to reach."""

from taurank.orchestrator.planning.forecast import Forecast, forecast
from taurank.orchestrator.planning.outlook import (
    NEIGHBOURS,
    Option,
    Outlook,
    PlanError,
    PlannedStages,
    PlanRequest,
    Progress,
    counts,
    look_ahead,
    progress_of,
    training_epochs,
)
from taurank.orchestrator.planning.pace import Pace, Purse, logged_pace, speed_up
from taurank.orchestrator.planning.replayed_taus import ReplayedTau, Setting, shipped_replays, summarise_cell
from taurank.orchestrator.planning.rounds import (
    LogRanker,
    Problem,
    choice_of,
    chosen_before,
    plan_trainings,
    planned_epochs,
    revised,
    run_rounds,
)
from taurank.orchestrator.planning.split import ROUNDING
from taurank.orchestrator.planning.stages import (
    ASSUMED_IMAGES,
    DEFAULT_PROXIES,
    candidate_count,
    cheap_proxies,
    default_proxies,
    default_stages,
    split_stages,
)

__all__ = [
    "ASSUMED_IMAGES",
    "DEFAULT_PROXIES",
    "NEIGHBOURS",
    "ROUNDING",
    "Forecast",
    "LogRanker",
    "Option",
    "Outlook",
    "Pace",
    "PlanError",
    "PlanRequest",
    "PlannedStages",
    "Problem",
    "Progress",
    "Purse",
    "ReplayedTau",
    "Setting",
    "candidate_count",
    "cheap_proxies",
    "choice_of",
    "chosen_before",
    "counts",
    "default_proxies",
    "default_stages",
    "forecast",
    "logged_pace",
    "look_ahead",
    "plan_trainings",
    "planned_epochs",
    "progress_of",
    "revised",
    "run_rounds",
    "shipped_replays",
    "speed_up",
    "split_stages",
    "summarise_cell",
    "training_epochs",
]
