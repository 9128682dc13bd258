"""What the script of the nine networks says about the published table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.supernets.nine_networks import PUBLISHED, check_hypotheses, compare
from taurank.spaces import get_space, measure_size

SPACE = get_space("mnist_blocks", reference=True)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("uniform", ("12 of 12 steps", "mean gain 2.59 points, first stage 2.35", "6 of 6 steps", "3,3")),
        # (3, 2) is 5e-5 below (2, 2).
        ("alone", ("11 of 12 steps", "mean gain 1.48 points, first stage 0.38", "5 of 6 steps", "3,3")),
        ("epsilon-greedy", ("11 of 12 steps", "mean gain 11.94 points, first stage 10.71", "5 of 6 steps", "3,3")),
    ],
)
def test_hypotheses_on_the_published_table(column: str, expected: tuple[str, ...]) -> None:
    assert tuple(check_hypotheses(PUBLISHED[column]).values()) == expected


def test_a_stage_that_harms_is_no_confirmation() -> None:
    falling = pd.Series(-np.arange(9.0), index=PUBLISHED.index)
    found = list(check_hypotheses(falling).values())
    assert found == ["0 of 12 steps", "mean gain -100.00 points, first stage -300.00", "0 of 6 steps", "1,1"]


def test_contenders_that_were_trained_on_are_ordered_by_that() -> None:
    """Two supernets with the accuracies of all networks but two, which are too close to call."""
    alone = PUBLISHED["alone"]
    swapped = alone.copy()
    swapped["2,3"], swapped["1,3"] = alone["1,3"], alone["2,3"]
    codes = list(PUBLISHED.index)
    rows = pd.concat(
        [
            table(codes, "alone", alone),
            table(codes, "uniform", swapped, recalibrated=swapped, recalibrated_sd=0.001),
            table(["2,3", "1,3"], "uniform, trained on", alone[["2,3", "1,3"]]),
        ]
    )
    sizes = [measure_size(SPACE, SPACE.parse(code), input_shape=(1, 28, 28), classes=10).parameters for code in codes]
    found = compare(rows, pd.Series(sizes, index=codes, dtype=float)).set_index(["alone_on", "order"])["tau"]
    assert found["published", "uniform"] == pytest.approx(0.7222, abs=1e-4)
    assert found["published", "parameters"] == pytest.approx(0.9444, abs=1e-4)
    assert found["test", "uniform, test images, recalibrated"] == pytest.approx(34 / 36)
    assert found["test", "uniform, contenders trained on"] == 1.0


def table(codes: list[str], training: str, accuracies: pd.Series, **more: object) -> pd.DataFrame:
    columns = {"train_accuracy": accuracies.to_numpy(), "test_accuracy": accuracies.to_numpy()}
    frame = pd.DataFrame({"architecture": codes} | columns).assign(training=training, seed=1187)
    given = {name: value.to_numpy() if isinstance(value, pd.Series) else value for name, value in more.items()}
    return frame.assign(**({"recalibrated": np.nan, "recalibrated_sd": np.nan} | given))
