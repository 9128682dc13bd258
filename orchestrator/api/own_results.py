"""The ranker on results of trainings that taurank has not run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from taurank.orchestrator.api.rankings import Ranking
from taurank.orchestrator.api.words import in_python

if TYPE_CHECKING:
    from taurank.orchestrator.own_results import NextTrainings

Frame = str | os.PathLike[str] | pd.DataFrame | Mapping[str, Any] | Iterable[Mapping[str, Any]]


@in_python
def rank(
    frame: Frame,
    *,
    full_epochs: int,
    metric: str,
    mode: str | None = None,
    features: Frame | None = None,
    columns: Mapping[str, str] | None = None,
) -> Ranking:
    """Ranks candidates by results of trainings, short, stopped or full, as `taurank rank RESULTS` does.

    Args:
        frame: a table with a row per candidate and epoch: columns for the candidate, the epoch and the metric, and if
            there are any for the seed, the schedule's length (of full training where there is none) and the device
            seconds of the epoch; as a data frame, what one is made of, or a CSV or parquet file. Or a folder of Ray
            Tune, Lightning's CSVLogger, MLflow or TensorBoard. A metric without a number in a row was not measured
            there; at the end of a training, where others were measured, it is a failure.
        full_epochs: length of full training, in epochs: its order is what the ranking predicts.
        metric: name of the metric; any number, such as an accuracy, a loss, an IoU.
        mode: ``"max"`` or ``"min"``; None: what the name of the metric says (loss, error: lower is better).
        features: numbers per candidate, such as size and depth: a table with a column for the candidate. Candidates
            without results are ranked by what they resemble.
        columns: names of the columns ``candidate``, ``epoch``, ``seed``, ``schedule_epochs`` and ``seconds``; those
            with a sensible name are found.

    Returns:
        The ranking; its predicted values are in the unit and direction of the metric.

    Raises:
        ResultsError: results that cannot be ranked; one line with the way out.

    Example:
        >>> import taurank
        >>> losses = {"small": [0.9, 0.7, 0.6], "large": [0.8, 0.5, 0.3], "wide": [1.0, 0.8, 0.7]}
        >>> rows = [{"net": net, "epoch": epoch, "val_loss": loss}
        ...         for net, curve in losses.items() for epoch, loss in enumerate(curve, start=1)]
        >>> ranking = taurank.rank(rows, full_epochs=3, metric="val_loss")
        >>> ranking.to_frame()[["rank", "candidate", "predicted"]].values.tolist()
        [[1, 'large', 0.3], [2, 'small', 0.6], [3, 'wide', 0.7]]
    """
    from taurank.orchestrator.own_results import model_of, read_results

    model = model_of(
        read_results(frame, full_epochs=full_epochs, metric=metric, mode=mode, features=features, columns=columns)
    )
    names = {code: code for code in model.results.candidates}
    return Ranking(model.ranking, names, metric=metric, finals=model.finals)


@in_python
def next_trainings(
    frame: Frame,
    *,
    full_epochs: int,
    metric: str,
    budget: str | float | None = None,
    epochs: float | None = None,
    mode: str | None = None,
    features: Frame | None = None,
    columns: Mapping[str, str] | None = None,
    restart: bool = False,
) -> NextTrainings:
    """Which candidates to train next, how far, and the tau expected after that, as `taurank next` says.

    Args:
        frame: see `rank`.
        full_epochs: see `rank`.
        metric: see `rank`.
        budget: how many times cheaper than full training of all candidates, such as ``"5x"``, all that was trained so
            far included.
        epochs: instead of the budget, how many epochs may be trained now.
        mode: see `rank`.
        features: see `rank`.
        columns: see `rank`.
        restart: whether trainings cannot be continued from where they ended.

    Returns:
        Object with ``trainings`` (each with ``candidate``, ``from_epoch``, ``to_epoch``, ``schedule_epochs`` and
        ``epochs``), ``to_frame()``, and ``prospect`` with the expected tau ``now``, ``after``, and its 90 % interval.

    Raises:
        ResultsError, BudgetError: results that cannot be ranked, or a budget that trains nothing; one line.

    Example:
        >>> import taurank
        >>> rows = [{"net": f"net-{n}", "epoch": e, "acc": 0.5 + 0.03 * n + 0.02 * e} for n in range(6) for e in (1, 2)]
        >>> found = taurank.next_trainings(rows, full_epochs=10, metric="acc", epochs=20)
        >>> [(training.from_epoch, training.to_epoch) for training in found.trainings]
        [(2, 10), (2, 10)]
    """
    from taurank.orchestrator.experiment import read_factor
    from taurank.orchestrator.own_results import model_of, plan_next, read_results

    factor = None if budget is None else read_factor(budget)
    results = read_results(frame, full_epochs=full_epochs, metric=metric, mode=mode, features=features, columns=columns)
    return plan_next(model_of(results), budget=factor, epochs=epochs, restart=restart)
