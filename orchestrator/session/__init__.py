"""One process at work on a run folder: lock, state file, log file, storage, Ctrl-C; and its status from outside.

Imports neither torch nor Ray, so that `taurank status` is fast.
"""

from taurank.orchestrator.session.interruption import EXIT_CODE, Interruption, RunInterruptedError
from taurank.orchestrator.session.lock import RunHeldError, hold_run, holder_of
from taurank.orchestrator.session.log import RAY_LOG, RunLog
from taurank.orchestrator.session.state import Counts, RunState, StagePlan, StatusFile, Waiting
from taurank.orchestrator.session.status import RunStatus, StageStatus, StatusError, run_status, run_trials
from taurank.orchestrator.session.storage import check_after_loss, check_room, storage_failures
from taurank.orchestrator.session.time_left import StageLeft, Work, time_left, trainings_left

__all__ = [
    "EXIT_CODE",
    "RAY_LOG",
    "Counts",
    "Interruption",
    "RunHeldError",
    "RunInterruptedError",
    "RunLog",
    "RunState",
    "RunStatus",
    "StageLeft",
    "StagePlan",
    "StageStatus",
    "StatusError",
    "StatusFile",
    "Waiting",
    "Work",
    "check_after_loss",
    "check_room",
    "hold_run",
    "holder_of",
    "run_status",
    "run_trials",
    "storage_failures",
    "time_left",
    "trainings_left",
]
