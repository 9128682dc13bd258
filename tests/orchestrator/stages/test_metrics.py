"""The metrics of a run, as whoever scrapes the node of its driver reads them."""

from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path

import pytest

import taurank.orchestrator  # noqa: F401  (settings that Ray reads when it is imported)
from taurank.orchestrator.evidence import BASELINE

import ray  # isort: skip

from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.session.state import Counts, RunState
from taurank.orchestrator.stages.metrics import RunMetrics, run_metrics

PATIENCE = 60.0


def on_test(code: str, seed: int, value: float) -> Evidence:
    return Evidence(BASELINE, f"{BASELINE}/{code}/seed {seed}", code, "training", 8, 8, seed, "test_accuracy", value)


class Recorded:
    """A metric that keeps what it was set to."""

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.keys = set(tag_keys)
        self.values: dict[tuple[str, ...], float] = {}

    def set(self, value: float, tags: dict[str, str]) -> None:
        assert set(tags) == self.keys
        self.values[tuple(tags.values())] = value

    def inc(self, value: float, tags: dict[str, str]) -> None:
        self.set(self.values.get(tuple(tags.values()), 0) + value, tags)


@pytest.fixture
def metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunMetrics:
    monkeypatch.setattr("taurank.orchestrator.stages.metrics.Gauge", Recorded)
    monkeypatch.setattr("taurank.orchestrator.stages.metrics.Counter", Recorded)
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    log.append([on_test("a", 1, 0.9)])
    return RunMetrics("mine", log)


def test_what_the_driver_shows(metrics: RunMetrics) -> None:
    metrics.tell(
        RunState(stage="s", counts=Counts(running=2, done=1), spent={"s": 3.0}, saved={"s": 5.0}, budget_epochs=9.0)
    )
    trials = metrics._trials.values
    assert trials["mine", "s", "running"] == 2
    assert trials["mine", "s", "waiting"] == 0
    assert metrics._spent.values == {("mine", "s"): 3.0}
    assert metrics._saved.values == {("mine", "s"): 5.0}
    assert metrics._budget.values == {("mine",): 9.0}
    assert metrics._rows.values == {("mine",): 1}


def test_between_stages_no_trial_is_left_running(metrics: RunMetrics) -> None:
    metrics.tell(RunState(stage="s", counts=Counts(running=2, done=1)))
    metrics.tell(RunState(doing="the ranking is made"))
    assert metrics._trials.values["mine", "s", "running"] == 0
    assert metrics._trials.values["mine", "s", "done"] == 1


def test_failures_are_counted(metrics: RunMetrics) -> None:
    for event in ("failed", "lost", "lost", "completed"):
        metrics.event("s", "s/a", event, "")
    assert metrics._failures.values == {("mine", "s", "failed"): 1, ("mine", "s", "lost"): 2}


def test_tau_as_far_as_the_baseline_is_trained(metrics: RunMetrics) -> None:
    metrics.rows([on_test("b", 1, 0.8)])
    assert metrics._tau.values == {}  # there is no ranking yet
    metrics.ranked(["a", "b", "c"])
    assert metrics._tau.values == {("mine",): 1.0}
    metrics.rows([on_test("c", 1, 0.95)])  # the third is better than both
    assert metrics._tau.values["mine",] == pytest.approx(-1 / 3)
    metrics.rows([on_test("c", 2, 0.25)])  # not with two seeds: 0.6
    assert metrics._tau.values["mine",] == 1.0


def scraped() -> str:
    (node,) = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        return str(answer.read().decode())


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_prometheus_finds_them(tmp_path: Path) -> None:
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    wanted = {
        "ray_taurank_trials": 2.0,
        "ray_taurank_epochs_spent": 3.0,
        "ray_taurank_epochs_saved": 5.0,
        "ray_taurank_epochs_budget": 9.0,
        "ray_taurank_evidence_rows": 2.0,
        "ray_taurank_failures_total": 1.0,
        "ray_taurank_tau": 1.0,
    }
    with run_metrics("mine-1", log) as metrics:
        metrics.ranked(["a", "b"])
        log.append([on_test("a", 1, 0.9), on_test("b", 1, 0.8)])
        log.append_event("s", "s/a", "failed", "out of memory")
        metrics.tell(RunState(stage="s", counts=Counts(running=2), spent={"s": 3.0}, saved={"s": 5.0}, budget_epochs=9))
        end = time.monotonic() + PATIENCE
        found: dict[str, float] = {}
        while time.monotonic() < end and found != wanted:
            time.sleep(1)
            lines = [line for line in scraped().splitlines() if 'run="mine-1"' in line]
            lines = [line for line in lines if "state=" not in line or 'state="running"' in line]
            found = {re.split(r"[{ ]", line)[0]: float(line.split()[-1]) for line in lines}
    assert found == wanted
