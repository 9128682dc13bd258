"""Where trials run: a local Ray of our own or a running cluster, and what share of it one trial takes."""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._private.node import Node
from ray.exceptions import AuthenticationError

import taurank
from taurank.orchestrator.experiment import ResourceSpec

ANSWER_SECONDS = 5.0
"""A running cluster answers within milliseconds; Ray itself would retry for minutes."""
JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in the processes of a submitted job; holds its runtime environment."""
FORWARDED = ("OMP_WAIT_POLICY",)
"""Environment variables to forward: workers of a cluster do not inherit them."""


class ClusterError(RuntimeError):
    """The cluster cannot be reached or cannot run these trials; one line with the way out."""


@dataclass(frozen=True)
class Slot:
    """Resources of one trial: CPU cores (also its number of threads) and a share of a GPU."""

    cpus: float
    gpus: float = 0.0

    @property
    def share(self) -> float:
        """Devices held, GPUs or else cores; seconds times this are device seconds."""
        return self.gpus or self.cpus

    @property
    def resources(self) -> dict[str, float]:
        """The resources by Ray Tune's names."""
        return {"cpu": self.cpus} | ({"gpu": self.gpus} if self.gpus else {})


@dataclass(frozen=True)
class Cluster:
    """A connected Ray cluster.

    Attributes:
        nodes: cores and GPUs of each node; a trial runs on one node.
        dashboard: address of the dashboard, as seen from the head node; empty when there is none.
        local: whether it was started for this run on this machine.
    """

    nodes: tuple[Slot, ...]
    dashboard: str = ""
    local: bool = True

    @property
    def cpus(self) -> float:
        """Total number of cores."""
        return sum(node.cpus for node in self.nodes)

    @property
    def gpus(self) -> float:
        """Total number of GPUs."""
        return sum(node.gpus for node in self.nodes)

    def now(self) -> Cluster:
        """The cluster with its current nodes."""
        return replace(self, nodes=_nodes())

    def places(self, slot: Slot) -> int:
        """Number of concurrent trials of this size."""
        return sum(_places(node, slot) for node in self.nodes)


def _nodes() -> tuple[Slot, ...]:
    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return tuple(Slot(cpus=node.get("CPU", 0.0), gpus=node.get("GPU", 0.0)) for node in alive)


def _places(node: Slot, slot: Slot) -> int:
    shares = [(node.cpus, slot.cpus), (node.gpus, slot.gpus)]
    return min((math.floor(there / share + 1e-6) for there, share in shares if share), default=0)


def is_local(address: str | None) -> bool:
    """Whether a run with this address starts a Ray of its own."""
    return not ray.is_initialized() and (address == "local" or (not address and JOB_VARIABLE not in os.environ))


@contextmanager
def connect(
    address: str | None, *, resources: ResourceSpec, dashboard: bool = False, log_file: Path | None = None
) -> Iterator[Cluster]:
    """Joins the cluster at ``address``, or starts one on this machine that listens on loopback only.

    Within a submitted Ray job the default is the cluster of the job; ``local`` means this machine there too. If this
    process is connected to Ray already, that cluster is used, and stays connected at the end.

    Raises:
        ClusterError: no cluster at the address, or resources asked of a cluster that has a size already.
    """
    if ray.is_initialized():
        if address:
            raise ClusterError(f"this process is connected to Ray already: omit {address}, or shut Ray down")
        _check_has_size(resources)
        with _logged_to(log_file):
            nodes = _nodes()
            yield Cluster(nodes=nodes, local=len(nodes) == 1)
        return
    address = None if is_local(address) else address or "auto"
    verbose = logging.getLogger("taurank").isEnabledFor(logging.INFO)
    level = logging.INFO if verbose else logging.WARNING
    common: dict[str, Any] = {"log_to_driver": verbose, "logging_level": level, "configure_logging": True}
    try:
        if address:
            _check_has_size(resources)
            _check_reachable(address)
            info = ray.init(address=address, runtime_env=_runtime_env(), **common)
        else:
            with _on_loopback(), _without_idle_servers(dashboard, logs=verbose):
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
            raise ClusterError(f"cannot start a local Ray: {one_line(error)}") from None
        raise ClusterError(
            f"cannot join the Ray cluster at {address}: {one_line(error)} "
            "(taurank joins from a node of the cluster; from elsewhere use `ray job submit`)"
        ) from None
    try:
        url = str(info.get("webui_url") or "") if (dashboard or address) else ""
        with _logged_to(log_file):
            yield Cluster(nodes=_nodes(), dashboard=f"http://{url}" if url else "", local=not address)
    finally:
        ray.shutdown()
        if not address:
            # Unused snapshots of Tune, 200 MB after a thousand trials. The logs beside them stay.
            shutil.rmtree(Path(info["session_dir"]) / "artifacts", ignore_errors=True)


