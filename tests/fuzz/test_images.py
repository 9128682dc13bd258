"""Image files and arrays from strangers: pixels of the size that was asked for, or one line that says why not."""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taurank.trainables.data import DataError, decode_image, load_dataset
from taurank.trainables.data.cifar import read_cifar100_binary_folder, read_cifar_binary_folder
from taurank.trainables.data.decoded_cache import decode_files
from taurank.trainables.data.idx import read_idx_folder
from taurank.trainables.data.npz import read_npz_file, read_npz_folder
from tests.fuzz.fuzzing import answer, damaged, hostile_pickle

SIDE = 8
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
ENCODED = {
    kind: cv2.imencode(f".{kind}", PICTURE)[1].tobytes() for kind in ("png", "jpg", "bmp", "tiff", "webp", "ppm")
}


@given(st.sampled_from(sorted(ENCODED)).flatmap(lambda kind: damaged(ENCODED[kind])), st.sampled_from([1, 3]))
def test_a_damaged_image(content, channels):
    found = answer(lambda: decode_image(content, SIDE, channels)[0], DataError)
    if found is not None:
        assert found.shape == (SIDE, SIDE, channels)
        assert found.dtype == np.uint8


HEADS = [
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"RIFF\x10\x00\x00\x00WEBPVP8 ",
    b"P6 9 9 255\n",
    b"GIF89a",
    b"\x00\x00\x00\x0cjP  ",
    b"v/1\x01",
    b"\x00\x00\x00 ftypavif",
    b"#?RADIANCE\n",
    b"",
]


@given(st.sampled_from(HEADS), st.binary(max_size=200))
def test_any_bytes_behind_the_head_of_an_image(head, rest):
    answer(lambda: decode_image(head + rest, SIDE, 3)[0], DataError)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, pixels: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    small = bytearray(ENCODED["jpg"])
    at = small.index(b"\xff\xc0")
    small[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(small)


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


def tiff(width: int, height: int) -> bytes:
    tags = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 273: 8, 278: height, 279: 9}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\x00" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\x00" * 4


def ppm(width: int, height: int) -> bytes:
    return f"P6 {width} {height} 255\n".encode()


def webp(width: int, height: int) -> bytes:
    head = b"\x00\x00\x00\x00" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", len(head)) + head
    return b"RIFF" + struct.pack("<I", len(body)) + body


BOMBS = {
    "png": png(60_000, 60_000, zlib.compress(b"\x00" * 10**6)),
    "png of zero pixels": png(0, 60_000, zlib.compress(b"")),
    "png of the most pixels": png(2**31 - 1, 2**31 - 1, b""),
    "png with negative size": png(2**32 - 1, 2, zlib.compress(b"\x00" * 100)),
    "png in a row": png(2**27 + 1, 1, zlib.compress(b"\x00" * 10**6)),
    "jpeg": jpeg(60_000, 60_000),
    "jpeg of zero pixels": jpeg(0, 0),
    "bmp": bmp(60_000, 60_000),
    "bmp upside down": bmp(60_000, -60_000),
    "tiff": tiff(60_000, 60_000),
    "ppm": ppm(60_000, 60_000),
    "ppm of the most pixels": ppm(10**30, 10**30),
    "webp": webp(16_384, 16_384),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_few_bytes_that_claim_to_be_a_huge_image(name, tmp_path):
    assert answer(lambda: decode_image(BOMBS[name], SIDE, 3)[0], DataError) is None
    for part in ("a", "b"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "good.png").write_bytes(ENCODED["png"])
    (tmp_path / "a" / "bomb.png").write_bytes(BOMBS[name])
    names = ["a/bomb.png", "a/good.png", "b/good.png"]
    decoded = decode_files(tmp_path, names, size=SIDE, cache=tmp_path / "cache")
    assert list(decoded.left_out) == [0]
    assert len(decoded.left_out[0].splitlines()) == 1
    assert decoded.images.shape == (2, SIDE, SIDE, 3)


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


IMAGES, LABELS = np.zeros((6, 4, 4, 3), np.uint8), np.arange(6) % 2
OWN = npz(x=IMAGES, y=LABELS, x_test=IMAGES[:2], y_test=LABELS[:2])


@given(damaged(OWN))
def test_a_damaged_npz_of_own_images(tmp_path, content):
    file = tmp_path / "own.npz"
    file.write_bytes(content)
    answer(lambda: read_npz_file("npz:own.npz", file), DataError)
    (tmp_path / "train.npz").write_bytes(content)
    (tmp_path / "test.npz").write_bytes(OWN)
    answer(lambda: read_npz_folder(tmp_path, (4, 4, 3), 2), DataError)


def stored(name: str, content: bytes) -> bytes:
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for other in ("x", "y"):
            if other != name:
                buffer = io.BytesIO()
                np.save(buffer, {"x": IMAGES, "y": LABELS}[other])
                archive.writestr(f"{other}.npy", buffer.getvalue())
        archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


HEADERS = {
    "huge": "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000, 100000, 100000)}",
    "beyond 64 bits": "{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000, 10000000000, 10000000000)}",
    "negative": "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 4, 4)}",
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (6,)}",
    "code": "__import__('os').system('true')",
    "deep": "(" * 5000,
    "shape of text": "{'descr': '|u1', 'fortran_order': False, 'shape': ('a',)}",
    "odd type": "{'descr': '|V0', 'fortran_order': False, 'shape': (6, 4, 4)}",
    "record": "{'descr': [('a', '|u1'), ('b', '|O')], 'fortran_order': False, 'shape': (6,)}",
}


