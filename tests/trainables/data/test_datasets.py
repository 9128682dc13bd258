"""Data sets by name: every form they come in, real copies, and what is said about missing and broken ones."""

import gzip
import hashlib
import logging
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from taurank.spaces.zoo.torchvision_import import import_torchvision
from taurank.trainables.data import DataError, list_datasets, load_dataset
from taurank.trainables.data.idx import read_idx

CIFAR_PARTS = [f"data_batch_{number}" for number in range(1, 6)] + ["test_batch"]


def idx(array):
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def grey(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 28, 28), dtype=np.uint8)


def write_idx(folder, *, n_train=7, n_test=3, ending="", separator="-"):
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if ending else bytes
    for part, n in (("train", n_train), ("t10k", n_test)):
        (folder / f"{part}-images{separator}idx3-ubyte{ending}").write_bytes(pack(idx(grey(n, seed=n))))
        (folder / f"{part}-labels{separator}idx1-ubyte{ending}").write_bytes(pack(idx(np.arange(n) % 10)))


def write_npz(folder, *, shape=(28, 28), n_train=7, n_test=3):
    folder.mkdir(parents=True, exist_ok=True)
    for part, n in (("train", n_train), ("test", n_test)):
        pixels = np.random.default_rng(n).integers(0, 256, (n, *shape), dtype=np.uint8)
        np.savez(folder / f"some_{part}_images.npz", x=pixels, y=np.arange(n, dtype=np.uint8) % 10)


