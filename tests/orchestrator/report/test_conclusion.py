"""The last sentence of a run: what it cost, how far its order agrees, what to take."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.conclusion import conclusion
from taurank.orchestrator.scoring import Score, SourceScore, Truth
from taurank.orchestrator.scoring.baseline_sample import BaselineSample
from taurank.orchestrator.tau import Ceiling, agreement

NAN = float("nan")
CODES = ("a", "b", "c", "d")
NAMES = {code: f"net-{code}" for code in CODES}
VALUES = np.array([0.95, 0.94, 0.92, 0.90])


def ranking(order: str = "abcd", failed: str = "") -> Ranking:
    """An order whose draws all agree with it, except for one that has the first two the other way round."""
    draws = np.array([[4.0, 3.0, 2.0, 1.0]] * 3 + [[3.0, 4.0, 2.0, 1.0]])
    return Ranking(pd.DataFrame({"architecture": list(order)}), draws, {}, "doubtful", frozenset(failed))


def score(order: str = "abcd", values: np.ndarray = VALUES, **changes: object) -> Score:
    """Against full trainings that put a first, b second, and so on; parameters have the order b, a, c, d."""
    places = np.array([-float(order.index(code)) for code in CODES])
    sizes = np.array([3.0, 4.0, 2.0, 1.0])
    source = SourceScore("parameters only", sizes, agreement(sizes, values), NAN)
    whole = Score(
        CODES, agreement(places, values), None, None, None, (source,), None, Truth(values, (), "test accuracy"), NAN
    )
    return dataclasses.replace(whole, **changes)


def with_ceiling(top: float, ours: float) -> Ceiling:
    return Ceiling(top, ours, ours / top, seeds=2, n=4, ties=0)


@pytest.mark.parametrize(
    ("share", "cost"),
    [
        (0.1, "Trained 1/10 of full training; "),
        (1 / 11.74, "Trained 1/11.7 of full training; "),
        (0.5, "Trained 1/2 of full training; "),
        (0.999, "Trained 1.0 times as much as full training; "),
        (1.5, "Trained 1.5 times as much as full training; "),
        (0.0, "Trained nothing; "),
    ],
)
def test_the_cost(share, cost):
    assert conclusion(ranking(), score(), NAMES, share=share).startswith(cost)


@pytest.mark.parametrize(
    ("ceiling", "agreed"),
    [
        (None, "agrees with full training (tau 1.00; a second baseline seed shows how much is possible)"),
        (with_ceiling(0.8, 0.77), "agrees with full training 96 % as well as a second full training would (tau 1.00)"),
        (
            with_ceiling(0.8, 0.7999),
            "agrees with full training 99 % as well as a second full training would (tau 1.00)",
        ),
        (with_ceiling(0.8, 0.81), "agrees with full training as well as a second full training would (tau 1.00)"),
        (
            with_ceiling(0.2, 0.3),
            "two full trainings hardly agree themselves (tau 0.20), so no order of these candidates",
        ),
    ],
)
def test_agreement_with_a_baseline(ceiling, agreed):
    assert agreed in conclusion(ranking(), score(ceiling=ceiling), NAMES, share=0.1)


def test_what_is_worse_than_size_is_not_praised():
    text = conclusion(ranking("cbad"), score("cbad", ceiling=with_ceiling(0.8, 0.8)), NAMES, share=0.1)
    assert text == (
        "Trained 1/10 of full training; ordering by parameters alone, which costs nothing, agrees better with full "
        "training (tau 0.67) than this ranking (0.00), so do not rely on it here. "
        "Take net-c: 92.0% by full training, 3.0 points from the best."
    )


def test_as_good_as_size_is_good_enough():
    assert "agrees with full training (tau 0.67" in conclusion(ranking("bacd"), score("bacd"), NAMES, share=0.1)


def test_no_agreement():
    text = conclusion(ranking("dcba"), score("dcba", sources=()), NAMES, share=0.1)
    assert "the order does not agree with full training (tau -1.00)" in text


def test_a_sample_is_an_estimate():
    sample = BaselineSample({"a": 0, "b": 0, "d": 0}, (4,))
    truth = Truth(np.array([0.95, 0.94, NAN, 0.90]), (), "test accuracy", sample)
    text = conclusion(ranking(), score(truth=truth), NAMES, share=0.1)
    assert "estimated from 4 candidates" in text
    assert text.endswith("Take net-a: 95.0% by full training, the best of the sample.")


def test_without_a_baseline_it_is_an_expectation():
    assert conclusion(ranking(), None, NAMES, share=0.1) == (
        "Trained 1/10 of full training; the order is expected to agree with full training at tau 0.92 (0.72 to 1.00) "
        "(doubtful). Take net-a."
    )


def test_nothing_known():
    one = Ranking(pd.DataFrame({"architecture": ["a"]}), np.zeros((2, 1)), {})
    assert conclusion(one, None, NAMES, share=0.1) == (
        "Trained 1/10 of full training; how far the order agrees with full training is not known. Take net-a."
    )


def test_a_failed_candidate_is_not_taken():
    assert "Take" not in conclusion(ranking(failed="abcd"), None, NAMES, share=0.1)


def test_values_that_are_no_accuracies():
    truth = Truth(np.array([-0.3, -0.2, -0.5, -0.9]), (), "val_loss", lower_is_better=True)
    text = conclusion(ranking(), score(truth=truth), NAMES, share=0.1)
    assert text.endswith("Take net-a: 0.3 by full training, 0.1 from the best.")
