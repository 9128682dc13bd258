"""Splits: disjoint, stratified, of the size asked for, the same for the same seed."""

import cv2
import numpy as np
import pytest

from taurank.trainables.data import DataError, Dataset, make_splits
from taurank.trainables.data.image_set import ImageSet
from taurank.trainables.data.splits import stratified_indices

COUNTS = (50, 31, 7, 112)


def numbered(n, classes=4, *, first=0, labels=None):
    """Images of 4 x 4, n of them; image i carries the number first + i in its first two pixels."""
    images = np.zeros((n, 4, 4, 1), np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = np.divmod(np.arange(first, first + n), 256)
    return images, np.arange(n, dtype=np.int64) % classes if labels is None else labels


def numbers(part):
    return (part.images[:, 0, 0, 0].astype(int) * 256 + part.images[:, 0, 1, 0]).tolist()


def uneven(seed=0):
    labels = np.repeat(np.arange(len(COUNTS)), COUNTS).astype(np.int64)
    return np.random.default_rng(seed).permutation(labels)


@pytest.fixture
def without_test():
    images, labels = numbered(200, labels=uneven())
    return Dataset("small", ImageSet(images, labels), None, tuple("abcd"))


@pytest.fixture
def with_test():
    images, labels = numbered(200)
    return Dataset("official", ImageSet(images, labels), ImageSet(*numbered(80, first=1000)), tuple("abcd"))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [(20, 40, 140), (1, 1, 1), (3, 150, 47), (0, 100, 50), (200,)])
def test_indices_are_disjoint_ascending_and_as_many_as_asked(seed, sizes):
    parts = stratified_indices(uneven(), sizes, np.random.default_rng(seed))
    assert tuple(len(part) for part in parts) == sizes
    assert all((np.diff(part) > 0).all() for part in parts)
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    assert set(together.tolist()) <= set(range(200))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sizes", [(20, 40, 140), (1, 1, 1), (3, 150, 47), (0, 100, 50)])
def test_every_cut_takes_its_share_of_every_class_to_within_one_image(seed, sizes):
    labels = uneven()
    left = np.bincount(labels)
    for part in stratified_indices(labels, sizes, np.random.default_rng(seed)):
        taken = np.bincount(labels[part], minlength=4)
        assert (np.abs(taken - left * len(part) / left.sum()) < 1).all()
        left = left - taken


def test_equal_classes_are_rounded_up_by_lot_and_not_in_order():
    labels = np.arange(100) % 10
    rounded_up = np.zeros(10)
    for seed in range(200):
        (part,) = stratified_indices(labels, [5], np.random.default_rng(seed))
        rounded_up += np.bincount(labels[part], minlength=10)
    assert rounded_up.sum() == 1000
    assert (np.abs(rounded_up - 100) < 5 * np.sqrt(200 * 0.25)).all()


def test_every_image_is_as_likely_as_any_other_of_its_class():
    labels = np.zeros(10, np.int64)
    drawn = np.zeros(10)
    for seed in range(400):
        drawn[stratified_indices(labels, [4], np.random.default_rng(seed))[0]] += 1
    assert (np.abs(drawn - 160) < 5 * np.sqrt(400 * 0.24)).all()


def test_labels_stay_with_their_images(without_test):
    data = make_splits(without_test, seed=3, validation=0.2, test=30, train=90)
    assert (len(data.train), len(data.validation), len(data.test)) == (90, 40, 30)
    for part in (data.train, data.validation, data.test):
        assert part.labels.tolist() == without_test.train.labels[numbers(part)].tolist()
    everything = numbers(data.train) + numbers(data.validation) + numbers(data.test)
    assert len(set(everything)) == 160


def test_fractions_are_of_all_training_images(without_test):
    data = make_splits(without_test, seed=0, validation=0.25, test=0.5)
    assert (len(data.train), len(data.validation), len(data.test)) == (50, 50, 100)


def test_the_same_seed_gives_the_same_split_and_another_seed_another(without_test):
    first, again, other = (make_splits(without_test, seed=s, validation=40, test=40) for s in (7, 7, 8))
    for part in ("train", "validation", "test"):
        assert numbers(getattr(first, part)) == numbers(getattr(again, part))
        assert numbers(getattr(first, part)) != numbers(getattr(other, part))


def test_the_test_images_do_not_depend_on_the_other_sizes(without_test):
    one = make_splits(without_test, seed=5, validation=10, test=40)
    two = make_splits(without_test, seed=5, validation=100, test=40, train=20)
    assert numbers(one.test) == numbers(two.test)


def test_the_official_test_set_is_used_whole(with_test):
    data = make_splits(with_test, seed=0, validation=50, test=None)
    assert numbers(data.test) == list(range(1000, 1080))
    assert (len(data.train), len(data.validation)) == (150, 50)


