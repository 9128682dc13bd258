"""The importers on small files of their kinds: what they recognise, what they make of it, what they refuse."""

from __future__ import annotations

import builtins
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taurank.spaces import get_space
from taurank.trainables.table import TableError, read_table, summarise, write_table
from taurank.trainables.table.importers import import_csv, import_results, import_table, is_results, list_importers
from taurank.trainables.table.importers.spikenas import cell_text
from taurank.trainables.table.importers.values import scores, shares

CELLS = [architecture.code for architecture in get_space("nasbench201").sample(4, np.random.default_rng(3))]


def parquet(path: Path, **columns) -> Path:
    pd.DataFrame(columns).to_parquet(path)
    return path


@pytest.fixture
def benchmark(tmp_path):
    """Four cells on CIFAR-100, under names that say nothing."""
    trainings = parquet(
        tmp_path / "first.parquet",
        arch_index=[0, 1, 2, 3],
        arch_str=CELLS,
        c100_val_hp12=[40.0, 41.0, 42.0, 10.0],
        c100_val_hp200_s0=[60.0, 61.0, 62.0, 1.0],
        c100_val_hp200_s1=[60.5, np.nan, 62.5, 1.0],
        c100_val_hp200_mean=[60.25, 61.0, 62.25, 1.0],
        c100_test_hp200_mean=[61.0, 62.0, 63.0, 1.0],
        c100_train_time_200ep_s=[1000.0, 2000.0, 3000.0, 4000.0],
        c100_latency_s=[0.01, 0.02, 0.03, 0.04],
        c100_params_M=[0.1, 0.2, 0.3, 0.4],
        supernet_oneshot_c100=[20.0, 21.0, 22.0, 23.0],
    )
    proxies = parquet(
        tmp_path / "second.parquet",
        arch_index=[0, 1, 2],
        arch_str=CELLS[:3],
        c100_synflow=[1.0, 2.0, 3.0],
        c100_l2_norm=[4.0, 5.0, 6.0],
        c100_jacov=[-1e8, -3.0, np.inf],
        c100_flops=[7.5, 8.5, 9.5],
        c100_params=[0.9, 0.9, 0.9],
    )
    times = parquet(
        tmp_path / "third.parquet",
        dataset=["cifar100", "cifar100", "cifar10"],
        arch_index=[0, 1, 2],
        synflow=[100.0, 200.0, 300.0],
        synflow_time_s=[2.0, 4.0, 60.0],
    )
    hardware = parquet(
        tmp_path / "fourth.parquet",
        arch_index=[3, 2, 1, 0],
        arch_str=CELLS[::-1],
        c100_edgegpu_latency=[4.0, 3.0, 2.0, -1.0],
        c100_edgegpu_energy=[40.0, 30.0, 20.0, 10.0],
        help_titan_rtx_32_ms=[8.0, 7.0, 6.0, 5.0],
    )
    return [trainings, proxies, times, hardware]


