"""What Python programs and notebooks use; the names of `import taurank` come from here."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.api.comparing import kendall_tau
    from taurank.orchestrator.api.own_results import next_trainings, rank
    from taurank.orchestrator.api.planning import Plan, plan
    from taurank.orchestrator.api.rankings import Ranking
    from taurank.orchestrator.api.run_folders import Run, open_run, rank_models, run, score

__all__ = [
    "Plan",
    "Ranking",
    "Run",
    "kendall_tau",
    "next_trainings",
    "open_run",
    "plan",
    "rank",
    "rank_models",
    "run",
    "score",
]

__getattr__ = lazy_names(__name__)
