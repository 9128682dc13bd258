"""Checks that all nodes of a cluster can access a folder and run workers."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from taurank.orchestrator.cluster.cluster import ClusterError, one_line, shipped_with_job
from taurank.trainables.data import DataError, PackedImages, check_pack_length

NODE_SECONDS = 60.0
"""Time limit for starting a worker process and importing torch, which takes seconds on an idle node."""


def check_shared(folder: Path, *, option: str = "--out") -> None:
    """Checks that every node can see and write ``folder`` and import the trial classes.

    ``option`` is the command line option for another folder.

    Raises:
        ClusterError: a node cannot; names it.
    """
    if "working_dir" in shipped_with_job() and folder.resolve().is_relative_to(Path.cwd().resolve()):
        raise ClusterError(
            f"{folder} is in the working directory of the job, which Ray removes after it; "
            f"give {option} a folder that all nodes share"
        )
    marker = folder / f".shared-{uuid.uuid4().hex}"
    marker.touch()

    def inspect(path: str) -> str:
        if not os.path.exists(path):
            return "does not see"
        try:
            import taurank.trainables.trials.checkpointed  # noqa: F401
        except Exception as error:
            return f"import: {type(error).__name__}: {error}"
        try:
            with open(f"{path}-{uuid.uuid4().hex}", "w") as file:
                os.unlink(file.name)
        except OSError:
            return "cannot write to"
        return ""

    try:
        for host, problem in _ask_nodes(lambda: inspect(str(marker)), seconds=NODE_SECONDS):
            if problem.startswith("import: "):
                raise ClusterError(f"node {host} cannot {problem}; install taurank's dependencies there")
            if problem:
                raise ClusterError(
                    f"node {host} {problem} {folder}; give {option} a folder that all nodes share (NFS, for example)"
                )
    finally:
        marker.unlink(missing_ok=True)


def prepare_packed(images: PackedImages) -> None:
    """Checks that every node can read a file of packed images, after copying it to a local disk if that is asked for.

    Raises:
        ClusterError: a node cannot; names it.
    """
    none = images.part(np.arange(0))  # the rows of all images need not travel

    def open_file() -> str:
        try:
            check_pack_length(none.copy_to_node())
        except (DataError, OSError) as error:
            return " ".join(str(error).split())
        return ""

    for host, problem in _ask_nodes(open_file, seconds=None):
        if problem:
            raise ClusterError(f"node {host}: {problem}; packed images have to be in a folder that all nodes share")


def _ask_nodes(ask: Callable[[], str], *, seconds: float | None) -> Iterator[tuple[str, str]]:
    """Calls a function on each node; yields hosts and answers, each within so many seconds.

    Raises:
        ClusterError: a node does not answer.
    """
    task = ray.remote(num_cpus=0, max_retries=0)(ask)
    asked = {
        (node, host): task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote()
        for node, host in _alive().items()
    }
    for (node, host), answer in asked.items():
        try:
            yield host, ray.get(answer, timeout=seconds)
        except GetTimeoutError:
            raise ClusterError(f"node {host} starts no worker within {seconds:.0f} s; is it overloaded?") from None
        except RayError as error:
            if node not in _alive():
                continue
            raise ClusterError(f"node {host} cannot run a worker: {one_line(error)}") from None


def _alive() -> dict[str, str]:
    """Host addresses of the nodes by their ids."""
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