class TestNASBench201:
    def test_all_files_together(self, benchmark):
        table = import_table(benchmark)
        assert (table.info.space, table.info.data) == ("nasbench201", "cifar100")
        assert table.architectures == CELLS
        np.testing.assert_allclose(
            table.final("validation_accuracy", schedule_epochs=12, seed=0), [0.4, 0.41, 0.42, 0.1]
        )
        second = table.final("validation_accuracy", schedule_epochs=200, seed=1)
        np.testing.assert_allclose(second, [0.605, np.nan, 0.625, 0.01])
        assert table.seeds(200) == [0, 1]  # the mean of both is no seed
        tested = table.final("test_accuracy", schedule_epochs=200, seed=-1, source="training:all_images")
        np.testing.assert_allclose(tested, [0.61, 0.62, 0.63, 0.01])
        np.testing.assert_allclose(table.wide("size")["parameters"], [1e5, 2e5, 3e5, 4e5])
        np.testing.assert_allclose(table.wide("size")["flops"], [7.5e6, 8.5e6, 9.5e6, np.nan])
        np.testing.assert_allclose(table.wide("hardware:edgegpu")["latency"], [np.nan, 2, 3, 4])
        np.testing.assert_allclose(table.wide("hardware:edgegpu")["energy"], [10, 20, 30, 40])
        np.testing.assert_allclose(table.wide("hardware:help_titan_rtx_32")["latency"], [5, 6, 7, 8])
        np.testing.assert_allclose(table.wide("hardware:benchmark")["latency"], [10, 20, 30, 40])
        np.testing.assert_allclose(table.wide("supernet:oneshot")["validation_accuracy"], [0.2, 0.21, 0.22, 0.23])

    def test_costs(self, benchmark):
        table = import_table(benchmark)
        assert table.curve(CELLS[1], schedule_epochs=200, seed=0)["seconds"].tolist() == [2000.0]
        assert table.curve(CELLS[1], schedule_epochs=12, seed=0)["seconds"].tolist() == [120.0]
        proxy = table.rows[table.rows["source"] == "proxy:synflow"]
        assert proxy["value"].tolist() == [1.0, 2.0, 3.0]  # not those of the file of times
        assert proxy["seconds"].tolist() == [2.0, 4.0, 3.0]  # the mean where there is no own; other data sets aside

    def test_sentinels_are_left_out(self, benchmark):
        table = import_table(benchmark)
        np.testing.assert_array_equal(table.wide("proxy:jacov")["score"], [np.nan, -3.0, np.nan, np.nan])
        assert any("proxy:jacov" in note for note in table.info.notes)

    def test_times_alone_have_no_cells(self, benchmark):
        with pytest.raises(TableError, match=r"no file says which cells it has \(column arch_str\)"):
            import_table(benchmark[2:3])

    def test_several_data_sets(self, tmp_path):
        both = parquet(
            tmp_path / "x.parquet", arch_str=CELLS, c10_val_hp12=[1.0, 2, 3, 4], in16_val_hp12=[5.0, 6, 7, 8]
        )
        with pytest.raises(TableError, match=r"several data sets \(cifar10, imagenet16-120\); name one with --data"):
            import_table([both])
        for name in ("in16", "imagenet16-120"):
            table = import_table([both], data=name)
            assert table.info.data == "imagenet16-120"
            assert table.final("validation_accuracy", schedule_epochs=12, seed=0).iloc[0] == 0.05
        with pytest.raises(TableError, match="do not hold 'cifar100', but cifar10, imagenet16-120"):
            import_table([both], data="cifar100")

    def test_columns_without_a_prefix(self, tmp_path):
        plain = parquet(tmp_path / "x.parquet", arch_str=CELLS, val_hp12=[1.0, 2, 3, 4], l2_norm=[1.0, 2, 3, 4])
        table = import_table([plain], data="my-images")
        assert table.info.data == "my-images"
        assert table.sources == ["training", "proxy:l2_norm"]

    def test_texts_that_are_no_cells(self, tmp_path):
        wrong = parquet(tmp_path / "x.parquet", arch_str=["a", "b"], c10_val_hp12=[1.0, 2.0])
        with pytest.raises(TableError, match="space nasbench201: code: 'a' has 1 nodes") as raised:
            import_table([wrong])
        assert "\n" not in str(raised.value)
        assert import_table([wrong], space="of-my-own").info.space == "of-my-own"


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
        assert table.wide("size").to_dict("list") == {"parameters": [100, 200]}  # no cell of six edges
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
        assert table.wide("size")["depth"].tolist() == [2, 3]
        encoding = table.wide("encoding")
        assert encoding["layer_2_width"].tolist() == [0, 8]
        assert not {"IsTest", "MaxAccuracy", "ModelId"} & set(encoding.columns)

    def test_one_without_the_other(self, naap):
        for path in naap:
            with pytest.raises(TableError, match=r"naap440: give the CSV of the networks and the npz .* together"):
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


