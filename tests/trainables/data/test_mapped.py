"""Images that stay in their file."""

import pickle

import numpy as np
import pytest

from taurank.trainables.data import ImageSet, resize_images
from taurank.trainables.data.mapped import MappedImages

PIXELS = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 3), dtype=np.uint8)


@pytest.fixture
def mapped(tmp_path):
    np.save(tmp_path / "images.npy", PIXELS)
    return MappedImages(tmp_path / "images.npy")


def test_it_answers_like_the_array(mapped):
    assert (len(mapped), mapped.shape, mapped.nbytes, mapped.ndim, mapped.dtype) == (
        50, (50, 6, 6, 3), PIXELS.nbytes, 4, np.uint8,
    )  # fmt: skip
    for index in (3, slice(4, 9), np.array([7, 7, 2])):
        np.testing.assert_array_equal(mapped[index], PIXELS[index])
    assert mapped[[1]].flags.writeable


def test_a_part_of_a_part_is_still_in_the_file(mapped):
    part = mapped.part(np.arange(10, 40)).part(np.array([5, 1]))
    assert isinstance(part, MappedImages)
    np.testing.assert_array_equal(part[:], PIXELS[[15, 11]])
    assert part.shape == (2, 6, 6, 3)


def test_only_the_name_travels(mapped):
    assert mapped.shape  # the file is open
    sent = pickle.dumps(mapped, protocol=5)
    assert len(sent) < 500
    np.testing.assert_array_equal(pickle.loads(sent)[:], PIXELS)
    assert len(pickle.dumps(mapped.part(np.arange(20)))) < 1000


def test_an_image_set_of_it(mapped):
    images = ImageSet(mapped, np.arange(50))
    np.testing.assert_array_equal(images.take(np.array([4, 2])).images, PIXELS[[4, 2]])
    assert isinstance(images.part(np.array([4, 2])).images, MappedImages)
    np.testing.assert_array_equal(resize_images(mapped, 3), resize_images(PIXELS, 3))
    assert resize_images(mapped, 6) is mapped
