"""Parts of the benchmarks of ImageNet that can be wrong without a sign of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.real_lists import short_recipes
from benchmarks.system import synthetic_ilsvrc
from taurank.trainables.data import Dataset, ImageSet
from taurank.trainables.training import Recipe


@pytest.fixture
def small_cifar(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    images = ImageSet(generator.integers(0, 256, (40, 32, 32, 3), np.uint8), np.arange(40) % 10)
    dataset = Dataset("cifar10", images, images, tuple("0123456789"))
    monkeypatch.setattr(synthetic_ilsvrc, "load_dataset", lambda _: dataset)
    monkeypatch.setattr(synthetic_ilsvrc, "FIELDS", 1)


@pytest.mark.usefixtures("small_cifar")
def test_an_interrupted_folder_of_synthetic_images_is_continued(tmp_path: Path) -> None:
    assert synthetic_ilsvrc.write_layout(tmp_path, train=12, validation=2) == 14

    def digests() -> dict[str, str]:
        files = tmp_path.rglob("*.JPEG")
        return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    whole = digests()
    assert len(set(whole.values())) == len(whole) == 14
    for file in list(whole)[::5]:
        Path(file).unlink()
    assert synthetic_ilsvrc.write_layout(tmp_path, train=12, validation=2) == 3
    assert digests() == whole
    for file in whole:
        height, width = cv2.imread(file).shape[:2]
        assert 400 <= min(height, width) <= max(height, width) <= 500
    assert len(list((tmp_path / "train").iterdir())) == 12  # one class after the other


def test_ways_of_weakening_differ_in_strength_only() -> None:
    full = short_recipes.strong(Recipe(epochs=40))
    recipes = {way: short_recipes.weakened(full, 4, power) for way, power in short_recipes.POWERS.items()}
    assert recipes["square root"] == full.of_length(4)
    assert {(recipe.epochs, recipe.warmup_epochs) for recipe in recipes.values()} == {(4, 0.4)}
    found = [
        (recipe.mixup and recipe.mix_share, recipe.augmentation.policy_share, recipe.augmentation.erasing)
        for recipe in recipes.values()
    ]
    root = np.sqrt(0.1)
    wanted = [(1, 0.5, 0.25), (root, 0.5 * root, 0.25 * root), (0.1, 0.05, 0.025), (0, 0, 0)]
    np.testing.assert_allclose(found, wanted)
