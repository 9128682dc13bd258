from __future__ import annotations

import numpy as np
import pytest

from taurank.orchestrator.ranker.inputs import CHEAP_SHARE, FULL_SHARE, filled, make_inputs, share, standardised, weight
from taurank.orchestrator.ranker.views import View, normal_scores

NAN = float("nan")


def view(name: str, values, kind="proxy") -> View:
    scores = np.array(values, dtype=float)
    return View(name, kind, scores, scores, 0.0, np.zeros(len(scores)), "stage")


class TestStandardised:
    def test_mean_and_deviation(self):
        assert standardised(np.array([[1.0], [2.0], [3.0]]))[:, 0] == pytest.approx([-(1.5**0.5), 0.0, 1.5**0.5])

    def test_what_cannot_be_used_is_left_out(self):
        good = np.array([0.0, 1.0, 2.0])
        columns = [good, [7.0, 7.0, 7.0], [1.0, NAN, 2.0], [1.0, np.inf, 2.0], [1e15, 1e15, 1e15 * (1 + 1e-15)]]
        assert standardised(np.column_stack(columns)) == pytest.approx(standardised(good[:, None]))

    @pytest.mark.filterwarnings("error")
    @pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e9, 1e200, 1e308])
    def test_whatever_the_unit(self, scale):
        column = np.array([[0.0], [0.5], [1.0]])
        assert standardised(scale * column) == pytest.approx(standardised(column))

    def test_nothing(self):
        assert standardised(np.zeros((4, 0))).shape == (4, 0)
        assert standardised(np.zeros((1, 3))).shape == (1, 0)


class TestInputs:
    def test_normal_scores_by_view(self):
        values = [[1.0, 5.0, 2.0], [3.0, 2.0, 1.0]]
        inputs = make_inputs(np.eye(3), [view("a", values[0]), view("b", values[1], kind="size")])
        assert inputs.scores == pytest.approx(np.column_stack([normal_scores(np.array(one)) for one in values]))
        assert (inputs.names, inputs.kinds, inputs.count) == (("a", "b"), ("proxy", "size"), 3)

    def test_trainings_and_constants_are_no_inputs(self):
        views = [view("a", [1.0, 2.0]), view("b", [3.0, 3.0]), view("c", [1.0, 2.0], kind="training")]
        assert make_inputs(np.zeros((2, 0)), views).names == ("a",)

    def test_one_score_says_nothing(self):
        assert make_inputs(np.zeros((3, 0)), [view("a", [1.0, NAN, NAN])]).names == ()

    def test_what_is_missing_is_in_the_middle(self):
        inputs = make_inputs(np.zeros((4, 0)), [view("a", [1.0, 2.0, NAN, 3.0])])
        assert inputs.scores[2, 0] == 0
        assert filled(np.array([NAN, -1.0, np.inf])).tolist() == [0.0, -1.0, 0.0]

    def test_what_is_missing_is_predicted_where_the_encoding_tells(self):
        position = np.linspace(-1, 1, 40)
        values = position.copy()
        values[[2, 20, 37]] = NAN
        inputs = make_inputs(position[:, None], [view("a", values)])
        low, middle, high = inputs.scores[[2, 20, 37], 0]
        known = np.isfinite(values)
        assert inputs.scores[known, 0].min() <= low < -1 < middle < 1 < high <= inputs.scores[known, 0].max()


class TestWeight:
    def test_ends(self):
        assert share(0.0) == CHEAP_SHARE
        assert share(1.0) == pytest.approx(FULL_SHARE)
        assert weight(CHEAP_SHARE) == pytest.approx(1.0)

    def test_grows_with_fidelity(self):
        weights = [weight(share(fidelity)) for fidelity in np.linspace(0, 1, 50)]
        assert (np.diff(weights) > 0).all()

    def test_closed_form(self):
        # r^2 = .5 + .45 / 2 = .725 at a quarter of full training.
        assert weight(share(0.25)) == pytest.approx((0.725**0.5 / 0.275) / (0.5**0.5 / 0.5))
