"""The share of a cluster that one trial takes, so that as many as can run at once."""

from __future__ import annotations

import math

from taurank.orchestrator.cluster.cluster import Cluster, ClusterError, Slot
from taurank.orchestrator.experiment import ResourceSpec


def plan_slot(cluster: Cluster, resources: ResourceSpec, *, trials: int, peak_memory: float | None = None) -> Slot:
    """The share of the cluster for each of ``trials`` trials, so that as many as possible run at once.

    GPUs: floor(1 / peak_memory) trials fit on each, where ``peak_memory`` is the share of a GPU's memory that one trial
    needs, CUDA context included; a trial gets a whole GPU if it is unknown or there are no more trials than GPUs.
    Cores: as many as possible without reducing the number of concurrent trials.

    Raises:
        ClusterError: no node has as much as requested.
    """
    if not any(node.cpus for node in cluster.nodes):
        raise ClusterError("the cluster has no cores to run trials on")
    asked = resources.gpus_per_trial
    gpus = _gpu_share(cluster, trials, peak_memory) if asked == "auto" else float(asked)
    asked = resources.cpus_per_trial
    cpus = _cores(cluster, gpus, trials) if asked == "auto" else float(asked)
    slot = Slot(cpus=cpus, gpus=gpus)
    if not cluster.places(slot):
        raise ClusterError(_too_much(cluster, slot))
    return slot


def _gpu_share(cluster: Cluster, trials: int, peak_memory: float | None) -> float:
    with_gpu = [node for node in cluster.nodes if node.gpus and node.cpus]
    if not with_gpu:
        return 0.0
    fitting = max(1, math.floor(1 / peak_memory)) if peak_memory else 1
    with_cores = max(1, math.floor(max(node.cpus / node.gpus for node in with_gpu)))
    wanted = math.ceil(trials / sum(node.gpus for node in with_gpu))
    # Rounded down, or the sum of the shares would exceed the whole.
    return math.floor(1e4 / max(1, min(fitting, with_cores, wanted))) / 1e4


def _cores(cluster: Cluster, gpus: float, trials: int) -> float:
    """Whole cores, since a trial has at least one thread."""
    at_once = min(trials, cluster.places(Slot(cpus=1.0, gpus=gpus)))
    most = math.floor(max(node.cpus for node in cluster.nodes))
    return next((float(cpus) for cpus in range(most, 1, -1) if cluster.places(Slot(cpus, gpus)) >= at_once > 0), 1.0)


def _too_much(cluster: Cluster, slot: Slot) -> str:
    gpus = max(node.gpus for node in cluster.nodes)
    if slot.gpus > gpus:
        return f"resources.gpus_per_trial is {slot.gpus:g}, but the largest node has {gpus:g} GPUs"
    cpus = max(node.cpus for node in cluster.nodes if node.gpus >= slot.gpus)
    which = "largest node with such a share of GPUs" if slot.gpus else "largest node"
    return f"resources.cpus_per_trial is {slot.cpus:g}, but the {which} has {cpus:g} cores"
