"""Nodes of a Ray cluster on this machine that can be killed, and a network that can be cut; for `faults.py`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.system.disturbed_run import environment

HEAD, OTHER, PORT = "127.0.0.2", "127.0.0.3", 6431
NAMESPACES, LINKS, ADDRESSES = ("taurank-a", "taurank-b"), ("taurank-va", "taurank-vb"), ("10.77.31.1", "10.77.31.2")


def workers_below(pid: int) -> list[psutil.Process]:
    """Processes that hold a trial: Ray names them by class, or by the trial of their current call."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            title = " ".join(child.cmdline()[:1])
            if title.startswith("ray::") and ("Trial" in title or "/seed " in title):
                found.append(child)
    return found


class Node:
    """A `ray start` process and its child processes."""

    def __init__(self, folder: Path, *arguments: str, within: Sequence[str] = ()) -> None:
        ray = str(Path(sys.executable).with_name("ray"))
        command = [*within, ray, "start", "--block", "--num-cpus=1", *arguments]
        with (folder / "nodes.txt").open("a") as output:
            self._process = subprocess.Popen(
                command, env=environment(folder) | {"RAY_AUTH_MODE": "token"}, stdout=output, stderr=output
            )

    def kill(self) -> None:
        """Sends SIGKILL to the command and its child processes."""
        family = [*psutil.Process(self._process.pid).children(recursive=True), psutil.Process(self._process.pid)]
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def trains(self) -> bool:
        """Whether a trial is in the middle of an epoch there."""
        return any(title.endswith(" train") for title in self._titles())

    def _titles(self) -> list[str]:
        """Ray's process titles of the workers that hold a trial."""
        titles = []
        for worker in workers_below(self._process.pid):
            with suppress(psutil.NoSuchProcess):
                titles.append(" ".join(worker.cmdline()[:1]))
        return titles


def wait_until(ready: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 90
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(what)
        time.sleep(1)


def nodes_alive(address: str, count: int, within: Sequence[str] = ()) -> bool:
    ray = str(Path(sys.executable).with_name("ray"))
    status = subprocess.run(
        [*within, ray, "status", f"--address={address}"],
        env=os.environ | {"RAY_AUTH_MODE": "token"},
        capture_output=True,
        text=True,
        check=False,
    )
    return status.stdout.count("node_") >= count


@contextmanager
def two_namespaces() -> Iterator[list[list[str]]]:
    """Two network namespaces with a link between them; the commands that put a process into each."""
    (first, second), (va, vb) = NAMESPACES, LINKS
    steps = [
        f"ip netns add {first}",
        f"ip netns add {second}",
        f"ip link add {va} type veth peer name {vb}",
        f"ip link set {va} netns {first}",
        f"ip link set {vb} netns {second}",
    ]
    for name, link, address in zip(NAMESPACES, LINKS, ADDRESSES, strict=True):
        steps += [
            f"ip netns exec {name} ip addr add {address}/24 dev {link}",
            f"ip netns exec {name} ip link set {link} up",
            f"ip netns exec {name} ip link set lo up",
        ]
    try:
        for step in steps:
            subprocess.run(step.split(), check=True, capture_output=True)
        yield [["ip", "netns", "exec", name] for name in NAMESPACES]
    finally:
        for name in NAMESPACES:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
