"""The importers of recordings that only benchmarks read, on small files of their kinds."""

from __future__ import annotations

import json
import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.common.recorded import IMPORTERS
from benchmarks.common.spikenas import cell_text
from taurank.trainables.table import TableError
from taurank.trainables.table.importers import import_table

import_table = partial(import_table, more=IMPORTERS)


def parquet(path: Path, **columns) -> Path:
    pd.DataFrame(columns).to_parquet(path)
    return path


class TestSpikenas:
    @pytest.mark.parametrize(
        ("operations", "text"),
        [([3, 1, 2, 0, 0, 4], "3-12-004"), ([1, 2, 3, 4], "1-23-4"), ([10, 1, 2], "(10)-12"), ([7], "7")],
    )
    def test_text(self, operations, text):
        assert cell_text(operations) == text

    def test_lengths_seeds_and_costs(self, tmp_path):
        nan = np.nan
        path = tmp_path / "curves.npz"
        np.savez(
            path,
            edge_ops=np.array([[1, 2, 3], [0, 0, 0], [1, 2, 3]], dtype=np.int8),
            val_acc=np.array([[10, 20, nan, nan], [30, 40, 50, 60], [15, 25, nan, nan]], dtype=np.float32),
            train_loss=np.array([[2.3, 2.2, nan, nan], [2.1, 2, 1.9, 1.8], [2.3, 2.1, nan, nan]], dtype=np.float32),
            n_epochs=np.array([2, 4, 2]),
            test_acc=np.array([21, 61, 26], dtype=np.float32),
            elapsed_s=np.array([10, 40, 12], dtype=np.float32),
            params=np.array([100, 200, 100]),
        )
        table = import_table([path], data="svhn")
        assert table.architectures == ["1-23", "0-00"]
        assert (table.info.data, table.schedules(), table.seeds(2)) == ("svhn", [2, 4], [0, 1])
        curve = table.curve("1-23", schedule_epochs=2, seed=1)
        assert curve["validation_accuracy"].tolist() == [0.15, 0.25]
        assert curve["train_loss"].tolist() == [2.3, 2.1]  # single precision leaves no tail
        assert curve["test_accuracy"].dropna().to_dict() == {2: 0.26}
        assert curve["seconds"].tolist() == [6.0, 6.0]
        assert table.wide("size")["parameters"].tolist() == [100, 200]
        assert table.wide("encoding").loc["1-23"].to_dict() == {"edge_0": 1, "edge_1": 2, "edge_2": 3}
        assert table.info.metrics["edge_0"].category


@pytest.fixture
def naap(tmp_path):
    first = {"kernel_size": 3, "width": 12, "stride": 2, "residual": False}
    second = {"kernel_size": 1, "width": 8, "stride": 1, "residual": True}
    layers = [[first], [first, second]]
    archs, curves = tmp_path / "archs.csv.gz", tmp_path / "curves.npz"
    pd.DataFrame(
        {
            "ModelId": [7, 9],
            "IsTest": [0, 1],
            "NumParams": [100, 200],
            "NumMACs": [1000, 2000],
            "NumLayers": [1, 2],
            "MaxAccuracy": [0.5, 0.7],
            "scheme_json": [json.dumps(scheme) for scheme in layers],
        }
    ).to_csv(archs, index=False)
    # The curves stand in another order than the list.
    np.savez(
        curves,
        model_id=[9, 7],
        test_acc=[[0.6, 0.7], [0.5, 0.4]],
        train_loss_mean=[[2, 1], [3, 2]],
        elapsed_s=[[5, 9], [2, 3]],
    )
    return archs, curves


class TestNAAP440:
    def test_both_files(self, naap):
        table = import_table(naap)
        assert table.architectures == ["k3w12s2r0", "k3w12s2r0-k1w8s1r1"]
        curve = table.curve("k3w12s2r0-k1w8s1r1", schedule_epochs=2, seed=0)
        assert curve["validation_accuracy"].tolist() == [0.6, 0.7]
        assert curve["seconds"].tolist() == [5.0, 4.0]
        assert table.final("test_accuracy", schedule_epochs=2, seed=0).tolist() == [0.5, 0.7]
        assert table.info.metrics["flops"].unit == "multiply-adds"
        encoding = table.wide("encoding")
        assert encoding["layer_2_width"].tolist() == [0, 8]
        assert not {"IsTest", "MaxAccuracy", "ModelId"} & set(encoding.columns)

    def test_one_without_the_other(self, naap):
        for path in naap:
            with pytest.raises(TableError, match=r"naap440: give the CSV of the architectures and the npz .* together"):
                import_table([path])


