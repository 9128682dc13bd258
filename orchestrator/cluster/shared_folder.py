"""Checks that all nodes of a cluster can access a folder and run workers."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from taurank.orchestrator.cluster.cluster import ClusterError, one_line, shipped_with_job

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
        task = ray.remote(num_cpus=0, max_retries=0)(inspect)
        asked = {
            (node, host): task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
                str(marker)
            )
            for node, host in _alive().items()
        }
        for (node, host), answer in asked.items():
            try:
                problem = ray.get(answer, timeout=NODE_SECONDS)
            except GetTimeoutError:
                raise ClusterError(
                    f"node {host} starts no worker within {NODE_SECONDS:.0f} s; is it overloaded?"
                ) from None
            except RayError as error:
                if node not in _alive():
                    continue
                raise ClusterError(f"node {host} cannot run a worker: {one_line(error)}") from None
            if problem.startswith("import: "):
                raise ClusterError(f"node {host} cannot {problem}; install taurank's dependencies there")
            if problem:
                raise ClusterError(
                    f"node {host} {problem} {folder}; give {option} a folder that all nodes share (NFS, for example)"
                )
    finally:
        marker.unlink(missing_ok=True)


def _alive() -> dict[str, str]:
    """Host addresses of the nodes by their ids."""
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
