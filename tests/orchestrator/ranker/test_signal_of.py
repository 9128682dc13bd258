"""The signal of a few short trainings, by which a plan is kept or changed."""

from __future__ import annotations

import numpy as np
import pytest

from taurank.orchestrator.ranker import Validation, signal_of

CLOSE = [0.50, 0.51, 0.49, 0.50, 0.52, 0.48, 0.51, 0.50]


@pytest.mark.parametrize(
    ("accuracies", "images", "classes", "least", "most"),
    [
        ([0.10, 0.11, 0.14, 0.16, 0.21, 0.10, 0.12, 0.15], 400, 10, 0.0, 0.2),  # hardly begun
        (CLOSE, 400, 10, 0.0, 0.0),  # differences of the images drawn
        (CLOSE, 400_000, 10, 0.99, 1.0),  # real ones
        (CLOSE, None, 10, 1.0, 1.0),
        ([0.15, 0.19, 0.22, 0.10, 0.17, 0.13, 0.20, 0.18], 6000, 120, 0.95, 1.0),  # far beyond chance for 120 classes
        ([0.1] * 8, 400, 10, 0.0, 0.0),
    ],
)
def test_signal_of_short_trainings(accuracies, images, classes, least, most):
    values, validation = np.array(accuracies), Validation(images, classes)
    found = signal_of(values, validation)
    assert least <= found <= most
    assert signal_of(values[::-1], validation) == pytest.approx(found)
