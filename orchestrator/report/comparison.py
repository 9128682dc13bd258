"""Several runs side by side: how far their orders agree on the candidates that they share, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from rich.console import Console
from rich.table import Table

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.figures import decimal, interval
from taurank.orchestrator.runs import Run, RunError
from taurank.orchestrator.scoring import ScoringError
from taurank.orchestrator.tau import Agreement, agreement
from taurank.orchestrator.text import MiddleElided, print_line

TOP = 5


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    Attributes:
        folder: of the run.
        name: of its experiment.
        data: its data set.
        order: codes of its candidates, best first.
        best: short name of the first.
        epochs: cost of its evidence in epoch-equivalents.
        share: the same as a share of full training of all.
        seconds: cost in device seconds.
        expected_tau: that its ranking expects of itself.
        tau: against its own baseline; NaN without one.
    """

    folder: Path
    name: str
    data: str
    order: tuple[str, ...]
    best: str
    epochs: float
    share: float
    seconds: float
    expected_tau: float
    tau: float


@dataclass(frozen=True)
class ComparedPair:
    """Two of the runs.

    Attributes:
        first: folder of one.
        second: folder of the other.
        shared: candidates that both have.
        found: tau-b between their orders of these; None for fewer than two.
        top: of the first's best ``k`` of these, how many are among the second's.
        k: five, or half of the shared candidates if they are fewer than ten.
    """

    first: Path
    second: Path
    shared: int
    found: Agreement | None
    top: int
    k: int


@dataclass(frozen=True)
class Comparison:
    """The runs, and each two of them."""

    runs: tuple[ComparedRun, ...]
    pairs: tuple[ComparedPair, ...]


def compare_runs(folders: Sequence[Path]) -> Comparison:
    """Compares runs by their rankings, which are made of their logs as these are now; nothing is written.

    Raises:
        RunError, EvidenceError: fewer than two folders, the same twice, or one that is not a run with a ranking.
    """
    resolved = [folder.resolve() for folder in folders]
    if len(resolved) < 2:
        raise RunError("one run has nothing to be compared with; give two or more folders of runs")
    if len(set(resolved)) < len(resolved):
        raise RunError("a run is given twice; give different folders")
    runs = tuple(_read(folder) for folder in resolved)
    return Comparison(runs, tuple(_pair(first, second) for first, second in combinations(runs, 2)))


def _read(folder: Path) -> ComparedRun:
    with Run.snapshot(folder) as run:
        ranking, rows = run.rank(), run.log.evidence()
        own = rows[rows["stage"] != BASELINE]
        order = tuple(str(code) for code in ranking.table["architecture"])
        epochs = float(own["epochs"].sum())
        return ComparedRun(
            folder=folder,
            name=run.experiment.name,
            data=run.experiment.data.name,
            order=order,
            best=run.names[order[0]],
            epochs=epochs,
            share=epochs / (len(order) * run.experiment.recipe.epochs),
            seconds=float(own["seconds"].sum()),
            expected_tau=ranking.expected_tau,
            tau=_tau(run, ranking),
        )


def _tau(run: Run, ranking: Ranking) -> float:
    try:
        return run.score(ranking).tau
    except ScoringError:
        return math.nan


def _pair(first: ComparedRun, second: ComparedRun) -> ComparedPair:
    places = {code: place for place, code in enumerate(second.order)}
    shared = [code for code in first.order if code in places]
    k = min(TOP, -(-len(shared) // 2))
    best = set(sorted(shared, key=places.__getitem__)[:k])
    found = agreement(range(len(shared)), [places[code] for code in shared]) if len(shared) > 1 else None
    return ComparedPair(first.folder, second.folder, len(shared), found, len(best & set(shared[:k])), k)


def print_comparison(console: Console, found: Comparison) -> None:
    """Prints a row for each run, and a row for each two of them."""
    letters = {run.folder: f"{number}" for number, run in enumerate(found.runs, start=1)}
    runs = Table(box=None, pad_edge=False)
    runs.add_column("")
    runs.add_column("run", min_width=12)
    for heading in ("data", "best"):
        runs.add_column(heading)
    for heading in ("candidates", "epochs", "of full", "seconds", "expected tau", "tau"):
        runs.add_column(heading, justify="right", no_wrap=True)
    for run in found.runs:
        numbers = (f"{len(run.order):,}", f"{run.epochs:,.1f}", f"{run.share:.1%}", f"{run.seconds:,.1f}")
        taus = (_shown(run.expected_tau), _shown(run.tau))
        names = (MiddleElided(run.folder.name), MiddleElided(run.data), MiddleElided(run.best))
        runs.add_row(letters[run.folder], *names, *numbers, *taus)
    console.print(runs)
    print_line(console)
    pairs = Table(box=None, pad_edge=False)
    pairs.add_column("runs")
    for heading in ("shared", "tau-b of the orders", "95 % interval", "same at the top"):
        pairs.add_column(heading, justify="right", no_wrap=True)
    for pair in found.pairs:
        tau, ends = ("-", "-") if pair.found is None else (decimal(pair.found.tau), interval(pair.found))
        top = f"{pair.top} of {pair.k}" if pair.k else "-"
        pairs.add_row(f"{letters[pair.first]}, {letters[pair.second]}", str(pair.shared), tau, ends, top)
    console.print(pairs)
    if not any(pair.shared for pair in found.pairs):
        print_line(console, "the runs share no candidate, so their orders cannot be compared")


def _shown(tau: float) -> str:
    return f"{tau:.2f}" if math.isfinite(tau) else "-"
