"""The cost of faults: small but complete runs lose drivers, workers and nodes; compared with an undisturbed run.

A run has all kinds of stages: proxies, a supernet with its scores and contenders, short trainings, a policy, the
ranking, the baseline. A driver is killed repeatedly until its run ends: once during start-up, then at points spread
evenly over the log, with a delay of up to a second. A run is right if its `ranking.csv` without the seconds equals that
of the undisturbed run, bit for bit. Rows are lost if they were in the log before a kill and are missing at the end.
Work is counted by the networks themselves (`traced_space.py`): `repeated_epochs` are passes over the training images
beyond those of the undisturbed run, interrupted epochs included. Extra wall seconds are those of all processes of the
run minus those of the undisturbed run; most of it is restarting. `left_over` are processes of a killed run that exist
five seconds later.

Nodes are `ray start` processes on loopback; the network is cut between two network namespaces (needs root). Prints a
table and continues `faults.csv`. Takes 40 minutes on two busy cores.

    python -m benchmarks.system.faults
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil

from benchmarks.system.disturbed_run import TRAIN_IMAGES, Attempt, Reference, images_trained, ranking_of, wait_for
from benchmarks.system.killed_log import kill_in_mid_write
from benchmarks.system.loopback_nodes import (
    ADDRESSES,
    HEAD,
    LINKS,
    OTHER,
    PORT,
    Node,
    nodes_alive,
    two_namespaces,
    wait_until,
    workers_below,
)

OUT = Path(__file__).parent / "results" / "faults.csv"
ON_TWO_NODES = {"extra_wall_seconds": None}
"""The undisturbed run has one worker, so its wall seconds are not comparable."""
PATIENCE = 400.0


@dataclass
class Case:
    """A fault, and the result of a run with it."""

    fault: str
    number: int
    injected: int = 0
    moments: list[str] = field(default_factory=list)

    def outcome(self, attempt: Attempt, reference: Reference) -> dict[str, object]:
        run = attempt.run
        right = run is not None and (run / "ranking.csv").exists() and ranking_of(run).equals(reference.ranking)
        repeated = (images_trained(attempt.folder) - reference.images) / TRAIN_IMAGES
        return {
            "fault": self.fault,
            "run": self.number,
            "injected": self.injected,
            "right": int(right),
            "rows_lost": attempt.lost_rows(),
            "repeated_epochs": round(repeated, 2),
            "repeated_seconds": round(repeated * reference.epoch_seconds, 2),
            "extra_wall_seconds": round(attempt.seconds - reference.seconds, 1),
            "tracebacks": attempt.tracebacks,
            "left_over": attempt.left_over,
            "moments": "; ".join(self.moments),
        }


def moments(generator: random.Random, kills: int, *, at_end: bool) -> list[float]:
    """Times of the kills: shares of the log, one from each part of it; negative for seconds after a start."""
    shares = [(number + generator.random()) / (kills - 1) for number in range(kills - 1)]
    if at_end:
        shares[-1] = 1.0
    shares.insert(generator.randrange(kills), -generator.uniform(0.2, 6.0))
    return shares


def kill_driver(case: Case, attempt: Attempt, reference: Reference, number: signal.Signals, when: list[float]) -> None:
    generator = random.Random(f"{case.fault} {case.number}")
    for moment in when:
        with attempt.process() as process:
            least = min(max(moment * reference.rows, len(attempt.rows()) + 1), reference.rows)
            if moment < 0:
                time.sleep(-moment)
            else:
                wait_for(process, lambda least=least: len(attempt.rows()) >= least)
                time.sleep(generator.uniform(0.0, 1.0))
            attempt.note_rows()
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            if process.poll() is None:
                case.injected += 1
                case.moments.append(attempt.stage())
                process.send_signal(number)
                process.wait(timeout=PATIENCE)
                time.sleep(5)
                attempt.left_over += sum(child.is_running() for child in children)
    with attempt.process():
        pass


def kill_workers(case: Case, attempt: Attempt, reference: Reference, when: list[float]) -> None:
    generator = random.Random(f"{case.fault} {case.number}")
    with attempt.process() as process:
        for share in when:
            there = wait_for(
                process,
                lambda share=share: len(attempt.rows()) >= share * reference.rows and workers_below(process.pid),
            )
            if there:
                time.sleep(generator.uniform(0.0, 0.5))
                attempt.note_rows()
                for worker in workers_below(process.pid)[:1]:
                    case.injected += 1
                    case.moments.append(attempt.stage())
                    worker.kill()
                    time.sleep(1)


def is_due(attempt: Attempt, rows: float, node: Node) -> bool:
    """Whether the log has this many rows, and a trial is in the middle of an epoch on the node."""
    if len(attempt.rows()) < rows:
        return False
    attempt.note_rows()
    return node.trains


def lose_nodes(lost: Case, joined: Case, attempt: Attempt, reference: Reference) -> None:
    """Kills the second node three times, and lets a new one join twice."""
    head = Node(attempt.folder, "--head", f"--node-ip-address={HEAD}", f"--port={PORT}", "--include-dashboard=false")
    join = (f"--address={HEAD}:{PORT}", f"--node-ip-address={OTHER}")
    other: Node | None = None
    try:
        wait_until(lambda: nodes_alive(f"{HEAD}:{PORT}", 1), "the head does not come up")
        other = Node(attempt.folder, *join)
        wait_until(lambda: nodes_alive(f"{HEAD}:{PORT}", 2), "the second node does not come up")
        with attempt.process() as process:
            for share in (0.15, 0.45, 0.8):
                node = other
                if wait_for(process, lambda share=share, node=node: is_due(attempt, share * reference.rows, node)):
                    other.kill()
                    if lost.injected:  # a trial was on a node that has joined
                        joined.injected += 1
                        joined.moments.append(attempt.stage())
                    lost.injected += 1
                    lost.moments.append(attempt.stage())
                    if lost.injected < 3:
                        other = Node(attempt.folder, *join)
    finally:
        head.kill()
        if other is not None and other.is_alive:
            other.kill()


def cut_network(case: Case, folder: Path, reference: Reference) -> Attempt:
    with two_namespaces() as (first, second):
        address = f"{ADDRESSES[0]}:{PORT}"
        attempt = Attempt(folder, address=address, within=first)
        nodes = [
            Node(
                folder,
                "--head",
                f"--node-ip-address={ADDRESSES[0]}",
                f"--port={PORT}",
                "--include-dashboard=false",
                within=first,
            )
        ]
        try:
            wait_until(lambda: nodes_alive(address, 1, first), "the head does not come up")
            nodes.append(Node(folder, f"--address={address}", f"--node-ip-address={ADDRESSES[1]}", within=second))
            wait_until(lambda: nodes_alive(address, 2, first), "the second node does not come up")
            with attempt.process() as process:
                if wait_for(process, lambda: is_due(attempt, 0.4 * reference.rows, nodes[1])):
                    subprocess.run([*second, "ip", "link", "set", LINKS[1], "down"], check=True)
                    case.injected += 1
                    case.moments.append(attempt.stage())
        finally:
            for node in nodes:
                node.kill()
    return attempt


def keep(line: dict[str, object]) -> None:
    """Adds a line to the file, and shows it."""
    before = pd.read_csv(OUT) if OUT.exists() else pd.DataFrame()
    pd.concat([before, pd.DataFrame([line])]).to_csv(OUT, index=False)
    print(line, flush=True)


def is_there(fault: str, number: int) -> bool:
    if not OUT.exists():
        return False
    known = pd.read_csv(OUT)
    return bool(((known["fault"] == fault) & (known["run"] == number)).any())


def show() -> None:
    lines = pd.read_csv(OUT)
    sums = {"runs": ("run", "count")} | {
        name: (name, "sum")
        for name in ("injected", "right", "rows_lost", "repeated_epochs", "repeated_seconds", "extra_wall_seconds")
    }
    table = lines.groupby("fault", sort=False).agg(**sums)
    with pd.option_context("display.width", 200, "display.max_columns", None):
        print(table.round(1).to_string())


def measure(options: argparse.Namespace, folder: Path) -> None:
    alone = Attempt(folder / "alone")
    with alone.process():
        pass
    reference = Reference.of(alone)
    print(
        f"at peace: {reference.seconds:.0f} s, {reference.rows} rows, "
        f"{reference.images / TRAIN_IMAGES:.1f} epochs of {reference.epoch_seconds:.2f} s",
        flush=True,
    )
    if not is_there("none", 1):
        keep(Case("none", 1).outcome(alone, reference))
    generator = random.Random(0)
    for number in range(1, options.runs + 1):
        for name in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
            case = Case(f"driver {name.name}", number)
            when = moments(generator, options.kills, at_end=number == options.runs)
            if not is_there(case.fault, number):
                attempt = Attempt(folder / f"{name.name}-{number}")
                kill_driver(case, attempt, reference, name, when)
                keep(case.outcome(attempt, reference))
        case = Case("worker killed", number)
        shares = sorted(generator.uniform(0.02, 0.95) for _ in range(options.kills))
        if not is_there(case.fault, number):
            attempt = Attempt(folder / f"worker-{number}")
            kill_workers(case, attempt, reference, shares)
            keep(case.outcome(attempt, reference))
    if not is_there("log killed in mid-write", 1):
        (folder / "log").mkdir()
        keep(kill_in_mid_write(options.log_kills, folder / "log"))
    for number in range(1, options.node_runs + 1):
        lost, joined = Case("node lost", number), Case("node joined late", number)
        if not is_there(lost.fault, number):
            attempt = Attempt(folder / f"nodes-{number}", address=f"{HEAD}:{PORT}")
            lose_nodes(lost, joined, attempt, reference)
            found = lost.outcome(attempt, reference) | ON_TWO_NODES
            keep(found)
            same = {"fault": joined.fault, "injected": joined.injected, "moments": "; ".join(joined.moments)}
            keep(found | same | {"repeated_epochs": 0, "repeated_seconds": 0})
    case = Case("network cut", 1)
    if not is_there(case.fault, 1) and os.geteuid() == 0:
        keep(case.outcome(cut_network(case, folder / "cut", reference), reference) | ON_TWO_NODES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1, help="runs for each signal, and with killed workers")
    parser.add_argument("--node-runs", type=int, default=2, help="runs whose second node is lost up to three times")
    parser.add_argument("--kills", type=int, default=10, help="kills in each run")
    parser.add_argument("--log-kills", type=int, default=20, help="kills in mid-write of the log")
    parser.add_argument("--folder", type=Path, help="where runs are left; default: a temporary one")
    options = parser.parse_args()
    if options.folder is not None:
        measure(options, options.folder)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(options, Path(folder))
    show()


if __name__ == "__main__":
    main()
