"""Where trials run: a local Ray of our own or a running cluster, and what share of it one trial takes."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray._private import ray_constants
from ray.exceptions import AuthenticationError, GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from orchestrator.resource_spec import ResourceSpec
from spaces import Architecture, SearchSpace
from trainables.data import ImageData
from trainables.recipe import Recipe
from trainables.training import EVALUATION_BATCH, Training

MEMORY_SLACK = 1.1
"""Peaks vary a little from step to step; Ray does not enforce GPU memory, so leave room."""
ANSWER_SECONDS = 5.0
"""A cluster that is there answers in milliseconds. Ray itself would try for minutes."""
NODE_SECONDS = 60.0
"""A node starts a worker process and imports torch in seconds, in a minute where it is busy."""
MEASURE_SECONDS = 600.0
JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in the processes of a submitted job; holds what was shipped with it."""
FORWARDED = ("OMP_WAIT_POLICY",)
"""Settings of workers; those of a local Ray inherit them, those of a cluster do not."""
PACKAGES = ("orchestrator", "trainables", "schedulers", "spaces")


class ClusterError(RuntimeError):
    """The cluster cannot be reached or cannot run these trials; one line with the way out."""


@dataclass(frozen=True)
class Slot:
    """What one trial takes: CPU cores (also its number of threads) and a share of a GPU."""

    cpus: float
    gpus: float = 0.0

    @property
    def share(self) -> float:
        """Devices held: of a GPU where there is one, else of cores. Seconds times this is what a trial costs."""
        return self.gpus or self.cpus

    @property
    def resources(self) -> dict[str, float]:
        """The share as Ray Tune wants it."""
        return {"cpu": self.cpus} | ({"gpu": self.gpus} if self.gpus else {})


@dataclass(frozen=True)
class Cluster:
    """A connected Ray cluster.

    Attributes:
        nodes: cores and GPUs of each node; a trial has to fit into one.
        dashboard: address of the dashboard, as seen from the head node; empty when there is none.
        local: whether it is ours, started for this run on this machine.
    """

    nodes: tuple[Slot, ...]
    dashboard: str = ""
    local: bool = True

    @property
    def cpus(self) -> float:
        """Cores in all."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """GPUs in all."""
        return sum(node.gpus for node in self.nodes)

    def now(self) -> Cluster:
        """The cluster as it is by now: nodes come and go."""
        return replace(self, nodes=_nodes())

    def places(self, slot: Slot) -> int:
        """Trials of this size that run at once."""
        return sum(_places(node, slot) for node in self.nodes)


def _nodes() -> tuple[Slot, ...]:
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return tuple(Slot(cpus=node.get("CPU", 0.0), gpus=node.get("GPU", 0.0)) for node in alive)


def _places(node: Slot, slot: Slot) -> int:
    shares = [(node.cpus, slot.cpus), (node.gpus, slot.gpus)]
    return min((math.floor(there / share + 1e-6) for there, share in shares if share), default=0)


@contextmanager
def connect(
    address: str | None, *, resources: ResourceSpec, dashboard: bool = False, log_file: Path | None = None
) -> Iterator[Cluster]:
    """Joins the cluster at ``address``, or starts one on this machine that listens on loopback only.

    Within a submitted Ray job the default is the cluster of the job; ``local`` means this machine there too.

    Raises:
        ClusterError: no cluster at the address, or resources asked of a cluster that has a size already.
    """
    address = address or ("auto" if JOB_VARIABLE in os.environ else "local")
    if address == "local":
        address = None
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING, "configure_logging": True}
    try:
        if address:
            if resources.cpus is not None or resources.gpus is not None:
                raise ClusterError("resources.cpus and resources.gpus are for a local Ray; a cluster has its own size")
            _check_reachable(address)
            info = ray.init(address=address, runtime_env=_runtime_env(), **common)
        else:
            with _on_loopback():
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
        if not address:
            raise ClusterError(f"cannot start a local Ray: {_one_line(error)}") from None
        raise ClusterError(
            f"cannot join the Ray cluster at {address}: {_one_line(error)} "
            "(taurank joins from a node of the cluster; from elsewhere use `ray job submit`)"
        ) from None
    _log_to(log_file)
    try:
        url = str(info.get("webui_url") or "") if (dashboard or address) else ""
        yield Cluster(
            nodes=_nodes(),
            dashboard=f"http://{url}" if url else "",
            local=not address,
        )
    finally:
        ray.shutdown()
        if not address:
            # Tune's snapshots, which nobody reads: 200 MB after a thousand trials. The logs beside them stay.
            shutil.rmtree(Path(info["session_dir"]) / "artifacts", ignore_errors=True)


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Has a Ray that starts here listen on loopback.

    On Linux it takes the machine's address in the network, and its ports are then open to all of it. Only on macOS and
    Windows it stays on loopback, by this constant, which it reads when it starts.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def _check_reachable(address: str) -> None:
    """Asks the head for its name: where that fails, Ray tries again and again, and its log covers the reason.

    Raises:
        ClusterError: nothing answers at the address, or it does not let us in.
    """
    import grpc  # type: ignore[import-untyped]
    from ray._private.grpc_utils import init_grpc_channel
    from ray._private.services import canonicalize_bootstrap_address

    where = f"cannot join the Ray cluster at {address}"
    try:
        head = canonicalize_bootstrap_address(address)
    except ValueError:
        raise ClusterError(f"{where}: give host:port of the head node (6379 by default), or auto on a node") from None
    try:
        with init_grpc_channel(head, options=[("grpc.enable_http_proxy", 0)]) as channel:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")(b"", timeout=ANSWER_SECONDS)
    except AuthenticationError:
        raise ClusterError(
            f"{where}: no token here; copy ~/.ray/auth_token from the head node, "
            "or set RAY_AUTH_MODE=disabled if the cluster takes no tokens"
        ) from None
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise ClusterError(
                f"{where}: it does not accept our token (RAY_AUTH_MODE={os.environ.get('RAY_AUTH_MODE')}); "
                "copy ~/.ray/auth_token from the head node, or name another file with RAY_AUTH_TOKEN_PATH"
            ) from None
        if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            raise ClusterError(
                f"{where}: no Ray answers at {head}; is it running there, and is that the port of `ray start` "
                "(6379 by default), not the dashboard's?"
            ) from None


def _one_line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:400]


def _shipped() -> dict[str, Any]:
    """The runtime environment of the Ray job that this process is; empty where it is none."""
    return json.loads(os.environ.get(JOB_VARIABLE) or "{}").get("runtime_env") or {}


def _runtime_env() -> dict[str, Any]:
    """Ships our packages and settings to the workers, except for what a job has shipped already."""
    root = Path(__file__).resolve().parents[1]
    shipped = _shipped()
    set_already = shipped.get("env_vars") or {}
    variables = {name: os.environ[name] for name in FORWARDED if name in os.environ and name not in set_already}
    environment: dict[str, Any] = {"env_vars": variables}
    if "working_dir" not in shipped or Path.cwd().resolve() != root:
        environment |= {"py_modules": [str(root / package) for package in PACKAGES], "excludes": ["__pycache__"]}
    # Ray refuses to start where both say the same thing, except for environment variables of different names.
    return {key: value for key, value in environment.items() if key == "env_vars" or key not in shipped}


class _RayLog(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Says nothing: a disk that is full is the evidence log's to complain about."""