def write_cifar_binary(folder, n=4):
    """Image i of batch b: red plane all 10 b + i, green plane the row number, blue plane the column number."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[:32, :32].astype(np.uint8)
    for batch, name in enumerate(CIFAR_PARTS):
        content = b"".join(
            bytes([i]) + np.stack([np.full_like(rows, 10 * batch + i), rows, columns]).tobytes() for i in range(n)
        )
        (folder / f"{name}.bin").write_bytes(content)


def write_cifar_python(folder, n=4):
    folder.mkdir(parents=True, exist_ok=True)
    for batch, name in enumerate(CIFAR_PARTS):
        pixels = np.random.default_rng(batch).integers(0, 256, (n, 3072), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": list(range(n))}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))


def one_line(excinfo):
    message = str(excinfo.value)
    assert "\n" not in message
    return message


# --- what there is


def test_the_names():
    assert list_datasets() == ("cifar10", "cifar100", "digits", "fashion-mnist", "mnist", "svhn")


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(DataError) as excinfo:
        load_dataset("fashion_mnist")
    assert one_line(excinfo) == (
        "unknown data set 'fashion_mnist'; there are cifar10, cifar100, digits, fashion-mnist, mnist, svhn, "
        "and folder:PATH, imagenet:PATH, packed:PATH, npz:PATH; did you mean 'fashion-mnist'?"
    )
    with pytest.raises(DataError, match=r"and folder:PATH, imagenet:PATH, packed:PATH, npz:PATH$"):
        load_dataset("imagenet")


def test_digits_are_scikit_learns_stretched_to_bytes():
    digits = load_dataset("digits")
    assert digits.train.images.shape == (1797, 8, 8, 1)
    assert digits.train.images.dtype == np.uint8
    assert digits.train.labels.dtype == np.int64
    assert np.bincount(digits.train.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    # Grey values 0, 5, 13, 9, 1 of the first row of the first image, times 255/16.
    assert digits.train.images[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]
    assert digits.train.images.max() == 255
    assert digits.test is None
    assert digits.classes == tuple("0123456789")


# --- IDX


@pytest.mark.parametrize(("name", "folder"), [("mnist", "mnist"), ("mnist", "MNIST/raw"), ("mnist", "MNIST")])
@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("separator", ["-", "."])
def test_idx_is_read_as_written(tmp_path, name, folder, ending, separator):
    write_idx(tmp_path / folder, ending=ending, separator=separator)
    dataset = load_dataset(name, root=tmp_path)
    assert dataset.name == name
    np.testing.assert_array_equal(dataset.train.images[..., 0], grey(7, seed=7))
    np.testing.assert_array_equal(dataset.test.images[..., 0], grey(3, seed=3))
    assert dataset.train.images.shape == (7, 28, 28, 1)
    assert dataset.train.labels.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert dataset.test.labels.tolist() == [0, 1, 2]
    assert dataset.train.labels.dtype == np.int64


@pytest.mark.parametrize("folder", ["fashion-mnist", "fashion_mnist", "FashionMNIST/raw"])
def test_fashion_mnist_has_folders_and_classes_of_its_own(tmp_path, folder):
    write_idx(tmp_path / "mnist", n_train=9)
    write_idx(tmp_path / folder, n_train=5)
    dataset = load_dataset("fashion-mnist", root=tmp_path)
    assert len(dataset.train.images) == 5
    assert dataset.classes[0] == "T-shirt/top"
    assert len(dataset.classes) == 10


def test_the_root_is_taken_from_the_environment_and_else_is_data(tmp_path, monkeypatch):
    write_idx(tmp_path / "elsewhere" / "mnist", n_train=7)
    write_idx(tmp_path / "data" / "mnist", n_train=8)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAURANK_DATA", str(tmp_path / "elsewhere"))
    assert len(load_dataset("mnist").train.images) == 7
    monkeypatch.delenv("TAURANK_DATA")
    assert len(load_dataset("mnist").train.images) == 8


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_truncated_idx_file_is_named(tmp_path, ending):
    write_idx(tmp_path / "mnist", ending=ending)
    broken = tmp_path / "mnist" / f"train-images-idx3-ubyte{ending}"
    broken.write_bytes(broken.read_bytes()[:-1])
    with pytest.raises(DataError) as excinfo:
        load_dataset("mnist", root=tmp_path)
    assert str(broken) in one_line(excinfo)


@pytest.mark.parametrize("content", [b"", b"\0\0\x08", b"\0\0\x08\x03\0\0\0\1"])
def test_an_idx_file_without_a_whole_header_is_named(tmp_path, content):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte: .* its header declares"):
        read_idx(path, 3)


def test_bytes_after_the_end_of_an_idx_file_are_refused(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(idx(np.arange(5)) + b"\0")
    with pytest.raises(DataError, match=r"labels: more than 13 bytes, but its header declares 8 \+ 5"):
        read_idx(path, 1)


# --- npz


@pytest.mark.parametrize(
    ("name", "folder", "shape"), [("mnist", "mnist", (28, 28)), ("cifar10", "cifar10", (32, 32, 3))]
)
def test_npz_is_read_as_written(tmp_path, name, folder, shape):
    write_npz(tmp_path / folder, shape=shape)
    dataset = load_dataset(name, root=tmp_path)
    written = np.load(tmp_path / folder / "some_train_images.npz")
    np.testing.assert_array_equal(dataset.train.images.reshape(7, *shape), written["x"])
    assert dataset.train.images.ndim == 4
    assert dataset.test.labels.tolist() == [0, 1, 2]


def test_a_pickled_array_in_an_npz_is_never_unpickled(tmp_path):
    write_npz(tmp_path / "mnist")
    np.savez(tmp_path / "mnist" / "some_train_images.npz", x=np.array([trap(tmp_path)], dtype=object), y=np.zeros(1))
    with pytest.raises(DataError, match=r"some_train_images\.npz: is not a whole \.npz archive of plain arrays"):
        load_dataset("mnist", root=tmp_path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"junk", "cut", "npy"])
def test_a_broken_npz_is_named(tmp_path, content):
    write_npz(tmp_path / "mnist")
    path = tmp_path / "mnist" / "some_test_images.npz"
    if content == "npy":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_bytes(path.read_bytes()[:-40] if content == "cut" else content)
    with pytest.raises(DataError) as excinfo:
        load_dataset("mnist", root=tmp_path)
    assert one_line(excinfo).startswith(f"{path}: is not a whole .npz")


def test_an_npz_that_unpacks_beyond_memory_is_not_unpacked(tmp_path, monkeypatch):
    write_npz(tmp_path / "mnist")
    path = tmp_path / "mnist" / "some_train_images.npz"
    np.savez_compressed(path, x=np.zeros((4_000, 28, 28), dtype=np.uint8), y=np.zeros(4_000, dtype=np.uint8))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr("taurank.trainables.data.npz._memory", lambda: 3_000_000)
    with pytest.raises(DataError) as excinfo:
        load_dataset("mnist", root=tmp_path, download=False)
    assert one_line(excinfo) == (
        f"{path}: takes more memory than there is; save fewer or smaller images, or give folder:PATH"
    )


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (
            {"x": np.zeros((3, 32, 32, 3), np.uint8), "y": np.zeros(3, int)},
            r"uint8 \(n, 28, 28, 1\), got uint8 \(3, 32",
        ),
        ({"x": np.zeros((3, 28, 28), np.float32), "y": np.zeros(3, int)}, r"got float32 \(3, 28, 28, 1\)"),
        ({"x": grey(3), "y": np.zeros(3)}, r"whole numbers \(n,\), got float64 \(3,\)"),
        ({"x": grey(3), "y": np.zeros(4, int)}, "3 images, but 4 labels"),
        ({"x": grey(3), "y": np.array([0, -1, 2])}, r"0\.\.9, got -1\.\.2"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path, arrays, said):
    write_npz(tmp_path / "mnist")
    np.savez(tmp_path / "mnist" / "some_test_images.npz", **arrays)
    with pytest.raises(DataError, match=rf"some_test_images\.npz: .*{said}"):
        load_dataset("mnist", root=tmp_path)


# --- CIFAR-10


@pytest.mark.parametrize("folder", ["cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"])
def test_cifar_binary_planes_become_rgb_pixels(tmp_path, folder):
    write_cifar_binary(tmp_path / folder)
    dataset = load_dataset("cifar10", root=tmp_path)
    assert dataset.train.images.shape == (20, 32, 32, 3)
    assert dataset.test.images.shape == (4, 32, 32, 3)
    assert dataset.train.images[6, 3, 17].tolist() == [12, 3, 17]  # batch 1, image 2
    assert dataset.test.images[1, 31, 0].tolist() == [51, 31, 0]
    assert dataset.train.labels.tolist() == [0, 1, 2, 3] * 5
    assert dataset.classes[3] == "cat"
    assert dataset.train.images.flags.c_contiguous


class trap:  # noqa: N801  # an instance that, once unpickled, leaves a file behind
    def __init__(self, folder):
        self.path = folder / "sprung"

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_the_trap_works(tmp_path):
    pickle.loads(pickle.dumps(trap(tmp_path)))
    assert (tmp_path / "sprung").exists()


def test_python_batches_with_another_md5_are_never_unpickled(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [*CIFAR_PARTS, "batches.meta"]:
        (folder / name).write_bytes(pickle.dumps(trap(tmp_path)))
    with pytest.raises(DataError, match="data_batch_1: its MD5 is not the published c99cafc1"):
        load_dataset("cifar10", root=tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_python_batches_are_read_where_their_md5_is_the_expected_one(tmp_path, monkeypatch):
    folder = tmp_path / "cifar-10-batches-py"
    write_cifar_python(folder)
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
    published = import_torchvision().datasets.CIFAR10
    monkeypatch.setattr(published, "train_list", [[name, sums[name]] for name in CIFAR_PARTS[:5]])
    monkeypatch.setattr(published, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(published, "meta", published.meta | {"md5": sums["batches.meta"]})
    dataset = load_dataset("cifar10", root=tmp_path)
    planes = np.random.default_rng(2).integers(0, 256, (4, 3072), dtype=np.uint8)[1].reshape(3, 32, 32)
    np.testing.assert_array_equal(dataset.train.images[9], planes.transpose(1, 2, 0))  # batch 3, image 1
    assert len(dataset.train.images) == 20
    assert dataset.test.labels.tolist() == [0, 1, 2, 3]


def test_python_batches_in_a_folder_of_another_name_are_explained(tmp_path):
    write_cifar_python(tmp_path / "cifar10")
    with pytest.raises(DataError, match="from a folder named cifar-10-batches-py only"):
        load_dataset("cifar10", root=tmp_path)


# --- CIFAR-100 and SVHN


@pytest.mark.parametrize("folder", ["cifar100", "cifar-100-binary", "cifar100/cifar-100-binary"])
def test_cifar100_has_its_fine_labels(tmp_path, folder):
    (tmp_path / folder).mkdir(parents=True)
    planes = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    records = b"".join(bytes([7, 50 + i]) + planes[i].tobytes() for i in range(3))  # coarse, fine, pixels
    (tmp_path / folder / "train.bin").write_bytes(records)
    (tmp_path / folder / "test.bin").write_bytes(records[: 2 + 3072])
    dataset = load_dataset("cifar100", root=tmp_path)
    np.testing.assert_array_equal(dataset.train.images, planes.transpose(0, 2, 3, 1))
    assert dataset.train.labels.tolist() == [50, 51, 52]
    assert dataset.test.labels.tolist() == [50]
    # Published facts: a hundred classes in the order of their names.
    assert len(dataset.classes) == len(set(dataset.classes)) == 100
    assert list(dataset.classes) == sorted(dataset.classes)
    assert (dataset.classes[0], dataset.classes[50], dataset.classes[99]) == ("apple", "mouse", "worm")


def test_python_files_of_cifar100_with_another_md5_are_never_unpickled(tmp_path):
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(pickle.dumps(trap(tmp_path)))
    with pytest.raises(DataError, match="train: its MD5 is not the published 16019d7e"):
        load_dataset("cifar100", root=tmp_path)
    assert not (tmp_path / "sprung").exists()


def write_svhn(folder, *, n=5, labels=None):
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3, n), dtype=np.uint8)
    labels = np.arange(1, n + 1) if labels is None else np.asarray(labels)
    for part in ("train", "test"):
        savemat(folder / f"{part}_32x32.mat", {"X": pixels, "y": labels.astype(np.uint8)[:, None]})
    return pixels


def test_svhn_images_come_first_and_ten_is_zero(tmp_path):
    pixels = write_svhn(tmp_path / "svhn", labels=[10, 1, 9, 2, 10])
    dataset = load_dataset("svhn", root=tmp_path)
    np.testing.assert_array_equal(dataset.train.images[3], pixels[..., 3])
    assert dataset.train.labels.tolist() == [0, 1, 9, 2, 0]
    assert len(dataset.test) == 5


def test_svhn_files_that_are_none_are_named(tmp_path):
    write_svhn(tmp_path / "svhn", labels=[11, 1, 9, 2, 10])
    with pytest.raises(DataError, match=r"train_32x32\.mat: labels should be 0\.\.9, got 0\.\.11"):
        load_dataset("svhn", root=tmp_path)
    savemat(tmp_path / "svhn" / "train_32x32.mat", {"X": np.zeros(3)})
    with pytest.raises(DataError, match=r"train_32x32\.mat: needs the arrays X .* and y"):
        load_dataset("svhn", root=tmp_path)
    (tmp_path / "svhn" / "train_32x32.mat").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"train_32x32\.mat: is not a whole \.mat file") as excinfo:
        load_dataset("svhn", root=tmp_path)
    one_line(excinfo)
    (tmp_path / "svhn" / "test_32x32.mat").unlink()
    with pytest.raises(DataError, match=r"test_32x32\.mat missing"):
        load_dataset("svhn", root=tmp_path)


def test_svhn_is_fetched_in_two_parts_into_a_folder_of_its_own(tmp_path, monkeypatch):
    asked = []

    class Fetcher:
        def __init__(self, root, split, download):
            asked.append((root, split, download))
            write_svhn(Path(root))

    monkeypatch.setattr(import_torchvision().datasets, "SVHN", Fetcher)
    assert len(load_dataset("svhn", root=tmp_path, download=True).train) == 5
    assert asked == [(str(tmp_path / "svhn"), part, True) for part in ("train", "test")]


# --- copies with a damaged file


def gzipped(folder):
    write_idx(folder, ending=".gz")


@pytest.mark.parametrize(
    ("name", "write", "file", "content", "message"),
    [
        ("mnist", write_idx, "train-images-idx3-ubyte", idx(np.arange(7)), r"magic number 2049, but .* has 2051"),
        ("mnist", gzipped, "t10k-labels-idx1-ubyte.gz", b"<html>404</html>", "cannot be read"),
        ("mnist", write_idx, "train-labels-idx1-ubyte", idx(np.arange(6)), "7 images, but 6 labels"),
        ("mnist", write_idx, "train-labels-idx1-ubyte", idx(np.arange(7) + 4), r"should be 0\.\.9, got 4\.\.10"),
        ("mnist", write_npz, "some_test_images.npz", {"x": grey(3)}, r"needs the arrays x \(images\) and y \(labels\)"),
        ("mnist", write_npz, "more_train.npz", {"x": grey(3)}, r"\(more_train\.npz, some_train_images\.npz\)"),
        ("mnist", write_npz, "some_test_images.npz", None, r"\*test\*\.npz missing"),
        ("cifar10", write_cifar_binary, "data_batch_3.bin", b"0" * 12291, "12291 bytes are not .* records of 3073"),
        ("cifar10", write_cifar_binary, "test_batch.bin", b"\xff" * 3073, r"labels should be 0\.\.9, got 255"),
    ],
)
def test_a_damaged_copy_names_its_file(tmp_path, name, write, file, content, message):
    write(tmp_path / name)
    path = tmp_path / name / file
    if content is None:
        path.unlink()
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as excinfo:
        load_dataset(name, root=tmp_path)
    assert content is None or file in one_line(excinfo)


def test_a_set_without_images_is_refused(tmp_path):
    write_idx(tmp_path / "mnist", n_test=0)
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte: no images"):
        load_dataset("mnist", root=tmp_path)


# --- missing, incomplete, downloaded


def test_missing_data_says_what_where_and_the_way_out(tmp_path):
    with pytest.raises(DataError) as excinfo:
        load_dataset("mnist", root=tmp_path / "nowhere")
    message = one_line(excinfo)
    for part in (
        "mnist not found",
        "IDX, IDX.gz or *train*.npz",
        "MNIST/raw",
        f"{tmp_path / 'nowhere'} (no such folder)",
        "--data-dir",
        "--download",
        "12 MB",
        "https://ossci-datasets.s3.amazonaws.com/mnist",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("name", "folder", "write", "gone"),
    [
        ("mnist", "mnist", write_idx, "t10k-labels-idx1-ubyte"),
        ("cifar10", "cifar10", write_cifar_binary, "data_batch_2.bin"),
        ("cifar10", "cifar-10-batches-py", write_cifar_python, "batches.meta"),
    ],
)
def test_an_incomplete_copy_names_the_file_that_is_missing(tmp_path, name, folder, write, gone):
    write(tmp_path / folder)
    (tmp_path / folder / gone).unlink()
    with pytest.raises(DataError) as excinfo:
        load_dataset(name, root=tmp_path)
    assert one_line(excinfo).startswith(f"{tmp_path / folder}: {gone} missing; ")


def test_a_whole_copy_is_found_beside_an_incomplete_one(tmp_path):
    write_idx(tmp_path / "mnist", n_train=9)
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    write_idx(tmp_path / "MNIST" / "raw", n_train=5)
    assert len(load_dataset("mnist", root=tmp_path).train.images) == 5


class Recorder:
    """In the place of a torchvision data set class: records what it was asked for and writes small files."""

    def __init__(self, write):
        self.asked = []
        self.write = write

    def __call__(self, root, *, train, download):
        self.asked.append((root, train, download))
        self.write(Path(root))


def stub(monkeypatch, name, write):
    recorder = Recorder(write)
    monkeypatch.setattr(import_torchvision().datasets, name, recorder)
    return recorder


@pytest.mark.parametrize(
    ("name", "torchvision_name", "folder", "megabytes"),
    [("mnist", "MNIST", "MNIST/raw", 12), ("fashion-mnist", "FashionMNIST", "FashionMNIST/raw", 31)],
)
def test_a_download_is_asked_of_torchvision_once_and_announced(
    tmp_path, monkeypatch, caplog, name, torchvision_name, folder, megabytes
):
    recorder = stub(monkeypatch, torchvision_name, lambda root: write_idx(root / folder))
    with caplog.at_level(logging.WARNING):
        dataset = load_dataset(name, root=tmp_path, download=True)
    assert recorder.asked == [(str(tmp_path), True, True)]
    assert len(dataset.train.images) == 7
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"Downloading {name} from http")
    assert line.endswith(f"({megabytes} MB) into {tmp_path}")


def test_nothing_is_downloaded_unasked(tmp_path, monkeypatch):
    recorder = stub(monkeypatch, "MNIST", lambda root: write_idx(root / "MNIST/raw"))
    with pytest.raises(DataError, match="not found"):
        load_dataset("mnist", root=tmp_path)
    assert recorder.asked == []


def test_nothing_is_downloaded_that_is_there(tmp_path, monkeypatch):
    recorder = stub(monkeypatch, "MNIST", lambda root: write_idx(root / "MNIST/raw"))
    write_idx(tmp_path / "mnist")
    load_dataset("mnist", root=tmp_path, download=True)
    assert recorder.asked == []


def test_a_broken_off_download_is_taken_up_again(tmp_path, monkeypatch):
    write_idx(tmp_path / "MNIST/raw", ending=".gz")
    (tmp_path / "MNIST/raw/t10k-images-idx3-ubyte.gz").unlink()
    recorder = stub(monkeypatch, "MNIST", lambda root: write_idx(root / "MNIST/raw"))
    assert len(load_dataset("mnist", root=tmp_path, download=True).test.images) == 3
    assert len(recorder.asked) == 1


def test_a_download_that_fails_says_so_in_one_line(tmp_path, monkeypatch):
    def fail(root):
        raise RuntimeError("Error downloading train-images:\nTried mirror, got:\n<urlopen error>\n")

    stub(monkeypatch, "CIFAR10", fail)
    with pytest.raises(DataError) as excinfo:
        load_dataset("cifar10", root=tmp_path, download=True)
    message = one_line(excinfo)
    assert "cifar10: cannot be fetched from https://www.cs.toronto.edu" in message
    assert "<urlopen error>" in message
    assert "--data-dir" in message


# --- real copies

real = pytest.mark.skipif("TAURANK_DATA" not in os.environ, reason="TAURANK_DATA is not set: no real images to read")


@real
def test_real_mnist():
    dataset = load_dataset("mnist")
    assert dataset.train.images.shape == (60000, 28, 28, 1)
    assert dataset.test.images.shape == (10000, 28, 28, 1)
    # The published class counts, and the mean and deviation every MNIST tutorial normalises with.
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(dataset.train.labels).tolist() == counts
    assert dataset.train.images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert dataset.train.images.std() / 255 == pytest.approx(0.3081, abs=5e-5)


@real
def test_real_fashion_mnist():
    dataset = load_dataset("fashion-mnist")
    assert np.bincount(dataset.train.labels).tolist() == [6000] * 10
    assert np.bincount(dataset.test.labels).tolist() == [1000] * 10
    assert dataset.train.images.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert dataset.train.labels[:5].tolist() == [9, 0, 0, 3, 0]


@real
def test_real_cifar10():
    dataset = load_dataset("cifar10")
    for images, labels in ((dataset.train.images, dataset.train.labels), (dataset.test.images, dataset.test.labels)):
        assert images.shape[1:] == (32, 32, 3)
        assert set(labels.tolist()) == set(range(10))
    # The mean and deviation of red, green and blue that CIFAR-10 is normalised with everywhere; a part may be there.
    assert dataset.train.images.mean((0, 1, 2)) / 255 == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.003)
    assert dataset.train.images.std((0, 1, 2)) / 255 == pytest.approx((0.2470, 0.2435, 0.2616), abs=0.003)
    # Ships lie on blue water and frogs do not: labels and colour planes are where they should be.
    ship, frog = (dataset.train.images[dataset.train.labels == dataset.classes.index(c)] for c in ("ship", "frog"))
    assert ship[..., 2].mean() > ship[..., 0].mean() + 5
    assert frog[..., 2].mean() < frog[..., 0].mean() - 5
