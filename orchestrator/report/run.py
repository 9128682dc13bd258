"""The final report of a run: tables for the terminal, ranking files, and the page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from rich.console import Console

from taurank.orchestrator.experiment import ObjectiveSpec
from taurank.orchestrator.hardware import ObjectiveError
from taurank.orchestrator.ranker import Ranking, final_values
from taurank.orchestrator.report.conclusion import conclusion
from taurank.orchestrator.report.figures import against
from taurank.orchestrator.report.hardware import front_line, objective_line, print_hardware
from taurank.orchestrator.report.page import write_page
from taurank.orchestrator.report.run_page import run_content
from taurank.orchestrator.report.tables import print_columns, print_ranking, print_score, print_void
from taurank.orchestrator.report.trust import print_trust
from taurank.orchestrator.runs import LOG_FILE, Run
from taurank.orchestrator.scoring import FRONT_FILE, Score, ScoringError, Truth, score_objective
from taurank.orchestrator.stages import taken_over_line
from taurank.orchestrator.text import print_line


@dataclass(frozen=True)
class RunReport:
    """The result of a run, as it is printed and written.

    Attributes:
        run: the run.
        ranking: its order.
        score: the ranking against full training; None where there is nothing to score it by.
        evidence: rows that the ranking was made of.
        last_line: the files that were written.
        conclusion: what it comes to, in plain sentences; empty for a search.
    """

    run: Run
    ranking: Ranking
    score: Score | None
    evidence: pd.DataFrame
    last_line: str
    conclusion: str

    def document(self) -> dict[str, Any]:
        """All of it but the samples, for JSON; NaN for what is missing."""
        ranking, names = self.ranking, self.run.names
        rows = ranking.with_tiers.to_dict("records")
        return {
            "folder": self.run.folder,
            "ranking": [{"name": names[row["architecture"]]} | row for row in rows],
            "certainty": ranking.certainty,
            "full_trainings": ranking.full_trainings,
            "weights": ranking.weights,
            "knowledge": [asdict(use) for use in ranking.knowledge],
            "expected_tau": ranking.expected_tau,
            "expected_tau_interval": ranking.expected_tau_interval,
            "conclusion": self.conclusion,
            "score": None if self.score is None else _score_document(self.score),
            "cost": {name: self.evidence[name].sum() for name in ("epochs", "seconds")},
        }


def _score_document(score: Score) -> dict[str, Any]:
    return {
        "against": against(score),
        **asdict(score.ranking),
        "ceiling": None if score.ceiling is None else score.ceiling.ceiling,
        "retained": None if score.ceiling is None else score.ceiling.retained,
        "coverage": score.coverage,
        "failed": score.failed,
        "speed_up": score.speed_up,
        "sources": [
            {"name": source.name, **asdict(source.agreement), "speed_up": source.speed_up} for source in score.sources
        ],
    }


def report_run(
    run: Run,
    console: Console,
    truth: Truth | None = None,
    *,
    ranking: Ranking | None = None,
    need_score: bool = False,
) -> RunReport:
    """Prints the tables of a run and writes its ranking files and page.

    Args:
        run: the run; its log has all that is reported.
        console: where the tables go.
        truth: what the ranking is scored against; None for the baseline of the run, if it has one.
        ranking: made of the log before; None to make it now.
        need_score: whether a ranking that cannot be scored is a mistake.

    Raises:
        ScoringError: ``need_score`` and there is no truth.
    """
    if ranking is None:
        ranking = run.rank()
        poorer = ranking.loses(run.folder)
        if poorer:
            print_line(console, poorer)
        ranking.write(run.folder)
    score = None
    try:
        score = run.score(ranking, truth)
    except ScoringError:
        if need_score:
            raise
    content = run_content(run, ranking, score)
    experiment, evidence = run.experiment, content.own_rows
    metric = experiment.ranked_metric
    measured = final_values(run.log.evidence(), metric, full_epochs=experiment.recipe.epochs)
    print_ranking(
        console,
        ranking,
        score,
        evidence,
        run.names,
        metric=metric.name if metric.is_own else None,
        measured=len(measured),
    )
    print_trust(console, content.trust, full_epochs=experiment.recipe.epochs)
    print_void(console, content.void)
    taken_over = taken_over_line(run.log)
    if taken_over:
        print_line(console, taken_over)
    if score is not None:
        print_columns(console, score, run.names)
        print_score(console, score)
        if experiment.objective is not None:
            print_line(console, _scored_objective(run, ranking, experiment.objective, score.truth, evidence))
    for line in content.searched:
        print_line(console, line)
    print_hardware(console, content.hardware)
    tradeoff = content.tradeoff
    if tradeoff is not None:
        tradeoff.write(run.folder)
        print_line(console, front_line(tradeoff, run.folder, metric))
    page = write_page(run.folder / "report.html", content)
    fronts = f"{FRONT_FILE}, " if tradeoff else ""
    last_line = f"written: ranking.csv, ranking.parquet, {fronts}{page.name}, {LOG_FILE} in {run.folder}"
    print_line(console, last_line)
    ending = ""
    if experiment.search is None:
        share = float(evidence["epochs"].sum()) / (experiment.recipe.epochs * len(run.candidates))
        ending = conclusion(ranking, score, run.names, share=share)
        print_line(console, ending, wrap=True)
    return RunReport(run, ranking, score, evidence, last_line, ending)


def _scored_objective(run: Run, ranking: Ranking, spec: ObjectiveSpec, truth: Truth, evidence: pd.DataFrame) -> str:
    try:
        return objective_line(score_objective(ranking, spec, truth, evidence, run.candidates))
    except ObjectiveError as error:  # not defined for this reference; the ranking still has its score
        return str(error)
