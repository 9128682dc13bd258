"""Metrics of a run in Ray: gauges and counters that Prometheus can read from the node of the driver."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict

import numpy as np
from ray.util.metrics import Counter, Gauge

from taurank.orchestrator.evidence import (
    ACCURACY,
    BASELINE,
    FAILED,
    LOST,
    RECOVERED,
    Evidence,
    EvidenceLog,
    RankedMetric,
)
from taurank.orchestrator.session import RunState
from taurank.orchestrator.tau import tau_b

LOSSES = (FAILED, LOST, RECOVERED)
"""Events for a failure of a trial or of its worker."""


class RunMetrics:
    """Sets the metrics of a run from the events of its evidence log; needs a connection to Ray.

    Args:
        run: name of the run's folder, the tag ``run`` of all metrics.
        log: of the run; its existing rows count.
        metric: of its trainings.
    """

    def __init__(self, run: str, log: EvidenceLog, metric: RankedMetric = ACCURACY) -> None:
        self._metric = metric
        self._tags = {"run": run}
        of_run, of_stage = ("run",), ("run", "stage")
        self._trials = Gauge("taurank_trials", "Trials of the stage that runs.", (*of_stage, "state"))
        self._spent = Gauge("taurank_epochs_spent", "Epoch-equivalents spent.", of_stage)
        self._saved = Gauge("taurank_epochs_saved", "Epochs that stopped and waiting trials did not train.", of_stage)
        self._budget = Gauge("taurank_epochs_budget", "Epoch-equivalents that the evidence may cost.", of_run)
        self._rows = Gauge("taurank_evidence_rows", "Rows of the evidence log.", of_run)
        self._failures = Counter("taurank_failures", "Failed trials and lost workers.", (*of_stage, "event"))
        self._tau = Gauge("taurank_tau", "Tau-b of the ranking to the baseline as far as it is trained.", of_run)
        rows = log.evidence()
        self._count = len(rows)
        self._stage = ""
        self._order: list[str] = []
        self._truth: dict[str, dict[int, float]] = defaultdict(dict)
        tested = rows[(rows["stage"] == BASELINE) & (rows["metric"] == metric.final)]
        tested = tested[(tested["epoch"] == tested["schedule_epochs"]) & tested["value"].notna()]
        for code, seed, value in tested[["architecture", "seed", "value"]].itertuples(index=False):
            self._truth[str(code)][int(seed)] = metric.rising(float(value))

    def tell(self, state: RunState) -> None:
        """Sets the gauges from a new state of the run."""
        if self._stage and state.stage != self._stage:
            self._trials.set(0, self._tags | {"stage": self._stage, "state": "running"})
        self._stage = state.stage
        if state.stage:
            for name, count in asdict(state.counts).items():
                self._trials.set(count, self._tags | {"stage": state.stage, "state": name})
        for gauge, by_stage in ((self._spent, state.spent), (self._saved, state.saved)):
            for stage, epochs in by_stage.items():
                gauge.set(epochs, self._tags | {"stage": stage})
        self._budget.set(state.budget_epochs, self._tags)
        self._rows.set(self._count, self._tags)

    def ranked(self, order: Iterable[str]) -> None:
        """Takes the ranked codes, best first, to compare with the baseline."""
        self._order = [str(code) for code in order]
        self._compare()

    def rows(self, rows: Sequence[Evidence]) -> None:
        """Counts rows and collects the baseline."""
        self._count += len(rows)
        for row in rows:
            ended = row.epoch == row.schedule_epochs and math.isfinite(row.value)
            if ended and row.stage == BASELINE and row.metric == self._metric.final:
                self._truth[row.architecture][row.seed] = self._metric.rising(row.value)
                self._compare()

    def event(self, stage: str, trial: str, event: str, reason: str) -> None:
        """Counts failures."""
        if event in LOSSES:
            self._failures.inc(1, self._tags | {"stage": stage, "event": event})

    def _compare(self) -> None:
        known = [place for place, code in enumerate(self._order) if code in self._truth]
        if len(known) > 1:
            truth = np.array([np.mean(list(self._truth[self._order[place]].values())) for place in known])
            tau = tau_b(-np.array(known, dtype=float), truth)
            if np.isfinite(tau):
                self._tau.set(float(tau), self._tags)


@contextmanager
def run_metrics(run: str, log: EvidenceLog, metric: RankedMetric = ACCURACY) -> Iterator[RunMetrics]:
    """The metrics of a run, updated from its log within the context."""
    metrics = RunMetrics(run, log, metric)
    with log.followed_by(metrics):
        yield metrics


def broadcast(*listeners: Callable[[RunState], None]) -> Callable[[RunState], None]:
    """Combines several listeners into one."""

    def tell(state: RunState) -> None:
        for listener in listeners:
            listener(state)

    return tell
