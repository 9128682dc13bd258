"""The importers on the benchmarks themselves: known cells, known counts."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from taurank.trainables.table import RecordedTable
from taurank.trainables.table.importers import import_table

pytestmark = pytest.mark.skipif(
    not os.environ.get("TAURANK_DATA"), reason="needs the recorded trainings: set TAURANK_DATA"
)

CELL = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
"""Cell 0 of NAS-Bench-201."""


def load(*names: str, **options: str) -> RecordedTable:
    paths = [Path(os.environ["TAURANK_DATA"]) / name for name in names]
    if missing := [str(path) for path in paths if not path.exists()]:
        pytest.skip(f"not among the recorded trainings: {missing[0]}")
    return import_table(paths, **options)


@pytest.fixture(scope="module")
def cells() -> RecordedTable:
    files = ("", "_proxies", "_proxy_times", "_hardware")
    return load(*(f"nb201/nb201_cifar10{file}.parquet" for file in files))


class TestNASBench201:
    def test_counts(self, cells):
        assert len(cells.architectures) == 15_625
        assert (cells.info.space, cells.info.data) == ("nasbench201", "cifar10")
        assert cells.schedules() == [12, 200]
        assert cells.seeds(200) == [0, 1, 2]
        live = cells.wide("proxy:synflow")["score"].notna()
        assert live.sum() == 9_445
        three = cells.final("validation_accuracy", schedule_epochs=200, seed=2).notna()
        assert three.sum() == 8_169
        assert (live & three).sum() == 5_036

    def test_the_first_cell(self, cells):
        def final(epochs: int, seed: int) -> float:
            return cells.final("validation_accuracy", schedule_epochs=epochs, seed=seed)[CELL]

        assert final(12, 0) == pytest.approx(0.6336399998046875, abs=1e-9)
        assert [final(200, seed) for seed in range(3)] == pytest.approx([0.82092, 0.81616, 0.8224], abs=1e-9)
        tested = cells.final("test_accuracy", schedule_epochs=200, seed=-1, source="training:all_images")
        assert tested[CELL] == pytest.approx(0.8586, abs=1e-9)
        sizes = cells.wide("size").loc[CELL]
        assert sizes.to_dict() == {"parameters": 129_306, "flops": 17_958_592}
        assert cells.wide("hardware:edgegpu").loc[CELL, "energy"] == pytest.approx(24.226614, rel=1e-6)
        assert cells.wide("supernet:oneshot").loc[CELL, "validation_accuracy"] == pytest.approx(0.1626, abs=1e-9)

    def test_costs(self, cells):
        long, short = (cells.curve(CELL, schedule_epochs=epochs, seed=0) for epochs in (200, 12))
        assert long["seconds"].iloc[0] == pytest.approx(1444.2185997962952)
        assert short["seconds"].iloc[0] == pytest.approx(1444.2185997962952 * 12 / 200)

    def test_sentinels_are_missing_and_proxies_cost_what_was_measured(self, cells):
        score = cells.wide("proxy:jacov")["score"]
        assert score.notna().sum() == 9_444
        assert score.min() > -1e7
        rows = cells.rows[cells.rows["source"] == "proxy:synflow"]
        assert rows["seconds"].notna().all()
        assert 0.39 < rows["seconds"].min() <= rows["seconds"].max() < 0.89

    def test_full_trainings_hidden_among_the_proxies_are_not_proxies(self, cells):
        assert not {"proxy:val_nbsz", "proxy:val_accuracy", "proxy:params", "proxy:flops"} & set(cells.sources)

    def test_the_order_of_the_files_does_not_matter(self):
        pair = ("nb201/nb201_cifar10_proxies.parquet", "nb201/nb201_cifar10.parquet")
        first, second = load(*pair), load(*reversed(pair))
        assert first.architectures == second.architectures
        assert len(first.rows) == len(second.rows)


class TestOtherBenchmarks:
    def test_spikenas_with_its_three_million_numbers(self):
        table = load("spikenas/spikenas_cifar10_curves_half.npz")
        assert len(table.rows) == 3_330_929
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
        depth = table.wide("size")["depth"].reindex(table.architectures)
        assert depth[["0-01-000", "0-02-000", "2-00-020", "2-00-202"]].tolist() == [0, 1, 2, 3]
        reached = table.final("test_accuracy", schedule_epochs=100, seed=0)
        assert reached[depth.isna()].max() == 0.1  # cells without a path stay at chance
        assert reached[depth.notna()].min() > 0.8

    def test_naap440(self):
        table = load("naap440/naap440_archs.csv.gz", "naap440/naap440_curves.npz")
        assert len(table.architectures) == 440
        assert table.architectures[0] == "k3w12s2r0-k3w16s2r0-k1w16s1r0"
        curve = table.curve(table.architectures[0], schedule_epochs=90, seed=0)
        assert curve["test_accuracy"].dropna().to_dict() == {90: 0.5888}
        assert curve["validation_accuracy"].max() == pytest.approx(0.5888)
        assert curve["seconds"].iloc[:3].tolist() == [22.0, 20.0, 20.0]
        assert table.wide("encoding").loc[table.architectures[0], "layer_4_width"] == 0

    @pytest.mark.parametrize(("name", "architectures", "epochs"), [("metaqnn", 1000, 20), ("deep_resnets", 486, 50)])
    def test_mit_curves(self, name, architectures, epochs):
        table = load(f"mit_curves/{name}_cifar10_configs.csv.gz", f"mit_curves/{name}_cifar10_curves.npz")
        assert (len(table.architectures), table.schedules()) == (architectures, [epochs])
        final = table.final("validation_accuracy", schedule_epochs=epochs, seed=0)
        first = {"metaqnn": 0.5672, "deep_resnets": 0.7568109}[name]
        assert final.iloc[0] == pytest.approx(first, abs=1e-7)
        assert np.isnan(table.seconds_per_epoch)

    def test_a4nn(self):
        table = load("a4nn/a4nn_epochs.parquet", data="xray-1e14")
        assert table.seeds(25) == [0, 1]
        complete = [table.final("validation_accuracy", schedule_epochs=25, seed=seed).notna().sum() for seed in (0, 1)]
        assert complete == [97, 3]
        assert len(table.wide("encoding").columns) == 21

    def test_without_trainings(self):
        for name in ("fbnet", "ofa"):
            table = load(f"help_latency/{name}_5000_latency.parquet")
            assert len(table.architectures) == 5_000
            assert table.full_epochs == 0

    def test_timm(self):
        table = load("timm/results-imagenet.csv.gz")
        assert len(table.architectures) == 1_556
        published = table.final("validation_accuracy", schedule_epochs=0, seed=-1, source="training:published")
        assert published["eva02_large_patch14_448.mim_m38m_ft_in22k_in1k@448"] == pytest.approx(0.90056)
