"""Runs from Python, each in a process of its own: scripts, notebooks, a Ray that is there, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from taurank.orchestrator.evidence import EvidenceLog

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.ray
CELLS = """
CELLS = {
    "name": "cells",
    "space": {"name": "nasbench201", "options": {"width": 4, "cells_per_stage": 1}},
    "candidates": 4,
    "data": {"name": "digits", "train": 128, "validation": 64, "test": 64},
    "recipe": {"epochs": 2, "batch_size": 64},
    "budget": "2x",
    "resources": {"cpus_per_trial": 1},
}
"""


def start(program: str, folder: Path) -> subprocess.Popen[str]:
    """A script that is run as a user runs it, from a folder of their own, without `if __name__ == "__main__"`."""
    (folder / "script.py").write_text(CELLS + program)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcome(program: str, folder: Path) -> tuple[int, str, str]:
    process = start(program, folder)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def trained(folder: Path) -> bool:
    """Whether the log of a run has the first epoch of a training."""
    logs = list(folder.glob("runs/cells-*/evidence.sqlite"))
    return bool(logs) and "training" in set(EvidenceLog(logs[0]).evidence()["source"])


def test_a_script_runs_twice_within_an_event_loop_and_in_silence(tmp_path: Path) -> None:
    program = """
import asyncio
import ray
import taurank

async def main():
    first = taurank.run(CELLS, quiet=True)
    second = taurank.run(CELLS, quiet=True)
    assert first.folder != second.folder
    assert first.ranking.to_frame().equals(taurank.open_run(first.folder).ranking.to_frame())
    assert second.resume(quiet=True).folder == second.folder
    assert not ray.is_initialized()

asyncio.run(main())
"""
    assert outcome(program, tmp_path) == (0, "", "")


def test_a_ray_that_is_there_is_used_and_kept(tmp_path: Path) -> None:
    program = """
import ray
ray.init(address="local", num_cpus=2, include_dashboard=False, configure_logging=False)
import logging
handlers = list(logging.getLogger("ray").handlers)
import taurank

@ray.remote
def answer():
    return 42

run = taurank.run(CELLS)
assert ray.is_initialized()
assert ray.get(answer.remote()) == 42
assert logging.getLogger("ray").handlers == handlers
try:
    taurank.run(CELLS, address="127.0.0.1:6379", quiet=True)
except RuntimeError as error:
    print(type(error).__name__, error)
"""
    code, out, err = outcome(program, tmp_path)
    assert code == 0, err
    assert "ranking, best first" in out
    assert out.splitlines()[-1].startswith("ClusterError this process is connected to Ray already")


def test_interrupted_as_on_the_command_line(tmp_path: Path) -> None:
    program = """
import taurank

CELLS["recipe"]["epochs"] = 400
try:
    taurank.run(CELLS | {"budget": "1x"})
except KeyboardInterrupt as interruption:
    print(type(interruption).__name__)
print("goes on")
"""
    process = start(program, tmp_path)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and not trained(tmp_path):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "interrupted; everything finished is kept. Go on with: taurank resume" in out
    assert out.splitlines()[-2:] == ["RunInterruptedError", "goes on"]
    (log,) = tmp_path.glob("runs/cells-*/run.log")
    assert "interrupted" in log.read_text()