def _log_to(log_file: Path | None) -> None:
    """Ray's own warnings go to a file: the terminal belongs to the progress display."""
    if log_file is None:
        return
    handler = _RayLog(log_file, delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("ray")
    logger.handlers = [handler]
    logger.propagate = False


def _alive() -> dict[str, str]:
    """Host addresses of the nodes by their ids."""
    return {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}


def check_shared(folder: Path, *, option: str = "--out") -> None:
    """Makes sure that every node sees ``folder``, may write there and can import what a trial needs.

    ``option`` is what gives another folder.

    Raises:
        ClusterError: a node does not; names it.
    """
    if "working_dir" in _shipped() and folder.resolve().is_relative_to(Path.cwd().resolve()):
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
            import trainables.trials  # noqa: F401
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
                raise ClusterError(f"node {host} cannot run a worker: {_one_line(error)}") from None
            if problem.startswith("import: "):
                raise ClusterError(f"node {host} cannot {problem}; install taurank's dependencies there")
            if problem:
                raise ClusterError(
                    f"node {host} {problem} {folder}; give {option} a folder that all nodes share (NFS, for example)"
                )
    finally:
        marker.unlink(missing_ok=True)


def plan_slot(cluster: Cluster, resources: ResourceSpec, *, trials: int, peak_memory: float | None = None) -> Slot:
    """The share of the cluster that each of ``trials`` trials takes, so that as many as can run at once and none idles.

    On GPUs: ``peak_memory`` is what one trial needs (as a share of a GPU's memory, CUDA context included), so
    floor(1 / peak_memory) fit on each; a whole GPU where nothing was measured, and where there are no more trials than
    GPUs. Cores: the most with which no fewer trials run at once.

    Raises:
        ClusterError: more asked for than one node has.
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
    """Cores are whole ones: a trial has at least one thread."""
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


def measure_peak_memory(
    space: SearchSpace, largest: Architecture, recipe: Recipe, data: Any, *, input_shape: tuple[int, int, int]
) -> float | None:
    """Share of a GPU's memory that training ``largest`` takes at its peak, CUDA context included.

    Trains one epoch on two batches in a worker that has a GPU to itself. None where no GPU answers (a node may declare
    GPUs that it does not have). More than 1 when it does not fit.

    Raises:
        ClusterError: no GPU becomes free, or the worker fails.
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

    task = ray.remote(num_gpus=1, num_cpus=0, max_retries=0)(measure)
    try:
        share = ray.get(task.remote(data), timeout=MEASURE_SECONDS)
    except GetTimeoutError:
        raise ClusterError(
            f"no GPU was free for {MEASURE_SECONDS:.0f} s to measure the largest candidate; "
            "wait for the others, or set resources.gpus_per_trial"
        ) from None
    except RayError as error:
        raise ClusterError(
            f"the largest candidate cannot be measured on a GPU: {_one_line(error)}; set resources.gpus_per_trial"
        ) from None
    return None if share is None else float(share)
