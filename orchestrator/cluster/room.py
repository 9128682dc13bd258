"""Whether a trial has room where a run is to take place, before the run is created."""

from __future__ import annotations

import torch
from ray._private.utils import get_num_cpus

from taurank.orchestrator.cluster.cluster import Cluster, Slot, connect, is_local
from taurank.orchestrator.cluster.slots import plan_slot
from taurank.orchestrator.experiment import ResourceSpec


def check_room_for_trials(address: str | None, resources: ResourceSpec) -> None:
    """Makes sure that a cluster can be joined, and that some node of it is large enough for a trial.

    A local Ray would have the resources of this machine, so it need not be started for that.

    Args:
        address: of the cluster; None for a local Ray.
        resources: of a trial.

    Raises:
        ClusterError: it cannot be joined, or no node is large enough.
    """
    if is_local(address):
        cpus = get_num_cpus() if resources.cpus is None else resources.cpus
        gpus = torch.cuda.device_count() if resources.gpus is None else resources.gpus
        plan_slot(Cluster(nodes=(Slot(cpus=float(cpus), gpus=float(gpus)),)), resources, trials=1)
        return
    with connect(address, resources=resources) as cluster:
        plan_slot(cluster, resources, trials=1)