def test_timm(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('model,img_size,top1,top5,param_count,crop_pct\na,224,80.5,95,"1,234.5",0.9\na,288,81,96,1.5,1.0\n')
    table = import_table([path])
    assert table.architectures == ["a@224", "a@288"]
    assert table.wide("size")["parameters"].tolist() == [1_234_500_000, 1_500_000]
    published = table.final("validation_accuracy", schedule_epochs=0, seed=-1, source="training:published")
    assert published.tolist() == [0.805, 0.81]


def test_help_latency(tmp_path):
    fbnet = import_table([parquet(tmp_path / "a.parquet", op_idx=["7, 8", "1,0"], pixel2_ms=[3.0, 4.0])])
    assert (fbnet.architectures, fbnet.sources) == (["7,8", "1,0"], ["hardware:pixel2", "encoding"])
    assert fbnet.info.metrics["layer_1"].category
    network = json.dumps({"ks": [7, 5], "d": [2], "r": 204})
    ofa = import_table([parquet(tmp_path / "b.parquet", arch=[network], v100_1_ms=[3.0])])
    assert ofa.architectures == ["ks=7,5;d=2;r=204"]
    assert ofa.wide("encoding").iloc[0].to_dict() == {"ks_1": 7, "ks_2": 5, "d_1": 2, "r": 204}
    assert not ofa.info.metrics["r"].category


class TestNATSBench:
    """On files that the benchmark's own package writes, in its layout."""

    @pytest.fixture
    def folder(self, tmp_path):
        return self.written(tmp_path / "NATS-tss-v1_0-tiny-simple", CELLS)

    def written(self, folder, codes):
        """Two of the four architectures, over 1 and 2 epochs, with two seeds, on half of CIFAR-10 and on all of it."""
        api = pytest.importorskip("nats_bench", reason="nats_bench is not installed: pip install 'taurank[nats]'")
        folder.mkdir()
        api.pickle_save({"meta_archs": codes, "total_archs": 4, "arch2infos": {}}, folder / "meta.pickle", ".pbz2")
        for index in (0, 2):
            infos = {}
            for epochs in (1, 2):
                info = api.ArchResults(index, codes[index])
                for seed in (777, 888):
                    for name, kind in (("cifar10-valid", "x-valid"), ("cifar10", "ori-test")):
                        info.update(name, seed, self.result(api, name, kind, seed, epochs, index))
                infos[f"{epochs:02d}"] = info.state_dict()
            api.pickle_save(infos, folder / f"{index:06d}.pickle", ".pbz2")
        return folder

    @staticmethod
    def result(api, name, kind, seed, epochs, index):
        span = range(epochs)
        accuracy, loss = {i: 50.0 + i for i in span}, {i: 2.0 - i for i in span}
        result = api.ResultsCount(
            name, None, accuracy, loss, 0.1 + index, 10.0 + index, {"arch_str": CELLS[index]}, seed, epochs, [0.02]
        )
        result.update_train_info(accuracy, None, loss, dict.fromkeys(span, 3.0))
        keys = [f"{kind}@{i}" for i in span]
        offset = (seed - 777) / 1000
        result.update_eval(
            {key: 40.0 + 10 * i + offset for i, key in enumerate(keys)},
            dict.fromkeys(keys, 1.5),
            dict.fromkeys(keys, 0.5),
        )
        return result

    def test_the_fast_layout(self, folder):
        table = import_table([folder], importer="nats_bench")
        assert table.architectures == [CELLS[0], CELLS[2]]
        assert (table.info.space, table.info.data) == ("nasbench201", "cifar10")
        assert table.schedules() == [1, 2]
        assert table.seeds(2) == [777, 888]
        curve = table.curve(CELLS[2], schedule_epochs=2, seed=888)
        np.testing.assert_allclose(curve["validation_accuracy"], [0.40111, 0.50111])
        assert curve["train_loss"].tolist() == [2.0, 1.0]
        assert curve["seconds"].tolist() == [3.5, 3.5]  # training, and evaluation on the validation images
        tested = table.curve(CELLS[2], schedule_epochs=2, seed=777, source="training:all_images")
        np.testing.assert_allclose(tested["test_accuracy"], [0.4, 0.5])
        assert tested["seconds"].tolist() == [3.0, 3.0]
        assert table.wide("size").loc[CELLS[2]].to_dict() == {"parameters": 2_100_000, "flops": 12_000_000}
        assert table.wide("hardware:benchmark")["latency"].tolist() == [20.0, 20.0]

    def test_the_size_space(self, tmp_path):
        widths = ["8:8:8:8:8", "8:8:8:8:16", "16:8:8:8:8", "64:64:64:64:64"]
        table = import_table([self.written(tmp_path / "NATS-sss-v1_0-tiny-simple", widths)], importer="nats_bench")
        assert (table.info.space, table.architectures) == ("nats_size", ["8:8:8:8:8", "16:8:8:8:8"])
        assert table.schedules() == [1, 2]

    def test_one_file(self, folder, tmp_path):
        api = pytest.importorskip("nats_bench")
        whole = {"meta_archs": CELLS, "arch2infos": {}, "evaluated_indexes": [0, 2]}
        for index in (0, 2):
            whole["arch2infos"][index] = api.pickle_load(folder / f"{index:06d}.pickle")
        path = tmp_path / "NATS-tss-tiny.pickle"
        api.pickle_save(whole, path, ".pbz2")
        from_file = import_table([tmp_path / "NATS-tss-tiny.pickle.pbz2"], importer="nats_bench")
        pd.testing.assert_frame_equal(from_file.rows, import_table([folder], importer="nats_bench").rows)

    def test_is_never_opened_unless_it_is_named(self, folder):
        for path in (folder, folder / "meta.pickle.pbz2"):
            with pytest.raises(TableError, match="no importer recognises it"):
                import_table([path])

    def test_what_it_cannot_read(self, folder, tmp_path):
        with pytest.raises(TableError, match="no data set 'mnist'; name one of cifar10, cifar100, imagenet16-120"):
            import_table([folder], importer="nats_bench", data="mnist")
        with pytest.raises(TableError, match="cannot be read as NATS-Bench"):
            import_table([tmp_path], importer="nats_bench")
        (folder / "000002.pickle.pbz2").write_bytes(b"nothing")
        with pytest.raises(TableError, match=r"architecture 2 cannot be read: .*; fetch it again"):
            import_table([folder], importer="nats_bench")

    def test_without_the_package(self, tmp_path, monkeypatch):
        original = builtins.__import__

        def without(name, *rest):
            if name == "nats_bench":
                raise ImportError(name)
            return original(name, *rest)

        monkeypatch.setattr(builtins, "__import__", without)
        with pytest.raises(TableError, match=r"install it with: pip install 'taurank\[nats\]'"):
            import_table([tmp_path], importer="nats_bench")


class TestCSV:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("net,ep,acc,s\na,1,50,3\na,2,60,4\nb,1,55,3\nb,2,,4\n")
        return path

    COLUMNS = {"architecture": "net", "epoch": "ep", "value": "acc", "seconds": "s"}  # noqa: RUF012
    CONSTANTS = {"metric": "validation_accuracy", "schedule_epochs": "2"}  # noqa: RUF012

    def test_curves(self, file):
        table = import_csv([file], self.COLUMNS, self.CONSTANTS, percent=True, space="mine", data="digits")
        assert (table.info.space, table.info.data, table.seeds(2)) == ("mine", "digits", [-1])
        curve = table.curve("a", schedule_epochs=2, seed=-1)
        assert curve["validation_accuracy"].tolist() == [0.5, 0.6]
        assert curve["seconds"].tolist() == [3.0, 4.0]
        assert np.isnan(table.final("validation_accuracy", schedule_epochs=2, seed=-1)["b"])

    def test_one_booking_for_the_metrics_of_an_epoch(self, tmp_path):
        path = tmp_path / "x.csv"
        path.write_text("net,name,v,s\na,test_accuracy,0.5,3\na,train_loss,1.5,3\n")
        columns = {"architecture": "net", "metric": "name", "value": "v", "seconds": "s"}
        table = import_csv([path], columns, {"schedule_epochs": "9"})
        curve = table.curve("a", schedule_epochs=9, seed=-1)
        assert curve.loc[9].to_dict() == {"test_accuracy": 0.5, "train_loss": 1.5, "seconds": 3.0}

    def test_a_source_that_is_no_training_has_no_schedule(self, file):
        columns = {"architecture": "net", "value": "ep", "seed": "ep"}
        table = import_csv([file], columns, {"metric": "score", "source": "proxy:mine"})
        assert table.rows["schedule_epochs"].tolist() == [0, 0, 0, 0]

    @pytest.mark.parametrize(
        ("columns", "constants", "message"),
        [
            ({"value": "acc"}, {}, r"--map: which column is the architecture\? Add architecture=COLUMN"),
            ({"architecture": "net", "value": "acc"}, {}, r"which metric is it\? Add --set metric=validation_accuracy"),
            ({"architecture": "net", "value": "acc"}, {"metric": "x"}, "Add --set schedule_epochs=N"),
            ({"architecture": "net", "value": "accu"}, CONSTANTS, "has no such column; there are acc, ep, net, s"),
            ({"architecture": "net", "value": "acc", "a": "b"}, {}, "--map: 'a' is no column of a table"),
            ({"architecture": "net", "value": "acc"}, {"colour": "b"}, "--set: 'colour' is no column of a table"),
            ({"architecture": "net", "value": "acc"}, {"value": "1"}, "'value' is given by both --map and --set"),
            ({"architecture": "net", "value": "net"}, CONSTANTS, "row 1: value 'a' is not a number"),
            (COLUMNS, CONSTANTS, r"is no share in \[0, 1\]; divide percentages by 100 \(--percent for a CSV\)"),
            ({"architecture": "net", "value": "s"}, {"metric": "x", "schedule_epochs": "2"}, "2 numbers occur twice"),
        ],
    )
    def test_refused(self, file, columns, constants, message):
        with pytest.raises(TableError, match=message) as raised:
            import_csv([file], columns, constants)
        assert "\n" not in str(raised.value)


class TestRegistry:
    def test_every_importer_says_what_it_is(self):
        names = [importer.name for importer in list_importers()]
        assert names == sorted(set(names))
        assert all(importer.reads and importer.origin and importer.licence for importer in list_importers())

    def test_origin_and_licence_come_along(self, naap, tmp_path):
        write_table(import_table(naap), tmp_path / "t.parquet")
        info = read_table(tmp_path / "t.parquet").info
        assert (info.origin, info.licence) == ("NAAP-440 (Hakim, 2022)", "MIT")

    def test_what_cannot_be_imported(self, naap, tmp_path):
        other = tmp_path / "x.csv"
        other.write_text("a,b\n1,2\n")
        (tmp_path / "x.npz").write_text("hello")
        (tmp_path / "x.parquet").write_text("hello")
        spike = tmp_path / "spike.npz"
        np.savez(spike, edge_ops=[[1]], val_acc=[[0.5]])
        for paths, options, message in [
            ([other], {}, "x.csv: no importer recognises it (it has a, b); `taurank table import --help` lists them"),
            ([tmp_path / "no.csv"], {}, "no.csv: no such file or folder"),
            ([tmp_path / "x.npz"], {}, "x.npz is not an npz file"),
            ([tmp_path / "x.parquet"], {}, "x.parquet cannot be read: "),
            ([naap[0], spike], {}, "the files are of different kinds (naap440 and spikenas); give those of one"),
            ([other], {"importer": "spikenas"}, "x.csv is not of format spikenas, which reads npz"),
            ([other], {"importer": "spikenass"}, "--format: unknown importer 'spikenass'; did you mean 'spikenas'?"),
        ]:
            with pytest.raises(TableError) as raised:
                import_table(paths, **options)
            assert message in str(raised.value)
            assert "\n" not in str(raised.value)

    def test_pickled_arrays_stay_closed(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "sprung",))

        path = tmp_path / "x.npz"
        np.savez(path, edge_ops=np.array([[1]]), val_acc=np.array([[Trap()]], dtype=object))
        with pytest.raises(TableError, match="is damaged"):
            import_table([path])
        assert not (tmp_path / "sprung").exists()
        assert pickle.loads(pickle.dumps(Trap())) is None  # so the trap does work


