"""Plans before anything is spent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from taurank.orchestrator.api.words import in_python
from taurank.orchestrator.experiment import Experiment, load_experiment
from taurank.orchestrator.planning import Outlook


@dataclass(frozen=True, repr=False)
class Plan:
    """The stages of a budget, and the tau that they are expected to reach.

    Attributes:
        outlook: the budget asked for, and others beside it.
        notes: what the forecast does not account for.
    """

    outlook: Outlook
    notes: tuple[str, ...] = ()

    @property
    def tau(self) -> float:
        """Expected Kendall's tau-b with full training, in [-1, 1]; higher is better."""
        return self.outlook.chosen.forecast.tau

    @property
    def low(self) -> float:
        """Lower end of the 90 % interval of tau, for one run."""
        return self.outlook.chosen.forecast.low

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.outlook.chosen.forecast.high

    @property
    def budget(self) -> float:
        """How many times cheaper than full training of all candidates."""
        return self.outlook.chosen.forecast.budget

    @property
    def epochs(self) -> float:
        """Epochs of all stages, at most: one epoch is one pass of one candidate over the training images."""
        return self.outlook.epochs(self.outlook.chosen.stages)

    def to_frame(self) -> pd.DataFrame:
        """The budget asked for and others beside it: ``budget, tau, low, high, epochs, hours`` (NaN if unknown)."""
        rows = [
            {
                "budget": option.forecast.budget,
                "tau": option.forecast.tau,
                "low": option.forecast.low,
                "high": option.forecast.high,
                "epochs": self.outlook.epochs(option.stages),
                "hours": self.outlook.hours(option.stages),
            }
            for option in self.outlook.neighbours
        ]
        return pd.DataFrame(rows)

    def document(self) -> dict[str, Any]:
        """All of it as `taurank plan --json` prints it."""
        from taurank.orchestrator.report import outlook_document

        return outlook_document(self.outlook, notes=self.notes)

    def __repr__(self) -> str:
        tau = f"{self.tau:.2f} ({self.low:.2f} to {self.high:.2f})"
        return f"<Plan of {self.epochs:,.1f} epochs, {self.budget:g}x: tau {tau}>"


@in_python
def plan(
    experiment_or_run: Experiment | str | os.PathLike[str] | None = None,
    *,
    space: str = "",
    data: str = "",
    candidates: int | None = None,
    epochs: int | None = None,
    budget: str | float | None = None,
    tau: float | None = None,
    schedules: Sequence[int] = (),
    epoch_seconds: float | None = None,
    table: str | os.PathLike[str] | None = None,
    truth: str = "",
    among: str = "distinct",
    draws: int = 3,
) -> Plan:
    """The stages of a budget and the tau they are expected to reach; nothing is trained.

    Args:
        experiment_or_run: an experiment, its file or name, or the folder of a run; None for ``candidates`` of a
            ``space``.
        space: name of the search space; empty for one without recorded data.
        data: name of the data set; empty if unknown.
        candidates: number of candidates.
        epochs: length of full training.
        budget: as an experiment has it, such as ``"10x"`` or ``"4h"``.
        tau: instead of ``budget``, the tau to reach, in (0, 1): the cheapest budget that is expected to.
        schedules: schedule lengths that can be trained; empty for any.
        epoch_seconds: seconds per epoch; None for those of the run or table.
        table: recorded trainings (.parquet) that are replayed instead of using the forecast: slower, exact.
        truth: of the table: its reference, as in `taurank replay`.
        among: of the table: as in `taurank replay`.
        draws: of the table: number of replays per budget.

    Raises:
        PlanError: arguments that cannot be planned; one line.
        ExperimentError, RunError, TableError: the file, run or table cannot be read.

    Example:
        >>> import taurank
        >>> found = taurank.plan(space="nasbench201", candidates=1000, epochs=200, budget="10x")
        >>> found.low < found.tau < found.high, found.epochs <= 20_000
        (True, True)
    """
    from taurank.orchestrator.campaigns import plan_ahead
    from taurank.orchestrator.planning import PlanError

    if draws < 2:
        raise PlanError(f"draws: {draws} have no interval; give 2 or more")
    for name, count, least in (("candidates", candidates, 2), ("epochs", epochs, 1)):
        if count is not None and count < least:
            raise PlanError(f"{name}: {count} is too few; give {least} or more")
    what: Experiment | Path | None = None
    if isinstance(experiment_or_run, str | os.PathLike) and Path(experiment_or_run).is_dir():
        what = Path(experiment_or_run)
    elif experiment_or_run is not None:
        what = load_experiment(experiment_or_run)
    outlook, notes = plan_ahead(
        what,
        space=space,
        data=data,
        candidates=candidates,
        epochs=epochs,
        budget=None if budget is None else str(budget),
        tau=tau,
        schedules=",".join(map(str, schedules)),
        epoch_seconds=epoch_seconds,
        table=None if table is None else Path(table),
        truth=truth,
        among=among,
        draws=draws,
        say=lambda _: None,
    )
    return Plan(outlook, notes)