@pytest.mark.parametrize("name", HEADERS)
def test_an_array_whose_header_lies(name, tmp_path):
    file = tmp_path / "own.npz"
    file.write_bytes(stored("x", npy(HEADERS[name], b"\x00" * 96)))
    assert answer(lambda: read_npz_file("npz:own.npz", file), DataError) is None


def test_an_archive_that_unpacks_to_much_more_than_it_says(tmp_path):
    head = "{'descr': '|u1', 'fortran_order': False, 'shape': (6, 4, 4)}"
    file = tmp_path / "own.npz"
    file.write_bytes(stored("x", npy(head, b"\x00" * 10**8)))
    found = answer(lambda: read_npz_file("npz:own.npz", file), DataError)
    assert found is None or found.train.images.shape == (6, 4, 4, 1)


@pytest.mark.parametrize("which", ["x", "y"])
def test_a_pickle_in_an_npz_is_not_loaded(which, tmp_path):
    marker, file = tmp_path / "ran", tmp_path / "own.npz"
    objects = npy("{'descr': '|O', 'fortran_order': False, 'shape': (6,)}", hostile_pickle(marker))
    for content in (stored(which, objects), stored(which, hostile_pickle(marker)), hostile_pickle(marker)):
        file.write_bytes(content)
        assert answer(lambda: read_npz_file("npz:own.npz", file), DataError) is None
    assert not marker.exists()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


GREY = np.zeros((5, 28, 28), np.uint8)
PARTS = {"images-idx3-ubyte": idx(GREY), "labels-idx1-ubyte": idx(np.arange(5, dtype=np.uint8))}


@given(st.data(), st.sampled_from(sorted(PARTS)), st.sampled_from(["plain", "inside", "outside"]))
def test_a_damaged_idx_file(tmp_path, data, which, packed):
    ending = "" if packed == "plain" else ".gz"
    for file in tmp_path.iterdir():
        file.unlink()
    for part in ("train", "t10k"):
        for name, content in PARTS.items():
            (tmp_path / f"{part}-{name}{ending}").write_bytes(gzip.compress(content) if ending else content)
    valid = gzip.compress(PARTS[which]) if packed == "outside" else PARTS[which]
    content = data.draw(damaged(valid))
    (tmp_path / f"train-{which}{ending}").write_bytes(gzip.compress(content) if packed == "inside" else content)
    answer(lambda: read_idx_folder(tmp_path, (28, 28, 1), 10), DataError)


def test_a_gzip_is_unpacked_no_further_than_its_header_says(tmp_path, monkeypatch):
    for part in ("train", "t10k"):
        for name, content in PARTS.items():
            (tmp_path / f"{part}-{name}.gz").write_bytes(gzip.compress(content))
    bomb, read = gzip.compress(PARTS["images-idx3-ubyte"] + bytes(2**26)), []
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(bomb)
    unpack = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda file, size=-1: read.append(size) or unpack(file, size))
    assert answer(lambda: read_idx_folder(tmp_path, (28, 28, 1), 10), DataError) is None
    assert read == [16, GREY.size + 1]


RECORDS = (np.arange(2 * 3073) % 10).astype(np.uint8).tobytes()


@given(damaged(RECORDS))
def test_a_damaged_cifar_file(tmp_path, content):
    for number in range(1, 6):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(RECORDS)
    (tmp_path / "test_batch.bin").write_bytes(RECORDS)
    (tmp_path / "data_batch_3.bin").write_bytes(content)
    answer(lambda: read_cifar_binary_folder(tmp_path, (32, 32, 3), 10), DataError)
    (tmp_path / "train.bin").write_bytes(content)
    (tmp_path / "test.bin").write_bytes(content)
    answer(lambda: read_cifar100_binary_folder(tmp_path, (32, 32, 3), 100), DataError)


def test_a_pickle_in_the_place_of_cifar_is_not_loaded(tmp_path):
    marker, folder = tmp_path / "ran", tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"):
        (folder / name).write_bytes(hostile_pickle(marker))
    assert answer(lambda: load_dataset("cifar10", root=tmp_path), DataError) is None
    assert not marker.exists()


NAMES = "file label split train test a/1.png b/1.png ../../etc/passwd /dev/zero /proc/self/mem é"
CSV_CELLS = st.sampled_from([*NAMES.split(), "", " ", '"', "\x00", "a\nb"]) | st.text(max_size=4)


@given(st.lists(st.lists(CSV_CELLS, min_size=1, max_size=4).map(",".join), max_size=6).map("\n".join))
def test_any_list_of_files(tmp_path, text):
    for part in ("a", "b"):
        (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / part / "1.png").write_bytes(ENCODED["png"])
    csv = tmp_path / "list.csv"
    csv.write_text(text, encoding="utf-8", errors="surrogateescape")
    answer(lambda: load_dataset(f"folder:{csv}", size=SIDE, cache=tmp_path / "cache"), DataError)


def test_a_list_that_names_a_device_does_not_hang(tmp_path):
    (tmp_path / "good.png").write_bytes(ENCODED["png"])
    csv = Path(tmp_path, "list.csv")
    csv.write_text("file,label\n/dev/zero,a\ngood.png,b\n/dev/tty,b\n")
    assert answer(lambda: load_dataset(f"folder:{csv}", size=SIDE, cache=tmp_path / "cache"), DataError) is None
