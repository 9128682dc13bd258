"""The live progress of a run: one display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from taurank.orchestrator.evidence import ACCURACY, BASELINE, PROXIES, SKIPPED, Evidence, RankedMetric
from taurank.orchestrator.session import Counts, RunLog, RunState, StageLeft, StagePlan, Waiting, time_left
from taurank.orchestrator.text import PLAIN_LINE_SECONDS, counted, duration, print_line

BOOKINGS = 512
"""Latest results that the pace is measured on."""

USED_SECONDS = 5.0
"""Least time between two looks into the log for what is spent of a budget in time."""


def _ignore(state: RunState) -> None:
    """Does nothing."""


class Display:
    """Shows stage, trials, budget used, best so far and time left.

    Args:
        console: where to; a live display on a terminal, a line every ten seconds elsewhere.
        total_epochs: epoch-equivalents of all stages, baseline included, for the time left.
        budget_epochs: epoch-equivalents that the evidence may cost.
        names: short names of the candidates, by code.
        plan: the stages in their order.
        tell: receives each new state.
        run_log: receives the printed lines as well.
        metric: of the trainings, in which the best so far is shown.
        used: how much of a budget in time is spent in words, and the seconds on the clock that are left of it; None for
            one in epochs.
    """

    def __init__(
        self,
        console: Console,
        *,
        total_epochs: float,
        budget_epochs: float,
        names: Mapping[str, str],
        plan: Sequence[StagePlan] = (),
        tell: Callable[[RunState], None] = _ignore,
        run_log: RunLog | None = None,
        metric: RankedMetric = ACCURACY,
        used: Callable[[], tuple[str, float]] | None = None,
    ) -> None:
        self._metric = metric
        self._used, self._used_text, self._used_at = used, "", -math.inf
        self._most_left = math.inf
        self._console, self._names = console, names
        self._plan, self._tell, self._run_log = {stage.title: stage for stage in plan}, tell, run_log
        self._doing = ""
        self._waiting: Waiting | None = None
        self._patience: float | None = None
        self._left: StageLeft | None = None
        self._saved: dict[str, float] = {}
        self.total_epochs, self.budget_epochs = total_epochs, budget_epochs
        self._stage, self._trials, self._counts = "", 0, Counts()
        self._stage_epochs = 0.0
        # Seconds of work, starts of workers left out, and epoch-equivalents: the basis of the remaining time.
        self._booked: deque[tuple[float, float]] = deque(maxlen=BOOKINGS)
        self._last_booked: float | None = None
        # By stage, since a stage can be resumed: epochs used so far, and planned epochs of completed stages.
        self._spent: dict[str, float] = {}
        self._behind: dict[str, float] = {}
        self._best, self._best_value = "", math.nan
        self._said = self._stage_started = time.monotonic()
        self._live: Live | None = None
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            console=console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Display:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=4, transient=True, get_renderable=self._render)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_stage()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def doing(self, what: str) -> None:
        """Sets the current activity between stages, as text."""
        self._end_stage()
        self._doing = what
        self._tell(self.state)

    @property
    def state(self) -> RunState:
        """The current state of the run."""
        return RunState(
            doing="" if self._stage else self._doing,
            stage=self._stage,
            stages=tuple(self._plan.values()),
            counts=self._counts,
            spent=dict(self._spent),
            saved=dict(self._saved),
            budget_epochs=self.budget_epochs,
            budget_time=self._used_text,
            waiting=self._waiting,
            patience=self._patience,
            left=self._seconds_left(),
        )

    def skip_stage(
        self, name: str, *, epochs: float, spent: float, how: str = "completed in an earlier part of the run"
    ) -> None:
        """Skips a stage that is complete: ``spent`` epochs count as used, none of its planned ``epochs`` remain."""
        self._end_stage()
        self._behind[name], self._spent[name] = epochs, spent
        if self._run_log is not None:
            self._run_log.line(name, "", SKIPPED, f"{how}, {spent:.1f} epochs")

    def start_stage(self, name: str, *, trials: int, epochs: float, spent: float) -> None:
        """Starts or resumes a stage; ``spent`` of its ``epochs`` are already used."""
        self._end_stage()
        self._behind.pop(name, None)
        self._stage, self._trials, self._counts = name, trials, Counts(waiting=trials)
        self._stage_epochs, self._spent[name] = epochs, spent
        self._stage_started = self._said = time.monotonic()
        self._best, self._best_value = "", math.nan
        self._read_used()
        known = self._plan.get(name)
        self._plan[name] = StagePlan(name, trials, epochs if known is None else max(epochs, known.epochs))
        self._task = self._bar.add_task(name, total=max(epochs, 1e-9), completed=spent)  # type: ignore[arg-type]
        if self._live is None:
            already = f", {spent:.0f} of them done before" if spent else ""
            self._print(f"stage {name}: {counted(trials, 'trial')}, at most {epochs:.0f} epochs{already}")
        if self._run_log is not None:
            already = f", {spent:.1f} of them spent before" if spent else ""
            text = f"{counted(trials, 'trial')}, at most {epochs:.1f} epochs{already}"
            self._run_log.line(name, "", "begins", text)
        self._tell(self.state)

    def advance(self, epochs: float, results: Sequence[Evidence]) -> None:
        """Adds the epoch-equivalents of new rows, and those of them that have the metric."""
        self._spent[self._stage] += epochs
        if epochs > 0:
            self._book(epochs)
        for row in (row for row in results if math.isfinite(row.value)):
            if not self._best or self._metric.rising(row.value - self._best_value) > 0:
                self._best_value, self._best = row.value, self._names.get(row.architecture, row.architecture)
        if self._task is not None:
            self._bar.update(self._task, completed=self._spent[self._stage])

    def update(
        self,
        counts: Counts,
        *,
        saved: float = 0.0,
        waiting: Waiting | None = None,
        patience: float | None = None,
        left: StageLeft | None = None,
    ) -> None:
        """Updates counts, saved epochs, awaited resources, the hang limit in seconds (``patience``) and time left."""
        self._left = left
        self._counts, self._saved[self._stage] = counts, saved
        self._waiting, self._patience = waiting, patience
        self._read_used()
        self._tell(self.state)
        now = time.monotonic()
        if self._live is None and now - self._said >= PLAIN_LINE_SECONDS:
            self._said = now
            self._print(f"  {self._stage}: " + "; ".join(part for part in (str(counts), self._details()) if part))

    def say(self, line: str) -> None:
        """Prints a line above the display and writes it to the log of the run."""
        self._print(line)
        if self._run_log is not None:
            self._run_log.line(self._stage, "", "note", line)

    def _print(self, line: str) -> None:
        print_line(self._console, line)

    def _end_stage(self) -> None:
        if not self._stage:
            return
        took = duration(time.monotonic() - self._stage_started)
        self._print(f"stage {self._stage}: {self._spent[self._stage]:.1f} epochs, {took}")
        if self._run_log is not None:
            saved = self._saved.get(self._stage, 0.0)
            text = f"{self._spent[self._stage]:.1f} epochs in {took}"
            self._run_log.end_stage(self._stage, text + (f", {saved:.1f} saved" if saved else ""))
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._behind[self._stage] = self._stage_epochs
        if self._stage == PROXIES:  # seconds per epoch differ from those of trainings: no basis for the remaining time
            self._booked.clear()
        self._last_booked = None
        self._stage, self._task, self._waiting, self._left = "", None, None, None
        self._doing = "between stages"
        self._used_at = -math.inf  # nothing may follow that would state what the last seconds were spent on
        self._read_used()

    def _book(self, epochs: float) -> None:
        """Takes up new epochs; the first ones of a stage only start its clock, since its workers were starting."""
        now = time.monotonic()
        if self._last_booked is not None:
            worked = self._booked[-1][0] if self._booked else 0.0
            self._booked.append((worked + now - self._last_booked, epochs))
        self._last_booked = now

    def _read_used(self) -> None:
        """Looks up how much of a budget in time is spent, now and then: the live display is drawn by another thread."""
        now = time.monotonic()
        if self._used is not None and now - self._used_at >= USED_SECONDS:
            (self._used_text, self._most_left), self._used_at = self._used(), now

    def _details(self) -> str:
        parts = []
        if self._stage != BASELINE:
            spent = sum(epochs for stage, epochs in self._spent.items() if stage != BASELINE)
            parts.append(f"budget {self._used_text or f'{spent:.0f} of {self.budget_epochs:.0f} epochs'}")
        if self._best:
            parts.append(f"best so far {self._metric.text(self._best_value)} {self._best}")
        if not self._counts.running and self._counts.waiting:
            parts.append("workers are starting")
        seconds = self._seconds_left()
        if seconds is not None:
            parts.append(f"about {duration(seconds)} left")
        return ", ".join(parts)

    def _seconds_left(self) -> float | None:
        """Of all stages; None where that is unknown."""
        ahead = self.total_epochs - sum(self._behind.values())
        if self._left is not None:
            most = math.inf if self._stage == BASELINE else max(self._most_left, 0.0)
            return min(self._left.seconds, most) + max(ahead - self._stage_epochs, 0.0) * self._left.epoch_seconds
        epochs = ahead - self._spent.get(self._stage, 0.0)
        pace = None if self._stage == PROXIES else time_left(self._booked, epochs, of_stage=False)
        return None if pace is None or epochs <= 0 else pace.seconds

    def _render(self) -> Group:
        if not self._stage:
            return Group(Text(f"{self._doing or 'starting Ray'} ..."))
        counts = Text(f"{counted(self._trials, 'trial')}: {self._counts}", overflow="ellipsis", no_wrap=True)
        return Group(self._bar, counts, Text(self._details(), style="dim", overflow="ellipsis", no_wrap=True))
