"""The command line in processes of its own, for tests that interrupt and resume runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.search.proposals import proposed_codes

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "160"}


def start(folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """A command in a folder; what it writes on standard error is part of its output."""
    words = [sys.executable, "-m", "taurank", *map(str, arguments)]
    pipe, merged = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(words, cwd=folder, env=ENVIRONMENT, stdout=pipe, stderr=merged, text=True)


def finished(folder: Path, *arguments: object, seconds: float = 400) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "taurank", *map(str, arguments)]
    return subprocess.run(
        words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=seconds, check=False
    )


def log_with(runs: Path, *, proposals: int, process: subprocess.Popen[bytes]) -> EvidenceLog:
    """The log of the search below a folder once it has that many proposals."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        for file in runs.glob("*/evidence.sqlite"):
            log = EvidenceLog(file)
            if len(proposed_codes(log)) >= proposals:
                return log
            log.close()
        time.sleep(0.1)
    raise AssertionError("the search ended before it could be killed")
