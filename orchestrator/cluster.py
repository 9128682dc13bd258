"""Where trials run: a local Ray of our own or a running cluster, and what share of it one trial takes."""

from __future__ import annotations

import logging
import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.experiment import ResourceSpec
from spaces import Architecture, SearchSpace
from trainables.data import ImageData
from trainables.recipe import Recipe
from trainables.training import EVALUATION_BATCH, Training

MEMORY_SLACK = 1.1
"""Peaks vary a little from step to step; Ray does not enforce GPU memory, so leave room."""


class ClusterError(RuntimeError):
    """The cluster cannot be reached or cannot run these trials; one line with the way out."""


@dataclass(frozen=True)
class Slot:
    """What one trial takes: CPU cores (also its number of threads) and a share of a GPU."""

    cpus: float
    gpus: float = 0.0

    @property
    def resources(self) -> dict[str, float]:
        """The share as Ray Tune wants it."""
        return {"cpu": self.cpus} | ({"gpu": self.gpus} if self.gpus else {})


@dataclass(frozen=True)
class Cluster:
    """A connected Ray cluster.

    Attributes:
        cpus: cores in all.
        gpus: GPUs in all.
        cpus_per_node: cores of the largest node; no trial can have more.
        dashboard: address of the dashboard, empty when there is none.
        local: whether it is ours, started for this run on this machine.
    """

    cpus: float
    gpus: float
    cpus_per_node: float
    dashboard: str
    local: bool


@contextmanager
def connect(
    address: str | None, *, resources: ResourceSpec, dashboard: bool = False, log_file: Path | None = None
) -> Iterator[Cluster]:
    """Joins the cluster at ``address``, or starts one on this machine that listens on loopback only.

    Raises:
        ClusterError: no cluster at the address, or resources asked of a cluster that has a size already.
    """
    level = logging.WARNING
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": level, "configure_logging": True}
    try:
        if address:
            if resources.cpus is not None or resources.gpus is not None:
                raise ClusterError(
                    "resources.cpus and resources.gpus are for a local Ray; leave them out with --address"
                )
            info = ray.init(address=address, runtime_env=_runtime_env(), **common)
        else:
            info = ray.init(
                address="local",
                num_cpus=resources.cpus,
                num_gpus=resources.gpus,
                include_dashboard=dashboard,
                dashboard_host="127.0.0.1",
                **common,
            )
    except ClusterError:
        raise
    except Exception as error:
        where = f"the Ray cluster at {address}" if address else "a local Ray"
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ClusterError(f"cannot join {where}: {reason}") from None
    _log_to(log_file)
    try:
        total = ray.cluster_resources()
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        url = str(info.get("webui_url") or "") if (dashboard or address) else ""
        yield Cluster(
            cpus=total.get("CPU", 0.0),
            gpus=total.get("GPU", 0.0),
            cpus_per_node=max((node.get("CPU", 0.0) for node in nodes), default=0.0),
            dashboard=f"http://{url}" if url else "",
            local=not address,
        )
    finally:
        ray.shutdown()


def _runtime_env() -> dict[str, Any]:
    """Ships our packages to the workers, unless a job has shipped its working directory already."""
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        return {}
    root = Path(__file__).resolve().parents[1]
    return {"py_modules": [str(root / package) for package in ("orchestrator", "trainables", "schedulers", "spaces")]}