class TestMITCurves:
    def test_texts_counts_and_epochs_from_zero(self, tmp_path):
        configs, curves = tmp_path / "a.csv", tmp_path / "b.npz"
        nets = ["[C(64,3,1), P(2,2), C(128,5,1), FC(256), SM(10)]", "[C(32,1,1), SM(10)]", "[C(32,1,1), SM(10)]"]
        pd.DataFrame({"net": nets, "num_params": [10, 20, 20], "lr": [0.1, 0.1, 0.01]}).to_csv(configs, index=False)
        np.savez(curves, curve=[[0.1, 0.2], [0.3, 0.4], [0.5, np.nan]], epoch=[0, 1])
        table = import_table([curves, configs], data="svhn")
        repeated = "C(32,1,1),SM(10);num_params=20,lr=0.1", "C(32,1,1),SM(10);num_params=20,lr=0.01"
        assert table.architectures == ["C(64,3,1),P(2,2),C(128,5,1),FC(256),SM(10)", *repeated]
        assert list(table.curve(repeated[0], schedule_epochs=2, seed=0).index) == [1, 2]
        assert np.isnan(table.final("validation_accuracy", schedule_epochs=2, seed=0).iloc[2])  # ended early
        first = table.wide("encoding").iloc[0]
        expected = {"count_C": 2, "count_P": 1, "count_FC": 1, "width_sum": 192, "width_max": 128, "kernel_mean": 4}
        assert first[list(expected)].to_dict() == expected
        assert first[["dense_sum", "pool_stride", "lr"]].tolist() == [256, 2, 0.1]

    def test_files_that_do_not_match(self, tmp_path):
        configs, curves = tmp_path / "a.csv", tmp_path / "b.npz"
        pd.DataFrame({"num_params": [10, 20]}).to_csv(configs, index=False)
        np.savez(curves, curve=[[0.1, 0.2]], epoch=[1, 2])
        with pytest.raises(TableError, match=r"a.csv has 2 rows, .*b.npz 1; give a matching pair"):
            import_table([configs, curves])


class TestA4NN:
    @pytest.fixture
    def file(self, tmp_path):
        rows = []
        for beam in ("1e14", "1e15"):
            for arch, (genome, stopped) in enumerate(
                [("[[1, 0], [1]]", 0), ("[[1, 0], [1]]", 0), ("[[0, 0], [1]]", 1)]
            ):
                for epoch in range(2 if stopped else 3):
                    rows.append(
                        (
                            beam,
                            bool(stopped),
                            epoch,
                            50.0 + 10 * arch + epoch,
                            genome,
                            2.5,
                            arch,
                            7.0 if stopped else None,
                        )
                    )
        names = ["beam", "early_stopped", "epoch", "val_accs", "genome", "flops", "arch", "epoch_times"]
        path = tmp_path / "x.parquet"
        pd.DataFrame(rows, columns=names).to_parquet(path)
        return path

    def test_one_beam(self, file):
        table = import_table([file], data="xray-1e15")
        assert (table.info.data, table.architectures) == ("xray-1e15", ["10-1", "00-1"])
        assert table.seeds(3) == [0, 1]
        assert table.final("validation_accuracy", schedule_epochs=3, seed=1).iloc[0] == 0.62
        stopped = table.curve("00-1", schedule_epochs=3, seed=0, source="training:early_stopped")
        assert list(stopped.index) == [1, 2]
        assert stopped["seconds"].tolist() == [7.0, 7.0]
        assert table.wide("encoding").loc["10-1"].tolist() == [1, 0, 1]
        assert table.wide("size")["flops"].tolist() == [2.5e6, 2.5e6]

    def test_which_beam(self, file):
        with pytest.raises(TableError, match=r"several data sets \(xray-1e14, xray-1e15\); name one with --data"):
            import_table([file])


def test_pickled_arrays_stay_closed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "x.npz"
    np.savez(path, edge_ops=np.array([[1]]), val_acc=np.array([[Trap()]], dtype=object))
    with pytest.raises(TableError, match="is damaged"):
        import_table([path])
    assert not (tmp_path / "sprung").exists()
    assert pickle.loads(pickle.dumps(Trap())) is None  # so the trap does work
