"""One stage of a run through Ray Tune, with every result recorded in the evidence log."""

from taurank.orchestrator.stages.checkpoints import CheckpointStore
from taurank.orchestrator.stages.decisions import ended_event, paused_event, predicted_values, sent_event
from taurank.orchestrator.stages.display import Display
from taurank.orchestrator.stages.launch import Setting
from taurank.orchestrator.stages.loggers import LoggerError, check_loggers
from taurank.orchestrator.stages.metrics import RunMetrics, broadcast, run_metrics
from taurank.orchestrator.stages.pretext_check import check_task
from taurank.orchestrator.stages.proxy_rows import void_lines, void_scores
from taurank.orchestrator.stages.runner import StageRunner
from taurank.orchestrator.stages.running import can_continue, run_stage
from taurank.orchestrator.stages.scheduling import (
    check_policy,
    features_by_code,
    kind_of,
    logged_curves,
    training_limits,
)
from taurank.orchestrator.stages.shared_results import SharedResults, taken_over_line
from taurank.orchestrator.stages.stage import (
    Stage,
    baseline_stage,
    check_budget,
    proxy_stage,
    training_stage,
    trial_spec,
)
from taurank.orchestrator.stages.supernet_runs import SupernetRun, note_trained_for, trained_for
from taurank.orchestrator.stages.supernet_stages import supernet_stage

__all__ = [
    "CheckpointStore",
    "Display",
    "LoggerError",
    "RunMetrics",
    "Setting",
    "SharedResults",
    "Stage",
    "StageRunner",
    "SupernetRun",
    "baseline_stage",
    "broadcast",
    "can_continue",
    "check_budget",
    "check_loggers",
    "check_policy",
    "check_task",
    "ended_event",
    "features_by_code",
    "kind_of",
    "logged_curves",
    "note_trained_for",
    "paused_event",
    "predicted_values",
    "proxy_stage",
    "run_metrics",
    "run_stage",
    "sent_event",
    "supernet_stage",
    "taken_over_line",
    "trained_for",
    "training_limits",
    "training_stage",
    "trial_spec",
    "void_lines",
    "void_scores",
]
