"""Ranks and scores a run again from its log: `taurank rank` and `taurank score`."""

from __future__ import annotations

from pathlib import Path

from taurank.orchestrator.report import RunReport, report_run
from taurank.orchestrator.runs import Run
from taurank.orchestrator.scoring import ScoringError, read_truth
from taurank.orchestrator.session import storage_failures
from taurank.orchestrator.text import Console, print_line


def rank_again(run: Run, console: Console) -> RunReport:
    """Ranks a run from its log without training; writes the ranking and the report.

    Raises:
        RunError: there is nothing to rank by.
    """
    with storage_failures(run.folder, run.log):
        return report_run(run, console)


def score_again(
    run: Run, console: Console, *, baseline: Path | None = None, lower_is_better: bool | None = None
) -> RunReport:
    """Scores the ranking of a run against its own baseline, or another reference; writes the report.

    Args:
        run: the run.
        console: receives the tables.
        baseline: folder of another run, table or CSV, as ``read_truth`` takes it; None for the run's own.
        lower_is_better: which end of the reference is better; None: what the name of its column says.

    Raises:
        ScoringError: there is no reference, or it is of other architectures.
    """
    truth = None
    if baseline is not None:
        space = run.experiment.space.make()
        truth = read_truth(
            baseline,
            run.candidates,
            parse=lambda text: space.parse(text).code,
            lower_is_better=lower_is_better,
            ranked=run.experiment.ranked_metric,
        )
        for line in truth.notes:
            print_line(console, line)
    elif lower_is_better is not None:
        raise ScoringError("--lower-is-better and --higher-is-better are for --baseline; the run knows its own")
    with storage_failures(run.folder, run.log):
        return report_run(run, console, truth, need_score=True)
