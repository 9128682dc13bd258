"""A local Ray lets nobody in from the network, and leaves nothing large behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import psutil
import pytest
import ray

from taurank.orchestrator.cluster.cluster import connect
from taurank.orchestrator.experiment.parts import ResourceSpec


def listening() -> Iterator[tuple[str, str]]:
    """Processes below this one, and the addresses that they listen on."""
    for process in psutil.Process().children(recursive=True):
        try:
            for link in process.net_connections("inet"):
                if link.status == psutil.CONN_LISTEN:
                    yield process.name(), str(link.laddr.ip)
        except psutil.NoSuchProcess:
            continue


def is_loopback(address: str) -> bool:
    found = ip_address(address)
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


@pytest.mark.ray
def test_a_local_ray_listens_on_loopback_with_a_token_and_leaves_no_snapshots():
    with connect(None, resources=ResourceSpec(cpus=1), dashboard=True) as cluster:
        ray.get(ray.remote(lambda: 1).remote())
        session = Path(ray._private.worker._global_node.get_session_dir_path())
        (session / "artifacts" / "stage").mkdir(parents=True)
        found = set(listening())
        assert os.environ["RAY_AUTH_MODE"] == "token"
        assert cluster.dashboard.startswith("http://127.0.0.1:")
    names = {name for name, _ in found}
    assert {"gcs_server", "raylet"} <= names
    assert {address for _, address in found if not is_loopback(address)} == set()
    assert not (session / "artifacts").exists()
    assert (session / "logs").is_dir()


def test_addresses_are_told_apart():
    assert [is_loopback(text) for text in ("127.0.0.1", "::1", "::ffff:127.0.0.1")] == [True] * 3
    assert [is_loopback(text) for text in ("0.0.0.0", "::", "192.0.2.2", "::ffff:192.0.2.2")] == [False] * 4
