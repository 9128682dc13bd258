"""One process at work on a run: the lock, what is written beside the log, clean ends, and Ray with the display."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from taurank.orchestrator.cluster import Cluster, check_shared, connect
from taurank.orchestrator.evidence import ENDED, RANKING, STARTED
from taurank.orchestrator.ranker import Ranking, ranking_lines
from taurank.orchestrator.runs.run import Run
from taurank.orchestrator.session import (
    RAY_LOG,
    Interruption,
    RunLog,
    RunState,
    StagePlan,
    StatusFile,
    check_room,
    storage_failures,
)
from taurank.orchestrator.stages import Display, RunMetrics, broadcast, run_metrics
from taurank.orchestrator.text import Console, print_line
from taurank.trainables.data import ImageData


@dataclass(frozen=True)
class RaySession:
    """Ray as a run has it, what shows how the run goes, and what may interrupt it."""

    cluster: Cluster
    display: Display
    interruption: Interruption
    metrics: RunMetrics
    run_log: RunLog

    def rank(self, run: Run) -> Ranking:
        """The ranking of a run from what is in its log now, noted there and beside it."""
        started = time.perf_counter()
        run.log.append_event(RANKING, "", STARTED)
        ranking = run.rank()
        poorer = ranking.loses(run.folder)
        if poorer:
            self.display.say(poorer)
        ranking.write(run.folder)
        for decision, reason in ranking_lines(ranking, run.trust()):
            self.run_log.line(RANKING, "", decision, reason)
        self.metrics.ranked(ranking.table["architecture"])
        run.log.append_event(RANKING, "", ENDED, f"{time.perf_counter() - started:.2f} s")
        return ranking


class RunSession:
    """Made by `run_session`.

    Attributes:
        run: it is locked.
        interruption: asks stages to end.
    """

    def __init__(self, run: Run, interruption: Interruption, run_log: RunLog) -> None:
        self.run, self.interruption = run, interruption
        self._run_log, self._status = run_log, StatusFile(run.folder)
        self._plan: Sequence[StagePlan] = ()
        self._budget = 0.0

    def planned(self, plan: Sequence[StagePlan], *, budget_epochs: float, doing: str) -> None:
        """Tells what the run is going to do, before Ray is there."""
        self._plan, self._budget = plan, budget_epochs
        self._status.tell(RunState(doing=doing, stages=tuple(plan), budget_epochs=budget_epochs))

    @contextmanager
    def on_ray(
        self,
        data: ImageData,
        *,
        console: Console,
        address: str | None,
        dashboard: bool,
        total_epochs: float,
        names: Mapping[str, str],
    ) -> Iterator[RaySession]:
        """Starts or joins Ray; leaves it at the end.

        Args:
            data: the images; all nodes have to see their file.
            console: where progress is shown.
            address: of the cluster; None for a local one.
            dashboard: whether a local one has its dashboard.
            total_epochs: of all stages, for the time left.
            names: short names of the candidates, by code.

        Raises:
            ClusterError: it cannot be joined, or its nodes do not see the files.
        """
        run = self.run
        print_line(console, "starting Ray ..." if address is None else f"joining Ray at {address} ...")
        with (
            connect(
                address, resources=run.experiment.resources, dashboard=dashboard, log_file=run.folder / RAY_LOG
            ) as cluster,
            run_metrics(run.folder.name, run.log) as metrics,
            Display(
                console,
                total_epochs=total_epochs,
                budget_epochs=self._budget,
                names=names,
                plan=self._plan,
                tell=broadcast(self._status.tell, metrics.tell),
                run_log=self._run_log,
            ) as display,
        ):
            display.doing("the nodes are checked, the images go to Ray")
            self.interruption.install()  # Ray takes SIGTERM when it starts
            if cluster.dashboard:
                display.say(_dashboard_line(cluster))
            if not cluster.local:
                check_shared(run.folder)
                if data.file is not None:
                    check_shared(data.file.parent, option="--cache")
            yield RaySession(cluster, display, self.interruption, metrics, self._run_log)


@contextmanager
def run_session(run: Run) -> Iterator[RunSession]:
    """Holds the run for this process, and keeps `run.log` beside its log.

    Raises:
        RunError: another process is at work on it.
        StorageError, EvidenceError: its folder cannot be written to; one line.
    """
    run_log = RunLog(run.folder)
    with (
        storage_failures(run.folder, run.log),
        run.locked(),
        Interruption(run.resume_hint) as interruption,
        run_log.session(),
        run.log.followed_by(run_log),
    ):
        check_room(run.folder)
        yield RunSession(run, interruption, run_log)


def _dashboard_line(cluster: Cluster) -> str:
    where = "" if cluster.local else " on the head node"
    token = " (it asks for the token: run `ray get-auth-token`)" if os.environ.get("RAY_AUTH_MODE") == "token" else ""
    return f"Ray dashboard{where}: {cluster.dashboard}/#/actors{token}"