def _log_to(log_file: Path | None) -> None:
    """Ray's own warnings go to the run's log: the terminal belongs to the progress display."""
    if log_file is None:
        return
    handler = logging.FileHandler(log_file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("ray")
    logger.handlers = [handler]
    logger.propagate = False


def check_shared(folder: Path) -> None:
    """Makes sure that every node sees ``folder``, before anything is spent.

    Raises:
        ClusterError: a node does not; names it.
    """
    marker = folder / f".shared-{uuid.uuid4().hex}"
    marker.touch()
    try:
        sees = ray.remote(lambda path: os.path.exists(path)).options(num_cpus=0)
        for node in (node for node in ray.nodes() if node["Alive"]):
            pinned = sees.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
            if not ray.get(pinned.remote(str(marker)), timeout=120):
                raise ClusterError(
                    f"node {node['NodeManagerAddress']} does not see {folder}; "
                    "give --out a folder that all nodes share (NFS, for example)"
                )
    finally:
        marker.unlink(missing_ok=True)


def plan_slot(cluster: Cluster, resources: ResourceSpec, *, trials: int, peak_memory: float | None = None) -> Slot:
    """The share of the cluster that each of ``trials`` trials takes.

    On GPUs: one trial needs the share ``peak_memory`` (as a share of a GPU's memory, CUDA context included), so
    floor(1 / share) fit on each; a whole GPU where nothing was measured. Cores are divided fairly between the trials
    that run at once, and none gets more than a node has.

    Raises:
        ClusterError: more asked for than there is.
    """
    asked = resources.gpus_per_trial
    gpus = _gpu_share(cluster, peak_memory) if asked == "auto" else float(asked)
    if gpus > cluster.gpus:
        raise ClusterError(f"resources.gpus_per_trial is {gpus}, but the cluster has {cluster.gpus:g} GPUs")
    asked = resources.cpus_per_trial
    cpus = _cores(cluster, gpus, trials) if asked == "auto" else float(asked)
    if cpus > cluster.cpus_per_node:
        raise ClusterError(
            f"resources.cpus_per_trial is {cpus:g}, but the largest node has {cluster.cpus_per_node:g} cores"
        )
    return Slot(cpus=cpus, gpus=gpus)


def _gpu_share(cluster: Cluster, peak_memory: float | None) -> float:
    if not cluster.gpus:
        return 0.0
    fitting = max(1, math.floor(1 / peak_memory)) if peak_memory else 1
    at_once = min(fitting, max(1, math.floor(cluster.cpus / cluster.gpus)))
    # Rounded down, or the sum of the shares would exceed the whole.
    return math.floor(1e4 / at_once) / 1e4


def _cores(cluster: Cluster, gpus: float, trials: int) -> float:
    places = math.floor(cluster.gpus / gpus + 1e-6) if gpus else math.floor(cluster.cpus)
    fair = max(1, math.floor(cluster.cpus / max(min(trials, places), 1)))
    return float(min(fair, max(cluster.cpus_per_node, 1.0)))


def measure_peak_memory(
    space: SearchSpace, largest: Architecture, recipe: Recipe, data: Any, *, input_shape: tuple[int, int, int]
) -> float | None:
    """Share of a GPU's memory that training ``largest`` takes at its peak, CUDA context included.

    Trains one epoch on two batches in a worker that has a GPU to itself. None where no GPU answers (a node may declare
    GPUs that it does not have). More than 1 when it does not fit.
    """

    def measure(images: ImageData) -> float | None:
        import dataclasses

        import torch

        if not torch.cuda.is_available():
            return None
        few = dataclasses.replace(
            images,
            train=images.train.take(np.arange(min(2 * recipe.batch_size, len(images.train)))),
            validation=images.validation.take(np.arange(min(EVALUATION_BATCH, len(images.validation)))),
            test=images.test.take(np.arange(1)),
        )

        def build() -> torch.nn.Module:
            return space.build(largest, input_shape=input_shape, classes=len(images.classes))

        try:
            Training(build, recipe.of_length(1), few, seed=0, device="cuda").step_epoch()
        except torch.OutOfMemoryError:
            return 2.0
        free, total = torch.cuda.mem_get_info()
        context = total - free - torch.cuda.memory_reserved()
        return MEMORY_SLACK * (torch.cuda.max_memory_reserved() + max(context, 0)) / total

    share = ray.get(ray.remote(num_gpus=1, num_cpus=0)(measure).remote(data))
    return None if share is None else float(share)
