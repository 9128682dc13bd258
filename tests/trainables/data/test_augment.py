"""Augmentation against its closed forms, and normalisation."""

import numpy as np
import pytest

from taurank.trainables.data import Augmentation, DataError, augment, normalise


def rng(seed=0):
    return np.random.default_rng(seed)


def pictures(n=64, height=12, width=12, channels=3, low=1):
    """Without black pixels, so that black can only come from padding or cutout."""
    return rng(99).integers(low, 256, (n, height, width, channels), dtype=np.uint8)


EVERYTHING = Augmentation(crop=2, flip=True, cutout=5)


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(crop=3), Augmentation(flip=True), EVERYTHING])
@pytest.mark.parametrize("shape", [(8, 12, 9, 1), (8, 9, 12, 3), (1, 8, 8, 3)])
def test_shape_and_type_stay_and_the_input_is_untouched(augmentation, shape):
    images = rng().integers(0, 256, shape, dtype=np.uint8)
    before = images.copy()
    images.flags.writeable = False  # as arrays are that come from shared memory
    result = augment(images, augmentation, rng())
    assert result.shape == shape
    assert result.dtype == np.uint8
    assert not np.shares_memory(result, images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("augmentation", [Augmentation(crop=3), Augmentation(flip=True), Augmentation(cutout=4)])
def test_the_generator_decides_alone(augmentation):
    images = pictures()
    first = augment(images, augmentation, rng(1))
    np.testing.assert_array_equal(first, augment(images, augmentation, rng(1)))
    assert (first != augment(images, augmentation, rng(2))).any()


def test_the_default_changes_nothing_and_draws_nothing():
    images, generator = pictures(), rng()
    np.testing.assert_array_equal(augment(images, Augmentation(), generator), images)
    assert generator.random() == rng().random()
    assert not Augmentation()
    assert all((Augmentation(crop=1), Augmentation(flip=True), Augmentation(cutout=1)))


def test_a_crop_is_a_window_of_the_padded_image_and_every_window_occurs():
    images, margin = pictures(n=2000, height=6, width=7), 2
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    found = np.zeros((5, 5))
    for result, canvas in zip(augment(images, Augmentation(crop=margin), rng()), padded, strict=True):
        matches = [
            (top, left)
            for top in range(5)
            for left in range(5)
            if (canvas[top : top + 6, left : left + 7] == result).all()
        ]
        assert len(matches) == 1
        found[matches[0]] += 1
    assert (np.abs(found - 80) < 5 * np.sqrt(80)).all()  # uniform over the 25 windows


def test_a_flip_mirrors_the_columns_of_about_half_of_the_images():
    images = pictures(n=1000, height=4, width=5)
    flipped = augment(images, Augmentation(flip=True), rng())
    mirrored = (flipped == images[:, :, ::-1]).all((1, 2, 3))
    same = (flipped == images).all((1, 2, 3))
    assert (mirrored ^ same).all()
    assert abs(mirrored.sum() - 500) < 5 * np.sqrt(250)


def test_two_equal_flips_are_the_identity():
    images = pictures()
    once = augment(images, Augmentation(flip=True), rng(4))
    assert (once != images).any()
    np.testing.assert_array_equal(augment(once, Augmentation(flip=True), rng(4)), images)


@pytest.mark.parametrize("side", [1, 4, 5])
def test_cutout_blackens_one_square_clipped_at_the_border(side):
    images = pictures(n=2000)
    result = augment(images, Augmentation(cutout=side), rng())
    black = (result == 0).all(3)
    np.testing.assert_array_equal(np.where(black[..., None], images, result), images)  # nothing else changes
    heights, widths = black.any(2).sum(1), black.any(1).sum(1)
    np.testing.assert_array_equal(black.sum((1, 2)), heights * widths)  # a rectangle
    assert heights.max() == widths.max() == side
    assert heights.min() == widths.min() == (side + 1) // 2  # the centre is always inside
    whole = (heights == side) & (widths == side)
    share = ((12 - side + 1) / 12) ** 2  # the centre is uniform over the pixels
    assert abs(whole.mean() - share) < 5 * np.sqrt(share * (1 - share) / 2000) + 1e-12


def test_crop_comes_before_flip_comes_before_cutout():
    images = pictures()
    generator = rng(8)
    by_hand = images
    for step in (Augmentation(crop=2), Augmentation(flip=True), Augmentation(cutout=5)):
        by_hand = augment(by_hand, step, generator)
    np.testing.assert_array_equal(augment(images, EVERYTHING, rng(8)), by_hand)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"crop": -1}, "crop is -1; it has to be a number of pixels"),
        ({"cutout": 2.5}, r"cutout is 2\.5"),
        ({"crop": True}, "crop is True"),
        ({"flip": 1}, "flip is 1; it has to be true or false"),
    ],
)
def test_bad_fields_are_named(fields, said):
    with pytest.raises(DataError, match=said):
        Augmentation(**fields)


@pytest.mark.parametrize("field", ["crop", "cutout"])
def test_what_could_erase_an_image_is_refused(field):
    images = pictures(height=8, width=10)
    augment(images, Augmentation(**{field: 7}), rng())
    with pytest.raises(DataError, match=f"{field} is 8; it has to be smaller than the images, which are 8 x 10"):
        augment(images, Augmentation(**{field: 8}), rng())


@pytest.mark.parametrize("channels", [1, 3])
def test_normalise_is_pixel_minus_mean_over_deviation_channels_first(channels):
    images = pictures(n=5, height=6, width=7, channels=channels, low=0)
    images.flags.writeable = False
    mean, std = (100.5, 3.0, 200.25)[:channels], (50.0, 0.5, 70.0)[:channels]
    result = normalise(images, mean, std)
    assert result.shape == (5, channels, 6, 7)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    expected = ((images.astype(np.float64) - mean) / std).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(result, expected.astype(np.float32))


def test_normalise_constants():
    image = np.array([0, 51, 255], np.uint8).reshape(1, 1, 3, 1)
    assert normalise(image, [0.0], [255.0]).ravel().tolist() == [0.0, np.float32(0.2), 1.0]
    assert normalise(image, [51.0], [2.0]).ravel().tolist() == [-25.5, 0.0, 102.0]


@pytest.mark.parametrize(("mean", "std"), [([0.0], [1.0]), ([0.0] * 3, [1.0, 0.0, 1.0]), ([0.0] * 3, [1.0] * 4)])
def test_normalise_refuses_other_than_one_value_a_channel(mean, std):
    with pytest.raises(DataError, match="one value for each of 3 channels, std above 0"):
        normalise(pictures(n=1), mean, std)
