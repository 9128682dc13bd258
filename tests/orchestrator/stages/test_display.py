from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from taurank.orchestrator.evidence import BASELINE, PROXIES
from taurank.orchestrator.evidence.log import Evidence
from taurank.orchestrator.session.state import Counts
from taurank.orchestrator.session.time_left import StageLeft
from taurank.orchestrator.stages.display import Display


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("taurank.orchestrator.stages.display.time.monotonic", clock)
    return clock


@pytest.fixture
def console():
    return Console(file=io.StringIO(), width=100, force_terminal=False)


def shown(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def accuracy(value: float, code: str = "code-of-a") -> Evidence:
    return Evidence("s", "t", code, "training", 1, 3, 0, "validation_accuracy", value)


def work(display: Display, clock: Clock, epochs: float, seconds: float, times: int = 6) -> None:
    """Results that come evenly; the first one follows the start of a worker, of any length, and is no base."""
    for number in range(times):
        clock.now += 300 if number == 0 else seconds
        display.advance(epochs, [])


def make(console: Console, total: float = 100.0) -> Display:
    return Display(console, total_epochs=total, budget_epochs=40.0, names={"code-of-a": "[bold]a"})


def test_counts_in_words():
    assert str(Counts(running=2, paused=1, stopped=3, done=4)) == "2 running, 1 paused, 3 stopped, 4 done"
    assert str(Counts(failed=1)).endswith(", 1 failed")


class TestPlainLines:
    def test_seconds_of_proxies_say_nothing_of_trainings(self, console, clock):
        with make(console) as display:
            display.start_stage(PROXIES, trials=1, epochs=2.0, spent=0.0)
            clock.now += 600
            display.advance(1.0, [])
            display.update(Counts(running=1))
            display.advance(1.0, [])
            display.start_stage("training-2", trials=6, epochs=12.0, spent=0.0)
            work(display, clock, 1.5, 4.0)
            display.update(Counts(running=2, done=4))
        lines = shown(console)
        assert lines[1].endswith("budget 1 of 40 epochs")
        # 89 of 100 epochs are left, at 4 seconds for 1.5.
        assert lines[4].endswith("budget 11 of 40 epochs, about 3:57 min left")

    def test_a_stage_that_is_gone_on_with_counts_once(self, console, clock):
        with make(console) as display:
            display.start_stage("training-2", trials=6, epochs=12.0, spent=0.0)
            work(display, clock, 2.0, 2.5)
            display.start_stage("training-2", trials=10, epochs=20.0, spent=12.0)
            work(display, clock, 2.0, 2.5, times=2)
            display.update(Counts(running=2, done=8))
        # 84 of 100 epochs are left, at 2.5 seconds for 2.
        assert shown(console)[-2].endswith("budget 16 of 40 epochs, about 1:45 min left")

    def test_a_stage_that_was_over_and_is_gone_on_with_counts_once(self, console, clock):
        with make(console) as display:
            display.skip_stage("training-2", epochs=12.0, spent=12.0)
            display.skip_stage("training-2", epochs=20.0, spent=20.0)
            display.start_stage("training-30", trials=1, epochs=30.0, spent=0.0)
            work(display, clock, 2.0, 4.0, times=7)
            display.update(Counts(running=1))
        # 66 of 100 epochs are left, at 4 seconds for 2.
        assert shown(console)[1].endswith("budget 34 of 40 epochs, about 2:12 min left")

    def test_a_stage_from_start_to_end(self, console, clock):
        with make(console) as display:
            display.start_stage("training-2", trials=24, epochs=48.0, spent=0.0)
            clock.now += 5
            display.advance(6.0, [])
            clock.now += 6
            display.update(Counts(running=2, done=3))
            clock.now += 11
            work(display, clock, 2.0, 4.0)
            display.update(Counts(running=2, done=9))
        assert shown(console) == [
            "stage training-2: 24 trials, at most 48 epochs",
            "  training-2: 2 running, 0 paused, 0 stopped, 3 done; budget 6 of 40 epochs",
            "  training-2: 2 running, 0 paused, 0 stopped, 9 done; budget 18 of 40 epochs, about 2:44 min left",
            "stage training-2: 18.0 epochs, 5:42 min",
        ]

    def test_a_line_every_ten_seconds(self, console, clock):
        with make(console) as display:
            display.start_stage("s", trials=1, epochs=10.0, spent=0.0)
            for _ in range(31):
                clock.now += 1
                display.update(Counts(running=1))
        assert sum("running" in line for line in shown(console)) == 3

    def test_resumed(self, console, clock):
        with make(console) as display:
            display.start_stage("s", trials=1, epochs=10.0, spent=4.0)
        assert shown(console)[0] == "stage s: 1 trial, at most 10 epochs, 4 of them done before"

    def test_best_so_far_takes_no_missing_value_and_no_markup(self, console, clock):
        with make(console) as display:
            display.start_stage("s", trials=1, epochs=10.0, spent=0.0)
            display.advance(1.0, [accuracy(0.5), accuracy(math.nan, "b"), accuracy(0.4, "c")])
            clock.now += 11
            display.update(Counts())
        assert "best so far 50.0% [bold]a" in "\n".join(shown(console))

    def test_best_so_far_starts_again_with_each_stage(self, console, clock):
        with make(console) as display:
            display.start_stage("long", trials=1, epochs=10.0, spent=0.0)
            display.advance(1.0, [accuracy(0.9)])
            display.start_stage("short", trials=1, epochs=10.0, spent=0.0)
            clock.now += 11
            display.update(Counts())
        assert "best so far" not in "\n".join(shown(console))

    def test_long_lines_are_not_broken(self, console, clock):
        make(console).say("x" * 300)
        assert shown(console) == ["x" * 300]


class TestTimeLeft:
    def left(self, console: Console, display: Display, clock: Clock) -> str:
        clock.now += 10
        display.update(Counts(running=1))
        return shown(console)[-1].rsplit("about ", 1)[-1]

    def test_counts_what_this_process_did_per_second(self, console, clock):
        with make(console, total=100.0) as display:
            display.start_stage("s", trials=1, epochs=100.0, spent=40.0)
            work(display, clock, 2.0, 2.0, times=5 + 1)
            assert self.left(console, display, clock) == "0:48 min left"  # 48 epochs at one a second

    def test_none_before_enough_results_and_none_of_the_start_of_workers(self, console, clock):
        with make(console, total=100.0) as display:
            display.start_stage("s", trials=10, epochs=100.0, spent=0.0)
            clock.now += 30
            display.update(Counts(waiting=10))
            assert shown(console)[-1] == (
                "  s: 0 running, 0 paused, 0 stopped, 0 done; budget 0 of 40 epochs, workers are starting"
            )
            for _ in range(5):
                clock.now += 1
                display.advance(1.0, [])
                assert "left" not in self.left(console, display, clock)

    def test_the_start_of_the_workers_of_the_next_stage_is_no_work(self, console, clock):
        with make(console, total=100.0) as display:
            display.start_stage("first", trials=1, epochs=12.0, spent=0.0)
            work(display, clock, 2.0, 2.0)
            display.start_stage("second", trials=1, epochs=88.0, spent=0.0)
            work(display, clock, 2.0, 2.0)
            assert self.left(console, display, clock) == "1:16 min left"

    def test_a_line_without_anything_to_add_ends_in_its_counts(self, console, clock):
        with make(console) as display:
            display.start_stage(BASELINE, trials=1, epochs=10.0, spent=0.0)
            clock.now += 11
            display.update(Counts(running=1))
        assert shown(console)[1] == f"  {BASELINE}: 1 running, 0 paused, 0 stopped, 0 done"

    def test_a_stage_that_took_less_than_planned_is_over_all_the_same(self, console, clock):
        with make(console, total=100.0) as display:
            display.start_stage("scheduled", trials=1, epochs=88.0, spent=0.0)
            work(display, clock, 2.0, 2.0)
            display.start_stage("last", trials=1, epochs=12.0, spent=0.0)
            assert self.left(console, display, clock) == "0:12 min left"

    def test_stages_done_before_are_not_waited_for(self, console, clock):
        with make(console, total=100.0) as display:
            display.skip_stage("first", epochs=80.0, spent=12.0)
            display.start_stage("second", trials=1, epochs=20.0, spent=0.0)
            work(display, clock, 2.0, 2.0)
            assert self.left(console, display, clock) == "0:08 min left"
            assert "budget 24 of 40 epochs" in shown(console)[-1]

    def test_hours(self, console, clock):
        with make(console, total=10_000.0) as display:
            display.start_stage("s", trials=1, epochs=10_000.0, spent=0.0)
            work(display, clock, 2.0, 2.0)
            assert self.left(console, display, clock) == "2 h 46 min left"

    def test_the_baseline_is_no_part_of_the_budget(self, console, clock):
        with make(console) as display:
            display.start_stage("s", trials=1, epochs=10.0, spent=0.0)
            display.advance(10.0, [])
            display.start_stage(BASELINE, trials=1, epochs=90.0, spent=0.0)
            display.advance(30.0, [])
            clock.now += 11
            display.update(Counts())
        line = shown(console)[-2]
        assert BASELINE in line
        assert "budget" not in line


def test_on_a_terminal_one_display_and_a_line_for_each_finished_stage(clock):
    console = Console(file=io.StringIO(), width=80, force_terminal=True, legacy_windows=False)
    with make(console) as display:
        assert "starting Ray" in str(display._render().renderables[0])
        display.start_stage("training-2", trials=24, epochs=48.0, spent=0.0)
        display.advance(24.0, [accuracy(0.5)])
        display.update(Counts(running=2, done=1))
        seen = Console(file=io.StringIO(), width=80, force_terminal=False)
        seen.print(display._render())
    text = seen.file.getvalue()  # type: ignore[attr-defined]
    assert "training-2" in text
    assert "50 %" in text
    assert "24 trials: 2 running, 0 paused, 0 stopped, 1 done" in text
    assert "budget 24 of 40 epochs, best so far 50.0% [bold]a" in text
    assert "stage training-2: 24.0 epochs" in console.file.getvalue()  # type: ignore[attr-defined]


def test_a_budget_in_time_is_shown_in_time_and_bounds_what_is_left(console, clock):
    spent = [3]
    display = Display(
        console,
        total_epochs=100.0,
        budget_epochs=40.0,
        names={},
        used=lambda: (f"0:{spent[0]:02d} min of 0:12 min", 12.0 - spent[0]),
    )
    with display:
        display.start_stage("training-2", trials=6, epochs=100.0, spent=0.0)
        clock.now += 10
        spent[0] = 5
        display.update(Counts(running=2), left=StageLeft(30.0, 1.0))
        assert display.state.budget_time == "0:05 min of 0:12 min"
        spent[0] = 11
        display.doing("ranking")
        assert display.state.budget_time == "0:11 min of 0:12 min"
    assert shown(console)[1].endswith("budget 0:05 min of 0:12 min, about 0:07 min left")