@pytest.mark.parametrize(("test", "expected"), [(20, 20), (0.5, 40), (80, 80), (1.0, 80)])
def test_the_official_test_set_can_be_limited_without_moving_the_rest(with_test, test, expected):
    whole = make_splits(with_test, seed=0, validation=50, test=None)
    data = make_splits(with_test, seed=0, validation=50, test=test)
    assert len(data.test) == expected
    assert min(numbers(data.test)) >= 1000
    assert np.bincount(data.test.labels).tolist() == [expected // 4] * 4
    assert numbers(data.validation) == numbers(whole.validation)
    assert numbers(data.train) == numbers(whole.train)


def test_a_limited_official_test_set_does_not_depend_on_the_other_sizes(with_test):
    one = make_splits(with_test, seed=5, validation=10, test=40)
    two = make_splits(with_test, seed=5, validation=100, test=40, train=20)
    assert numbers(one.test) == numbers(two.test)
    assert numbers(one.test) != numbers(make_splits(with_test, seed=6, validation=10, test=40).test)


def test_evaluating_on_the_training_images_gives_the_very_same_set(with_test):
    data = make_splits(with_test, seed=0, validation=0.2, test=None, evaluate_on="training")
    assert numbers(data.train) == list(range(200))
    assert data.validation is data.train
    assert data.test is data.train
    limited = make_splits(with_test, seed=0, validation=0.2, test=None, train=40, size=8, evaluate_on="training")
    assert np.bincount(limited.train.labels).tolist() == [10] * 4
    assert limited.test is limited.train
    assert limited.input_shape == (1, 8, 8)


def test_mean_and_deviation_are_those_of_the_training_images_alone():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 5, 7, 3), dtype=np.uint8)
    images[..., 1] //= 4
    dataset = Dataset("colour", ImageSet(images, np.arange(60) % 3), None, tuple("abc"))
    data = make_splits(dataset, seed=1, validation=15, test=15)
    pixels = data.train.images.astype(np.float64)
    assert data.mean == pytest.approx(pixels.mean((0, 1, 2)))
    assert data.std == pytest.approx(pixels.std((0, 1, 2)))
    assert data.mean != pytest.approx(images.mean((0, 1, 2)))
    assert data.input_shape == (3, 5, 7)
    assert data.classes == ("a", "b", "c")


def test_a_channel_that_never_changes_has_deviation_one():
    dataset = Dataset("black", ImageSet(np.full((30, 4, 4, 1), 9, np.uint8), np.arange(30) % 2), None, ("a", "b"))
    data = make_splits(dataset, seed=0, validation=10, test=10)
    assert data.mean == (9.0,)
    assert data.std == (1.0,)


def test_shrinking_averages_areas():
    images = np.random.default_rng(0).integers(0, 256, (12, 12, 12, 3), dtype=np.uint8)
    dataset = Dataset("colour", ImageSet(images, np.arange(12) % 2), None, ("a", "b"))
    data = make_splits(dataset, seed=0, validation=4, test=4, size=4)
    whole = make_splits(dataset, seed=0, validation=4, test=4)
    averages = whole.test.images.reshape(4, 4, 3, 4, 3, 3).mean((2, 4))
    assert np.abs(data.test.images - averages).max() <= 0.5
    assert data.input_shape == (3, 4, 4)
    assert data.train.images.shape == (4, 4, 4, 3)


def test_enlarging_interpolates_linearly(without_test):
    data = make_splits(without_test, seed=0, validation=4, test=4, size=9)
    whole = make_splits(without_test, seed=0, validation=4, test=4)
    expected = cv2.resize(whole.test.images[2], (9, 9), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(data.test.images[2, :, :, 0], expected)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"validation": 201, "test": 1}, "validation is 201 images; small has 199 available"),
        ({"validation": 0, "test": 10}, "validation is 0 images; small has 190 available"),
        ({"validation": -5, "test": 10}, "validation is -5 images"),
        ({"validation": 0.001, "test": 10}, r"validation is 0\.001 \(0 images\)"),
        ({"validation": 1.5, "test": 10}, r"validation is 1\.5; a fraction has to be above 0 and at most 1"),
        ({"validation": float("nan"), "test": 10}, "validation is nan; a fraction"),
        ({"validation": True, "test": 10}, "validation is True; it has to be a fraction"),
        ({"validation": 0.5, "test": 0.5}, "train is left with 0 images: test and validation take all 200 of small"),
        ({"validation": 50, "test": 50, "train": 101}, "train is 101 images; small has 100 available"),
        ({"validation": 50, "test": 50, "train": 0}, "train is 0 images"),
        ({"validation": 50, "test": None}, "data.test is not given, and small has no official test set"),
        ({"validation": 50, "test": 50, "size": 0}, "size is 0; it has to be at least 1 pixel"),
        ({"validation": 50, "test": 50, "seed": -1}, "seed is -1"),
        ({"validation": 50, "test": 50, "evaluate_on": "validation"}, "evaluate_on is 'validation'"),
    ],
)
def test_sizes_that_cannot_be_had_are_named(without_test, sizes, said):
    with pytest.raises(DataError, match=said):
        make_splits(without_test, **{"seed": 0, **sizes})


def test_too_many_official_test_images_are_refused(with_test):
    with pytest.raises(DataError, match="test is 81 images; official has 80 available"):
        make_splits(with_test, seed=0, validation=50, test=81)
