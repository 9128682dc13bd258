"""Tables of other people's files: codes as written, directions of metrics, data sets by name, what a file lacks."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from taurank.trainables.table import TableError, direction_of
from taurank.trainables.table.importers import import_csv, import_table
from taurank.trainables.table.importers.recording import Recording

CODES = ["0312", "1203", "1e5", "NA", "null", "True", "None", "007"]
COLUMNS = {"architecture": "code", "value": "v"}
ERRORS = {"metric": "validation_error", "schedule_epochs": "3"}


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("code,v\n" + "".join(f"{code}, 0.{place}\n" for place, code in enumerate(CODES)))
    return path


def test_codes_of_a_csv_are_text_as_written(csv):
    table = import_csv([csv], COLUMNS, ERRORS)
    assert table.architectures == CODES
    assert table.final("validation_error", schedule_epochs=3, seed=-1).tolist() == [place / 10 for place in range(8)]


def test_missing_numbers_are_missing_and_empty_codes_are_refused(csv):
    csv.write_text("code,v\na,NA\nb,0.5\nc,\n")
    assert import_csv([csv], COLUMNS, ERRORS).architectures == ["b"]
    csv.write_text("code,v\na,1\n ,0.5\n")
    with pytest.raises(TableError, match="row 2: architecture is empty"):
        import_csv([csv], COLUMNS, ERRORS)
    csv.write_text("code,v\na,1,\nb,2,\n")
    with pytest.raises(TableError, match="rows have more cells than the header"):
        import_csv([csv], COLUMNS, ERRORS)


def test_codes_of_a_parquet_file_are_text_or_whole_numbers(tmp_path):
    path = tmp_path / "results.parquet"
    frame = pd.DataFrame({"code": ["0312", "1e5"], "v": [0.1, 0.2]})
    frame.to_parquet(path)
    assert import_csv([path], COLUMNS, ERRORS).architectures == ["0312", "1e5"]
    frame.assign(code=frame["code"].astype("category")).to_parquet(path)
    assert import_csv([path], COLUMNS, ERRORS).architectures == ["0312", "1e5"]
    pd.DataFrame({"code": [312, 100000], "v": [0.1, 0.2]}).to_parquet(path)
    assert import_csv([path], COLUMNS, ERRORS).architectures == ["312", "100000"]
    pd.DataFrame({"code": [312.0, 1e5], "v": [0.1, 0.2]}).to_parquet(path)
    with pytest.raises(TableError, match="column 'code' holds double; save it as text, as the codes are written"):
        import_csv([path], COLUMNS, ERRORS)


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        *((name, "lower") for name in ("loss", "valLoss", "test_rmse", "top1err", "RMSE", "accuracy_gap", "loss@200")),
        *((name, "higher") for name in ("f1", "mIoU", "testAcc", "best_top5", "neg_mean_squared_error")),
        *((name, "none") for name in ("value", "params", "glossary", "mapping", "flosses")),
    ],
)
def test_the_last_word_that_says_so_gives_the_direction(name, direction):
    assert direction_of(name) == direction


def test_a_metric_is_given_a_direction(csv):
    for name, asked, found in [
        ("validation_error", None, "lower"),
        ("thing", None, "none"),
        ("thing", "lower", "lower"),
        ("iou", "higher", "higher"),
        ("validation_loss", "lower", "lower"),
    ]:
        table = import_csv([csv], COLUMNS, ERRORS | {"metric": name}, direction=asked)
        assert table.info.metrics[name].direction == found
    with pytest.raises(TableError, match="--lower-is-better: that is not so of test_accuracy"):
        import_csv([csv], COLUMNS, ERRORS | {"metric": "test_accuracy"}, direction="lower")


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("spikenas_cifar10_curves_half.npz", "cifar10"),
        ("CIFAR-100_results.csv", "cifar100"),
        ("results-imagenet.csv.gz", "imagenet"),
        ("imagenet16-120.parquet", "imagenet16-120"),
        ("TinyImageNet_curves.csv", "tiny-imagenet"),
        ("tiny-imagenet-200.csv", "tiny-imagenet"),
        *((file, "") for file in ("results-imagenet-a.csv", "imagenetv2.csv", "imagenet_100.csv", "mini-imagenet.csv")),
        *((file, "") for file in ("cifar10.1.csv", "cifar-10-c.csv", "emnist.csv", "permuted_mnist.csv")),
        ("cifar10_to_svhn.csv", ""),
    ],
)  # fmt: skip
def test_a_data_set_is_named_only_where_the_file_says_so(file, data):
    assert Recording(Path(file), frozenset()).data == data


def test_a_file_that_is_nearly_known_says_what_it_lacks(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("model,top1,size\na,80,224\n")
    with pytest.raises(TableError, match=r"it has model, size, top1; timm lacks img_size, param_count\)"):
        import_table([path])
    with pytest.raises(TableError, match=r"is not of format timm, .*; it lacks the columns img_size, param_count"):
        import_table([path], importer="timm")
    path.write_text("arch_str,accuracy\na,80\n")
    with pytest.raises(TableError, match=r"nasbench201 lacks a result .such as c10_val_hp200_s0"):
        import_table([path])
