from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from taurank.orchestrator.session.state import Counts
from taurank.orchestrator.stages.tally import StageTally

ENDED = {"t/0": ("completed", ""), "t/1": ("stopped", "bad"), "t/2": ("frozen", "later"), "t/3": ("failed", "boom")}


@dataclass
class FakeTrial:
    status: str
    config: dict[str, str]


def trials(**states: str) -> list[Any]:
    return [FakeTrial(state, {"trial": f"t/{key[1:]}"}) for key, state in states.items()]


def tally(policy: Any = None, until: int | None = None, last: dict[str, int] | None = None) -> StageTally:
    specs: list[Any] = [SimpleNamespace(trial=f"t/{number}", until=until) for number in range(8)]
    return StageTally(specs, schedule_epochs=10, last_epochs=last or {}, policy=policy)


def test_epochs_that_stopped_and_waiting_trials_did_not_train() -> None:
    counted = tally(last={"t/0": 10, "t/1": 3, "of another stage": 1})
    assert counted.saved(ENDED) == 7 + 10
    counted.reached("t/2", 4)
    counted.reached("t/2", 2)  # starts over after its checkpoint is gone
    assert counted.saved(ENDED) == 7 + 6
    assert tally(until=4, last={"t/1": 3, "t/2": 4}).saved(ENDED) == 1


def test_counts() -> None:
    found = tally().counts(trials(t4="RUNNING", t5="PAUSED", t6="PENDING", t7="PENDING"), ENDED)
    assert found == Counts(running=1, paused=2, stopped=1, done=1, failed=1, waiting=2)


def test_under_a_policy_those_that_have_not_begun_wait() -> None:
    curves = {"t/5": SimpleNamespace(state="paused"), "t/6": SimpleNamespace(state="new")}
    found = tally(SimpleNamespace(curves=curves)).counts(trials(t5="PAUSED", t6="PAUSED"), {})
    assert found == Counts(paused=1, waiting=1)
