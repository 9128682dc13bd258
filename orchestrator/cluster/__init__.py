"""Ray: where trials run, what one of them takes, and adapters to Ray Tune."""

from taurank.orchestrator.cluster.cluster import Cluster, ClusterError, Slot, connect
from taurank.orchestrator.cluster.peak_memory import measure_peak_memory
from taurank.orchestrator.cluster.room import check_room_for_trials
from taurank.orchestrator.cluster.shared_folder import check_shared, prepare_packed
from taurank.orchestrator.cluster.slots import plan_slot
from taurank.orchestrator.cluster.tune import TrialNames, WorkerKeepingGenerator, use_trial_actors
from taurank.orchestrator.cluster.worker_watch import WorkerWatch

__all__ = [
    "Cluster",
    "ClusterError",
    "Slot",
    "TrialNames",
    "WorkerKeepingGenerator",
    "WorkerWatch",
    "check_room_for_trials",
    "check_shared",
    "connect",
    "measure_peak_memory",
    "plan_slot",
    "prepare_packed",
    "use_trial_actors",
]
