from __future__ import annotations

import math

import pytest

from taurank.orchestrator.stages.decisions import ended_event, paused_event, predicted_values, sent_event
from taurank.schedulers.policies import Curve, Decision, Step

STEP = Step("a", 9, "among the best third")
WAITING = Curve("a", (1, 2, 3), (0.1, 0.2, 0.3), state="paused")
PREDICTED = Decision("pause", "came to epoch 3", 0.5, 0.02, saved_epochs=6)


def test_a_start_and_a_return_say_where_to_and_why() -> None:
    assert sent_event(STEP, again=False) == ("started", "to epoch 9: among the best third")
    assert sent_event(STEP, again=True) == ("resumed", "to epoch 9: among the best third")


def test_a_pause_says_what_it_saves_for_the_time_being() -> None:
    assert paused_event(WAITING, PREDICTED) == ("paused", "came to epoch 3; after epoch 3, 6 epochs saved")


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        (Curve("a", (1, 2), (0.1, 0.2), state="finished"), ("completed", "")),
        (Curve("a", (1, 2), (0.1, math.nan), state="failed"), ("failed", "settled")),
        (Curve("a", (1, 2), (0.1, 0.2), state="stopped"), ("stopped", "settled; after epoch 2, 7 epochs saved")),
        (Curve("a", (1, 2), (0.1, 0.2), state="paused"), ("frozen", "all is said; after epoch 2, 7 epochs saved")),
        (Curve("a"), ("frozen", "all is said; not started, 7 epochs saved")),
    ],
)
def test_ends(curve: Curve, expected: tuple[str, str]) -> None:
    assert ended_event(curve, Decision("stop", "settled", saved_epochs=7), "all is said") == expected


def test_a_trial_on_which_nothing_was_decided() -> None:
    assert ended_event(Curve("a"), None, "all is said") == ("frozen", "all is said; not started")
    assert predicted_values(WAITING, None) == {}


def test_predictions_are_those_of_trials_that_stop_or_wait() -> None:
    assert predicted_values(WAITING, PREDICTED) == {"predicted_accuracy": 0.5, "predicted_accuracy_sd": 0.02}
    assert predicted_values(WAITING, Decision("stop", "", 0.5)) == {"predicted_accuracy": 0.5}
    assert predicted_values(WAITING, Decision("pause", "")) == {}
    for state in ("new", "running", "finished", "failed"):
        assert predicted_values(Curve("a", (1,), (0.1,), state=state), PREDICTED) == {}