class TestValues:
    def test_percentages_are_known_by_a_value_above_one(self):
        assert shares([0.5, 1.0]).tolist() == [0.5, 1.0]
        assert shares([50.0, 1.0, np.nan])[:2].tolist() == [0.5, 0.01]
        assert shares(np.array([82.092], dtype=np.float32)).tolist() == [0.82092]

    def test_scores(self):
        np.testing.assert_array_equal(scores([-1e8, -9e6, np.inf, np.nan, 3.0]), [np.nan, -9e6, np.nan, np.nan, 3.0])


def test_a_csv_of_final_results_is_a_table(tmp_path: Path):
    file = tmp_path / "old.csv"
    file.write_text("Arch, top1,test_accuracy,seed,comment\n007,70,70,0,a\n007,72,72,1,\n1e5,80,,0,b\n,1,1,0,no name\n")
    assert is_results(file)
    table = import_results(file, data="svhn")
    assert table.architectures == ["007", "1e5"]
    assert table.info.data == "svhn"
    assert [(part.source, part.metric, part.seed, part.architectures) for part in summarise(table)] == [
        ("training:recorded", "top1", 0, 2),
        ("training:recorded", "test_accuracy", 0, 1),
        ("training:recorded", "top1", 1, 1),
        ("training:recorded", "test_accuracy", 1, 1),
    ]
    shares = table.rows.loc[table.rows["metric"] == "test_accuracy", "value"]
    assert shares.tolist() == [0.7, 0.72], "percentages of an accuracy are shares"
    assert table.info.metrics["top1"].direction == "higher"


