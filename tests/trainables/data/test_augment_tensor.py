"""Augmentation by torch against the one by OpenCV and NumPy: the same bytes, on whatever device."""

import numpy as np
import pytest
import torch

from taurank.trainables.data import Augmentation, DataError, augment, normalise
from taurank.trainables.data.augment_tensor import augment_tensor, normalise_tensor


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(),
        Augmentation(crop=3),
        Augmentation(flip=True),
        Augmentation(cutout=4),
        Augmentation(cutout=5),
        Augmentation(crop=2, flip=True, cutout=5),
    ],
)
@pytest.mark.parametrize("shape", [(40, 12, 9, 1), (40, 9, 12, 3), (1, 8, 8, 3)])
def test_the_same_bytes_and_the_same_draws(augmentation, shape):
    images = np.random.default_rng(0).integers(1, 256, shape, dtype=np.uint8)
    one, other = np.random.default_rng(7), np.random.default_rng(7)
    tensor = torch.from_numpy(images)
    found = augment_tensor(tensor, augmentation, one)
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.numpy(), augment(images, augmentation, other))
    assert one.random() == other.random()
    np.testing.assert_array_equal(tensor.numpy(), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_floats(channels):
    images = np.random.default_rng(0).integers(0, 256, (5, 6, 7, channels), dtype=np.uint8)
    mean, std = (100.5, 3.0, 200.25)[:channels], (50.0, 0.5, 70.0)[:channels]
    found = normalise_tensor(torch.from_numpy(images), mean, std)
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), normalise(images, mean, std))


def test_what_could_erase_an_image_is_refused():
    with pytest.raises(DataError, match="crop is 8"):
        augment_tensor(torch.zeros(1, 8, 10, 3, dtype=torch.uint8), Augmentation(crop=8), np.random.default_rng(0))