def _check_has_size(resources: ResourceSpec) -> None:
    """Raises ``ClusterError`` if resources of a local Ray are asked of a cluster that runs already."""
    if resources.cpus is not None or resources.gpus is not None:
        raise ClusterError("resources.cpus and resources.gpus are for a local Ray; a cluster has its own size")


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Makes a Ray that is started within the context listen on loopback only.

    On Linux it would open its ports on the machine's network address. This constant, which it reads when it starts,
    restricts it to loopback, as on macOS and Windows.
    """
    with _replaced(ray_constants, "ENABLE_RAY_CLUSTER", False):
        yield


@contextmanager
def _without_idle_servers(dashboard: bool, *, logs: bool) -> Iterator[None]:
    """Makes a Ray that is started within the context omit the processes that a run on one machine has no use for.

    Without them Ray starts earlier and takes less memory; it has no option that omits them. A Ray that starts them in
    another way starts them.

    Args:
        dashboard: whether it is used; without it its server and the monitor of the autoscaler do nothing of use.
        logs: whether the output of workers is shown here, which the log monitor sends.
    """
    unused = () if dashboard else ("start_api_server", "start_monitor")
    with ExitStack() as stack:
        for start in (*unused, *(() if logs else ("start_log_monitor",))):
            if hasattr(Node, start):
                stack.enter_context(_replaced(Node, start, _start_nothing))
        yield


def _start_nothing(node: Node, **_: Any) -> None:
    """Takes the place of a method that starts a process."""


@contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _check_reachable(address: str) -> None:
    """Queries the head node; if that fails, Ray itself would retry for minutes and hide the reason.

    Raises:
        ClusterError: nothing answers at the address, or it rejects the token.
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


def one_line(error: BaseException) -> str:
    """The message of an error in one line of at most 400 characters."""
    return (" ".join(str(error).split()) or type(error).__name__)[:400]


def shipped_with_job() -> dict[str, Any]:
    """The runtime environment of the Ray job of this process; empty outside of a job."""
    return json.loads(os.environ.get(JOB_VARIABLE) or "{}").get("runtime_env") or {}


def _runtime_env() -> dict[str, Any]:
    """Ships taurank and its settings to the workers, unless the job already does."""
    package = Path(taurank.__file__).parent
    shipped = shipped_with_job()
    set_already = shipped.get("env_vars") or {}
    variables = {name: os.environ[name] for name in FORWARDED if name in os.environ and name not in set_already}
    environment: dict[str, Any] = {"env_vars": variables}
    if "working_dir" not in shipped or Path.cwd().resolve() != package.parent.resolve():
        environment |= {"py_modules": [str(package)], "excludes": ["__pycache__"]}
    # Ray rejects settings that a job also has, except for environment variables of different names.
    return {key: value for key, value in environment.items() if key == "env_vars" or key not in shipped}


class _RayLog(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Ignores errors: the evidence log reports a full disk."""


@contextmanager
def _logged_to(log_file: Path | None) -> Iterator[None]:
    """Redirects Ray's warnings from the terminal, which shows the progress display, to a file."""
    logger = logging.getLogger("ray")
    before = logger.handlers, logger.propagate
    if log_file is not None:
        handler = _RayLog(log_file, delay=True)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logger.handlers, logger.propagate = [handler], False
    try:
        yield
    finally:
        logger.handlers, logger.propagate = before
