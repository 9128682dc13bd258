"""The importers on the benchmarks themselves: known cells, known counts."""

from __future__ import annotations

import os
from pathlib import Path

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
    def test_timm(self):
        table = load("timm/results-imagenet.csv.gz")
        assert len(table.architectures) == 1_556
        published = table.final("validation_accuracy", schedule_epochs=0, seed=-1, source="training:published")
        assert published["eva02_large_patch14_448.mim_m38m_ft_in22k_in1k@448"] == pytest.approx(0.90056)
