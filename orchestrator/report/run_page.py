"""What the page of a run shows, from its log."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from taurank.orchestrator.evidence import BASELINE, SUPERNET, TRAINING, VALIDATION_ACCURACY, RankedMetric
from taurank.orchestrator.ranker import Ranking, in_accuracies
from taurank.orchestrator.report.figures import value_text
from taurank.orchestrator.report.hardware import hardware_lines
from taurank.orchestrator.report.page import Content
from taurank.orchestrator.report.searched import search_lines
from taurank.orchestrator.runs import Run
from taurank.orchestrator.scoring import Front, Score, known_cost, make_front
from taurank.orchestrator.search import STAGE
from taurank.orchestrator.stages import void_lines, void_scores


def run_content(
    run: Run, ranking: Ranking | None, score: Score | None, *, notes: Sequence[str] = (), refresh: float = 0.0
) -> Content:
    """What the page of a run shows.

    Args:
        run: the run; its log has all that is shown.
        ranking: its order; None before there is one.
        score: of the ranking; None without a reference.
        notes: lines on how the run stands.
        refresh: see `Content`.
    """
    experiment, rows = run.experiment, run.log.evidence()
    metric, full_epochs = experiment.ranked_metric, experiment.recipe.epochs
    evidence = None
    if metric.is_own:
        scaled = in_accuracies(rows, metric, full_epochs=full_epochs)[0]
        evidence, rows = scaled[scaled["stage"] != BASELINE], _as_shown(rows, metric)
    return Content(
        title=experiment.name,
        description=experiment.description,
        names=run.names,
        ranking=ranking,
        rows=rows,
        events=run.log.events(),
        full_epochs=full_epochs,
        final=value_text(metric),
        metric=metric.final_title,
        lower_is_better=metric.lower_is_better,
        evidence=evidence,
        score=score,
        measured={} if score is not None or ranking is None else _measured(rows, full_epochs),
        void=void_lines(void_scores(run.log), len(run.candidates)),
        trust=run.trust() if ranking is not None else (),
        tradeoff=None if ranking is None else _tradeoff(ranking, rows),
        hardware=hardware_lines(experiment, run.log, run.candidates),
        searched=_searched(run, ranking, rows) if experiment.search is not None and ranking is not None else (),
        notes=notes,
        definition=experiment.to_yaml(),
        refresh=refresh,
    )


def _as_shown(rows: pd.DataFrame, metric: RankedMetric) -> pd.DataFrame:
    """The rows with the user's metric in the place of accuracies, its values as they are."""
    trained = rows["source"] == TRAINING
    kept = rows[~trained | (rows["metric"] == metric.name)]
    return kept.assign(metric=kept["metric"].where(kept["metric"] != metric.name, VALIDATION_ACCURACY))


def _measured(rows: pd.DataFrame, full_epochs: int) -> dict[str, float]:
    """Validation accuracies at the end of full trainings that are evidence, mean over seeds, by code."""
    ends = rows[
        (rows["stage"] != BASELINE)
        & (rows["source"] == TRAINING)
        & (rows["metric"] == VALIDATION_ACCURACY)
        & (rows["epoch"] >= full_epochs)
        & (rows["epoch_share"] == 1)
    ]
    return {str(code): float(value) for code, value in ends.groupby("architecture")["value"].mean().items()}


def _tradeoff(ranking: Ranking, rows: pd.DataFrame) -> Front | None:
    evidence = rows[rows["stage"] != BASELINE]
    cost = known_cost(evidence)
    return None if cost is None else make_front(ranking, evidence, cost)


def _searched(run: Run, ranking: Ranking, rows: pd.DataFrame) -> list[str]:
    return search_lines(
        ranking,
        run.names,
        spent_epochs=run.log.spent_in(STAGE)[1],
        full_epochs=run.experiment.recipe.epochs,
        supernet_epochs=float(rows.loc[rows["stage"].str.startswith(SUPERNET), "epochs"].sum()),
    )
