"""`taurank score RUN --baseline FILE`: which end of the values is better is found, said, or asked for."""

from __future__ import annotations

import pandas as pd
import pytest


@pytest.fixture
def losses(taurank, run_folder, tmp_path):
    """Losses in the very order of the ranking, under a name for their column."""
    assert taurank("rank", run_folder)[0] == 0
    order = pd.read_csv(run_folder / "ranking.csv").sort_values("rank")["architecture"]

    def write(column):
        file = tmp_path / "truth.csv"
        file.write_text(f"architecture,{column}\n" + "".join(f"{code},{0.1 + i}\n" for i, code in enumerate(order)))
        return file

    return write


def tau(written):
    line = next(line for line in written.splitlines() if line.startswith("taurank"))
    return float(line.split()[1])


def test_a_perfect_order_of_losses_has_tau_one(taurank, run_folder, losses):
    code, written, err = taurank("score", run_folder, "--baseline", losses("test_loss"))
    assert (code, err) == (0, "")
    assert "test_loss: lower is better, by its name" in written
    assert tau(written) == 1.0
    assert "lower is better" in next(line for line in written.splitlines() if line.startswith("against full training"))
    code, written, _ = taurank("score", run_folder, "--baseline", losses("value"))
    assert "value: higher is assumed to be better; add --lower-is-better" in written
    assert tau(written) == -1.0
    code, written, _ = taurank("score", run_folder, "--baseline", losses("value"), "--lower-is-better")
    assert tau(written) == 1.0


def test_the_runs_own_baseline_is_an_accuracy(taurank, run_folder):
    own, other = "the run knows its own", "is of accuracy; leave the option out"
    for arguments, said in (((), own), (("--baseline", run_folder), other)):
        code, _, err = taurank("score", run_folder, *arguments, "--lower-is-better")
        assert code == 2
        assert err.count("\n") == 1
        assert said in err
