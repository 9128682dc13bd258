"""The session of one process on a run: lock, files beside the log, interruption, and Ray with the display."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from taurank.orchestrator.cluster import Cluster, check_shared, connect, prepare_packed
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
from taurank.trainables.data import ImageData, PackedImages


@dataclass(frozen=True)
class RaySession:
    """The cluster of a run, its progress display, and its interruption."""

    cluster: Cluster
    display: Display
    interruption: Interruption
    metrics: RunMetrics
    run_log: RunLog

    def rank(self, run: Run) -> Ranking:
        """Ranks a run from its current log, and records the ranking in the log and the folder."""
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
        run: locked for this process.
        interruption: requests the end of stages.
    """

    def __init__(self, run: Run, interruption: Interruption, run_log: RunLog) -> None:
        self.run, self.interruption = run, interruption
        self._run_log, self._status = run_log, StatusFile(run.folder)
        self._plan: Sequence[StagePlan] = ()
        self._budget = 0.0

    def planned(self, plan: Sequence[StagePlan], *, budget_epochs: float, doing: str) -> None:
        """Publishes the plan of the run, before Ray starts."""
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
        """Starts or joins Ray; disconnects at the end.

        Args:
            data: the images; all nodes need access to their file.
            console: for the progress display.
            address: of the cluster; None for a local one.
            dashboard: whether a local cluster starts its dashboard.
            total_epochs: of all stages, for the remaining time.
            names: short names of the candidates, by code.

        Raises:
            ClusterError: it cannot be joined, or a node lacks access to the files.
        """
        run, purse = self.run, self.run.purse
        print_line(console, "starting Ray ..." if address is None else f"joining Ray at {address} ...")
        with (
            connect(
                address, resources=run.experiment.resources, dashboard=dashboard, log_file=run.folder / RAY_LOG
            ) as cluster,
            run_metrics(run.folder.name, run.log, run.experiment.ranked_metric) as metrics,
            Display(
                console,
                total_epochs=total_epochs,
                budget_epochs=self._budget,
                names=names,
                plan=self._plan,
                tell=broadcast(self._status.tell, metrics.tell),
                run_log=self._run_log,
                metric=run.experiment.ranked_metric,
                used=None if purse is None else lambda: (purse.in_words, purse.clock_left),
            ) as display,
        ):
            display.doing("checking the nodes, sending the images to Ray")
            self.interruption.install()  # Ray replaces the handler of SIGTERM when it starts
            if cluster.dashboard:
                display.say(_dashboard_line(cluster))
            images = data.train.images
            if not cluster.local:
                check_shared(run.folder)
                if data.file is not None and not isinstance(images, PackedImages):
                    check_shared(data.file.parent, option="--cache")
            if isinstance(images, PackedImages) and (images.local is not None or not cluster.local):
                prepare_packed(images)
            yield RaySession(cluster, display, self.interruption, metrics, self._run_log)


@contextmanager
def run_session(run: Run) -> Iterator[RunSession]:
    """Locks the run for this process, and writes `run.log`.

    Raises:
        RunError: another process works on it.
        StorageError, EvidenceError: its folder cannot be written to; one line.
    """
    run_log = RunLog(run.folder, run.experiment.ranked_metric)
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