def test_the_direction_of_final_results_may_be_chosen(tmp_path: Path):
    file = tmp_path / "old.csv"
    file.write_text("model,it\na,1\nb,2\n")
    assert import_results(file).info.metrics["it"].direction == "none"
    assert import_results(file, direction="lower").info.metrics["it"].direction == "lower"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model,acc\n", "has no rows"),
        ("model,acc\na,1\nb,two\n", "row 2: acc 'two' is not a number"),
        ("model,acc,note\na,1,x\nb,two,y\n", "row 2: acc 'two' is not a number"),
        ("model,acc\na,1\nb,2\na,1\n", "row 3: 'a' is in row 1, too"),
        ("model,acc,seed\na,1,0\na,2,0\n", "row 2: 'a' is in row 1, too"),
        ("model,acc,seed\na,1,0\na,2,x\n", "row 2: seed 'x' is not a whole number"),
        ("model\na\n", "has no column of numbers beside 'model'"),
        ("model,a,b\na,1\nb,1,2,3\n", "old.csv"),
        ("model,epoch,acc\na,1,2\na,2,3\n", "has a column of epochs; make a table of it"),
        ("what,acc\na,1\n", "has no column of architectures: call it architecture"),
    ],
)
def test_mistakes_in_final_results(tmp_path: Path, text: str, problem: str):
    file = tmp_path / "old.csv"
    file.write_text(text)
    with pytest.raises(TableError, match=problem):
        import_results(file)
