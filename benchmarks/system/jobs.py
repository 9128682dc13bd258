"""A run as a Ray job that is stopped in the middle and resumed as another job, against an undisturbed one.

Starts a head on loopback, with a dashboard and a token. Then: an undisturbed job; the same run as a second job,
followed, stopped after a few epochs, and resumed by a third. Calls `taurank status` in between.
Prints a table and writes `jobs.csv` beside this file.

    python -m benchmarks.system.jobs
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
RAY = str(Path(sys.executable).with_name("ray"))
NODE = "127.0.0.2"
EXPERIMENT = """
name: job
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 4
data: {name: digits, validation: 200, test: 200}
recipe: {epochs: 48, batch_size: 32, learning_rate: 0.05}
budget: 2x
trainings: [{epochs: 24}]
supernets: []
baseline: null
share_results: false
"""
STOP_AFTER = 12
"""Epochs of trainings in the log when the job is stopped."""
PATIENCE = 300.0


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind((NODE, 0))
        return int(asked.getsockname()[1])


def wait_for(ready: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = ready()
        if found:
            return found
        time.sleep(0.5)
    raise SystemExit(f"{what}: not within {PATIENCE:.0f} s")


def ask(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def head(folder: Path) -> Iterator[str]:
    """The address of the job server of a head that ends with this context."""
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    dashboard = free_port()
    options = {
        "node-ip-address": NODE,
        "port": free_port(),
        "num-cpus": 2,
        "dashboard-host": "127.0.0.1",
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": free_port(),
        "ray-client-server-port": free_port(),
    }
    command = [RAY, "start", "--head", "--block", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "head.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    url = f"http://127.0.0.1:{dashboard}"
    try:
        wait_for(lambda: ask(RAY, "job", "list", "--address", url).returncode == 0, "the job server")
        yield url
    finally:
        process.send_signal(signal.SIGTERM)  # `--block` ends the processes of its node with it
        process.wait(60)


class Job:
    """A command of taurank that was submitted as a job, and the process that follows its log."""

    def __init__(self, url: str, name: str, *arguments: str) -> None:
        self.url, self.name, self.began = url, name, time.monotonic()
        entry = [sys.executable, "-m", "taurank", *arguments]
        where = ["--address", url, "--submission-id", name, "--working-dir", str(ROOT)]
        done = ask(RAY, "job", "submit", *where, "--no-wait", "--", *entry)
        if done.returncode:
            raise SystemExit(f"ray job submit: {done.stderr.strip()[-500:]}")
        self.follower = subprocess.Popen(
            [RAY, "job", "logs", "--follow", name, "--address", url],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self) -> tuple[str, float, str]:
        """Status, seconds since the submission, and the output of the follower."""
        seen, _ = self.follower.communicate(timeout=PATIENCE)
        status = ask(RAY, "job", "status", self.name, "--address", self.url)
        said = (status.stdout + status.stderr).lower()
        word = next(word for word in ("succeeded", "stopped", "failed", "") if word in said)
        return word, time.monotonic() - self.began, seen

    def stop(self) -> float:
        """Stops it; returns the seconds."""
        began = time.monotonic()
        ask(RAY, "job", "stop", self.name, "--address", self.url)
        return time.monotonic() - began


def status(folder: Path) -> dict[str, Any]:
    asked = ask(sys.executable, "-m", "taurank", "status", str(folder), "--json")
    return dict(json.loads(asked.stdout)) if asked.returncode == 0 else {}


def run_of(parent: Path) -> Path | None:
    return next((file.parent for file in parent.glob("job-*/experiment.yaml")), None)


def trained(folder: Path | None) -> float:
    """Epochs of trainings in the log."""
    stages = status(folder).get("stages", []) if folder else []
    return float(sum(stage["epochs"] for stage in stages if stage["title"].startswith("training")))


def ranking_of(folder: Path) -> pd.DataFrame:
    """The ranking without its measured times."""
    return pd.read_csv(folder / "ranking.csv").drop(columns="seconds")


def measure(folder: Path) -> list[tuple[str, str, float, str]]:
    """Steps: name, final state, seconds, and the status of the run at that time."""
    file = folder / "job.yaml"
    file.write_text(EXPERIMENT)
    alone, parent = folder / "alone", folder / "stopped"
    steps = []
    with head(folder) as url:
        word, seconds, _ = Job(url, "alone", "run", str(file), "--out", str(alone)).end()
        steps.append(("left alone", word, seconds, status(run_of(alone) or alone).get("state", "")))

        first = Job(url, "first", "run", str(file), "--out", str(parent))
        wait_for(lambda: trained(run_of(parent)) >= STOP_AFTER, f"{STOP_AFTER} epochs of trainings")
        run = run_of(parent)
        assert run is not None
        steps.append(("submitted, followed", "running", time.monotonic() - first.began, status(run)["state"]))
        took = first.stop()
        word, _, seen = first.end()
        state, before = status(run)["state"], trained(run)
        steps.append(("ray job stop", word, took, state))
        farewell = "taurank resume" in seen

        word, seconds, _ = Job(url, "second", "resume", str(run)).end()
        steps.append(("resumed as a new job", word, seconds, status(run)["state"]))
    same = ranking_of(run).equals(ranking_of(run_of(alone) or alone))
    print(f"epochs of trainings in the log when stopped: {before:g}, at the end {trained(run):g}")
    print(f"the follower saw how to go on: {farewell}")
    print(f"the ranking of the run that was left alone, bit for bit: {same}")
    steps.append(("same ranking bit for bit", str(same), 0.0, ""))
    return steps


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory(prefix="jobs-") as folder:
        steps = measure(Path(folder))
    with Path(__file__).parent / "results" / "jobs.csv".open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("step", "ended", "seconds", "taurank_status"))
        writer.writerows((what, word, f"{seconds:.1f}", state) for what, word, seconds, state in steps)
    print(f"\n{'step':<26}{'job':<12}{'seconds':>8}  taurank status")
    for what, word, seconds, state in steps:
        print(f"{what:<26}{word:<12}{seconds:>8.1f}  {state}")


if __name__ == "__main__":
    main()
