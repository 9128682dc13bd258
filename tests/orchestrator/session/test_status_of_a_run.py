"""A real run asked how it stands: while it goes on, when it was stopped, and when it is over."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.session import run_status
from tests.orchestrator.processes import start

ROOT = Path(__file__).parents[3]
EXPERIMENT = """
name: watched
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 4
data: {name: digits, validation: 200, test: 200}
recipe: {epochs: 24, batch_size: 32, learning_rate: 0.05}
budget: 2x
trainings: [{epochs: 12, candidates: 3}]
supernets: []
baseline: null
"""
PATIENCE = 240.0

pytestmark = pytest.mark.ray


def status(folder: Path, run: Path) -> dict[str, Any]:
    output, _ = start(folder, "status", str(run), "--json").communicate(timeout=PATIENCE)
    return dict(json.loads(output))


def wait_for(ready: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = ready()
        if found is not None:
            return found
        time.sleep(0.3)
    raise AssertionError("the run did not come so far")


def test_from_its_start_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "watched.yaml").write_text(EXPERIMENT)
    process = start(tmp_path, "run", "watched.yaml")

    def training() -> dict[str, Any] | None:
        made = [file.parent for file in (tmp_path / "runs").glob("watched-*/status.json")]
        if not made or not run_status(made[0]).stages[-1].counts.running:  # asked often, so without a process
            return None
        found = status(tmp_path, made[0])
        return found if found["stages"][-1]["counts"]["running"] else None

    try:
        found = wait_for(training)
        run = Path(found["folder"])
        assert (found["state"], found["stage"], found["number"]) == ("running", "training-12", 2)
        assert found["holder"]["pid"] == process.pid
        assert found["standstill"] == ""
        assert found["stages"][0]["title"] == "timing"
        assert 0 < found["stages"][0]["epochs"] <= 48 - 36 + 1  # what the plan leaves over, and an epoch
        assert (found["stages"][1]["trials"], found["stages"][1]["most_epochs"]) == (3, 36.0)
        assert found["budget_epochs"] == 48.0
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()

    found = status(tmp_path, run)
    assert (found["state"], found["holder"]) == ("interrupted", None)
    assert found["standstill"] == f"no process works on it; continue with: taurank resume {run}"
    assert found["last_line"].endswith("all finished results are kept; taurank resume continues")

    output, _ = start(tmp_path, "resume", str(run)).communicate(timeout=PATIENCE)
    found = status(tmp_path, run)
    assert found["state"] == "finished", output
    assert (found["stages"][1]["counts"]["done"], found["stages"][1]["epochs"], found["left"]) == (3, 36.0, None)

    lines = (run / "run.log").read_text().splitlines()
    decisions = EvidenceLog(run / "evidence.sqlite").events()
    decisions = decisions[(decisions["trial"] != "") & (decisions["stage"] == "training-12")]
    for event in ("started", "completed"):
        told = sum("seed 0" in line and event in line.split() for line in lines)
        assert told == (decisions["event"] == event).sum()
    assert sum("training-12" in line and " chosen " in line and "3 of 4 by design" in line for line in lines) == 1
    assert sum(" weighed " in line for line in lines) == 1
    assert lines[-1].endswith("complete")
