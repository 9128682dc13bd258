"""The importers of recordings that only benchmarks read, on the recordings themselves."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest

from benchmarks.common.recorded import A4NN, NAAP440, SPIKENAS, read_recorded

pytestmark = pytest.mark.skipif(
    not os.environ.get("TAURANK_DATA"), reason="needs the recorded trainings: set TAURANK_DATA"
)


def test_spikenas_with_its_three_million_numbers():
    table = read_recorded(SPIKENAS)
    assert len(table.rows) == 3_323_296
    assert len(table.architectures) == 7_812
    assert table.schedules() == [100, 200]
    first = table.architectures[0]
    assert first == "1-00-000"
    table.curve(first, schedule_epochs=100, seed=0)  # sorts the rows
    started = time.perf_counter()
    for code in table.architectures[:100]:
        curve = table.curve(code, schedule_epochs=100, seed=0)
    assert (time.perf_counter() - started) / 100 < 0.02  # a replay asks thousands of times
    assert len(curve) == 100
    curve = table.curve(first, schedule_epochs=100, seed=0)
    assert curve["seconds"].sum() == pytest.approx(2790.0, rel=1e-6)
    assert curve["validation_accuracy"].iloc[0] == pytest.approx(0.09876, abs=1e-9)
    assert table.info.metrics["edge_5"].category


def test_naap440():
    table = read_recorded(NAAP440)
    assert len(table.architectures) == 440
    assert table.architectures[0] == "k3w12s2r0-k3w16s2r0-k1w16s1r0"
    curve = table.curve(table.architectures[0], schedule_epochs=90, seed=0)
    assert curve["test_accuracy"].dropna().to_dict() == {90: 0.5888}
    assert curve["validation_accuracy"].max() == pytest.approx(0.5888)
    assert curve["seconds"].iloc[:3].tolist() == [22.0, 20.0, 20.0]
    assert table.wide("encoding").loc[table.architectures[0], "layer_4_width"] == 0


@pytest.mark.parametrize(("name", "architectures", "epochs"), [("metaqnn", 1000, 20), ("deep_resnets", 486, 50)])
def test_mit_curves(name, architectures, epochs):
    table = read_recorded(name)
    assert (len(table.architectures), table.schedules()) == (architectures, [epochs])
    final = table.final("validation_accuracy", schedule_epochs=epochs, seed=0)
    first = {"metaqnn": 0.5672, "deep_resnets": 0.7568109}[name]
    assert final.iloc[0] == pytest.approx(first, abs=1e-7)
    assert np.isnan(table.seconds_per_epoch)


def test_a4nn():
    table = read_recorded(A4NN, data="xray-1e14")
    assert table.seeds(25) == [0, 1]
    complete = [table.final("validation_accuracy", schedule_epochs=25, seed=seed).notna().sum() for seed in (0, 1)]
    assert complete == [97, 3]
    assert len(table.wide("encoding").columns) == 21
