from __future__ import annotations

import math

import pytest

from taurank.schedulers.policies import Curve, Decision

NAN = math.nan


class TestRecords:
    def test_a_curve_has_one_value_an_epoch(self):
        with pytest.raises(ValueError, match="trial 'a' must be of equal length, got 2 and 1"):
            Curve("a", (1, 2), (0.5,))

    @pytest.mark.parametrize("epochs", [(2, 1), (1, 1)])
    def test_epochs_rise(self, epochs):
        with pytest.raises(ValueError, match="must rise"):
            Curve("a", epochs, (0.5, 0.6))

    def test_an_unknown_action_is_refused(self):
        with pytest.raises(ValueError, match="continue, pause, stop, got 'CONTINUE'"):
            Decision("CONTINUE", "", NAN)  # type: ignore[arg-type]
