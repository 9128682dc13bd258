"""What is known of a data set without reading it is what reading it finds."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from taurank.trainables.data import DataError, KnownImages, known_images, load_dataset, pack_images, published_images


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """7 training and 4 validation images of two synsets."""
    for part, count in (("train", 7), ("val", 4)):
        for place in range(count):
            file = tmp_path / "ilsvrc" / part / f"n0000000{place % 2}" / f"{place}.JPEG"
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), np.random.default_rng(place).integers(0, 255, (20, 30, 3), np.uint8))
    return tmp_path / "ilsvrc"


def test_published_sets() -> None:
    digits = load_dataset("digits")
    assert published_images("digits") == KnownImages(len(digits.train), 0, 0, 10, (1, 8, 8), as_published=True)
    assert known_images("cifar100", size=48) == KnownImages(50_000, 0, 10_000, 100, (3, 48, 48), as_published=True)


def test_imagenet_that_is_not_there_is_the_whole_of_it(tmp_path: Path) -> None:
    found = known_images(f"imagenet:{tmp_path}/nowhere", size=224)
    assert found == KnownImages(1_281_167, 0, 50_000, 1_000, (3, 224, 224), as_published=True)


def test_some_classes_of_imagenet_that_is_not_there(tmp_path: Path) -> None:
    """As if each had the same number of images."""
    wanted = KnownImages(128_117, 0, 5_000, 100, (3, 64, 64), as_published=True)
    assert known_images(f"imagenet:{tmp_path}/nowhere#100") == wanted
    assert known_images(f"imagenet:{tmp_path}/nowhere", classes=100) == wanted
    assert published_images("cifar10", classes=["cat", "dog"]) == KnownImages(10_000, 0, 2_000, 2, (3, 32, 32), True)


def test_some_classes_are_counted(imagenet: Path, tmp_path: Path) -> None:
    extra = imagenet / "train" / "n00000002" / "9.JPEG"
    extra.parent.mkdir()
    extra.write_bytes(next((imagenet / "train").rglob("*.JPEG")).read_bytes())
    pack_images(f"imagenet:{imagenet}", tmp_path / "file.packed")
    assert known_images(f"imagenet:{imagenet}").classes == 3
    for name in (f"imagenet:{imagenet}", f"packed:{tmp_path / 'file.packed'}"):
        found = known_images(f"{name}#2")
        assert (found.train, found.test, found.classes) == (7, 4, 2)
        assert known_images(name, classes=["n00000000", "n00000001"]) == found


@pytest.mark.parametrize("kind", ["imagenet", "folder", "packed"])
def test_own_images_are_counted(kind: str, imagenet: Path, tmp_path: Path) -> None:
    name = f"{kind}:{imagenet}"
    if kind == "packed":
        pack_images(f"imagenet:{imagenet}", tmp_path / "file.packed")
        name = f"packed:{tmp_path / 'file.packed'}"
    read = load_dataset(name, size=16, cache=tmp_path / "cache")
    found = known_images(name, size=16)
    validation, test = (0 if part is None else len(part) for part in (read.validation, read.test))
    assert (found.train, found.validation, found.test) == (len(read.train), validation, test) == (7, 0, 4)
    assert found.classes == len(read.classes) == 2
    assert found.shape == (3, 16, 16)
    assert not found.as_published


def test_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.arange(10 * 5 * 6, dtype=np.uint8).reshape(10, 5, 6), y=np.arange(10) % 2)
    found = known_images(f"npz:{tmp_path}/own.npz")
    assert found == KnownImages(10, 0, 0, 2, (1, 5, 6), as_published=False)


@pytest.mark.parametrize("kind", ["folder", "packed", "npz"])
def test_own_images_that_are_not_there(kind: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        known_images(f"{kind}:{tmp_path}/nowhere")
