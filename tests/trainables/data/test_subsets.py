"""Less data: how images are chosen, and smaller ones."""

from dataclasses import replace

import numpy as np
import pytest

from taurank.trainables.data import DataError, ImageSet, choose_images, less_data
from taurank.trainables.data.subsets import k_center


def spread(counts, seed=0):
    """Images of noise, so many of each class, shuffled."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    return ImageSet(generator.integers(0, 256, (len(labels), 6, 6, 3), dtype=np.uint8), labels)


IMAGES = spread([40, 80, 20])
LOSSES = np.random.default_rng(1).exponential(size=len(IMAGES))


@pytest.mark.parametrize("by", ["stratified", "k-center", "difficulty"])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_every_class_keeps_its_share(by, share):
    chosen = choose_images(IMAGES, share, by=by, seed=3, losses=LOSSES)
    assert len(set(chosen.tolist())) == len(chosen) == round(share * len(IMAGES))
    assert (np.diff(chosen) > 0).all()
    counts = np.bincount(IMAGES.labels[chosen], minlength=3)
    assert (np.abs(counts - share * np.array([40, 80, 20])) < 1).all()


@pytest.mark.parametrize("by", ["stratified", "difficulty"])
def test_the_seed_decides_alone(by):
    def chosen(seed):
        return choose_images(IMAGES, 0.3, by=by, seed=seed, losses=LOSSES).tolist()

    assert chosen(1) == chosen(1) != chosen(2)


def test_k_center_does_not_depend_on_the_seed_where_nothing_is_rounded():
    chosen = [choose_images(IMAGES, 0.25, by="k-center", seed=seed).tolist() for seed in (1, 2)]
    assert chosen[0] == chosen[1]


def test_k_center_on_a_line():
    line = np.array([[0.0], [1.0], [5.0], [6.0], [10.0]], np.float32)
    # The one nearest to the mean 4.4 is 5; the farthest from it are 0 and 10, and the first of equals is taken.
    assert k_center(line, 5).tolist() == [2, 0, 4, 1, 3]


def test_k_center_covers_twice_as_badly_as_the_best_at_most():
    generator = np.random.default_rng(0)
    points = generator.standard_normal((12, 2)).astype(np.float32)

    def radius(chosen):
        return np.sqrt(((points[:, None] - points[None, list(chosen)]) ** 2).sum(2)).min(1).max()

    from itertools import combinations

    best = min(radius(chosen) for chosen in combinations(range(12), 3))
    assert radius(k_center(points, 3)) <= 2 * best


def test_k_center_takes_equal_images_once_each():
    same = np.ones((5, 3), np.float32)
    assert sorted(k_center(same, 5).tolist()) == [0, 1, 2, 3, 4]


def test_k_center_finds_the_odd_one_out():
    pixels = np.full((50, 8, 8, 1), 100, np.uint8)
    pixels[17] = 255
    images = ImageSet(pixels, np.zeros(50, np.int64))
    assert 17 in choose_images(images, 0.04, by="k-center")


def test_difficulty_takes_easy_middling_and_hard_ones_alike():
    # 900 easy images, 90 middling, 10 hard: each loss is a bin of its own and has a third of the probability.
    losses = np.repeat([0.0, 1.0, 2.0], [900, 90, 10])
    images = ImageSet(np.zeros((1000, 2, 2, 1), np.uint8), np.zeros(1000, np.int64))
    found = np.array(
        [np.bincount(losses[choose_images(images, 0.015, by="difficulty", seed=seed, losses=losses)].astype(int))
         for seed in range(100)]
    )  # fmt: skip
    # Fifteen draws, five of each kind; the ten hard ones run out a little, since none is taken twice.
    assert found.mean(0) == pytest.approx([5.3, 5.2, 4.5], abs=0.6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"share": 0.0}, r"share is 0\.0; it has to be above 0 and at most 1"),
        ({"share": 1.5}, r"share is 1\.5"),
        ({"share": 0.5, "by": "random"}, "by is 'random'; it has to be one of stratified, k-center, difficulty"),
        ({"share": 0.5, "by": "difficulty"}, "it needs one finite loss for each image"),
        ({"share": 0.5, "by": "difficulty", "losses": LOSSES[1:]}, "one finite loss for each image"),
        ({"share": 0.5, "by": "difficulty", "losses": np.full(140, np.nan)}, "one finite loss for each image"),
    ],
)
def test_what_cannot_be_chosen_so_is_refused(arguments, said):
    with pytest.raises(DataError, match=said):
        choose_images(IMAGES, **arguments)


def test_at_least_two_images_are_chosen_and_never_more_than_there_are():
    assert len(choose_images(IMAGES, 0.001)) == 2
    assert len(choose_images(IMAGES.take(np.arange(1)), 0.5)) == 1
    assert choose_images(IMAGES, 1.0).tolist() == list(range(140))


def test_less_data_leaves_what_is_looked_at(digits):
    less = less_data(digits, share=0.25, seed=1)
    assert len(less.train) == 80
    assert less.validation is digits.validation
    assert less.test is digits.test
    assert (less.mean, less.std, less.classes) == (digits.mean, digits.std, digits.classes)
    whole = {image.tobytes() for image in digits.train.images}
    assert {image.tobytes() for image in less.train.images} <= whole
    assert less_data(digits) is digits


def test_smaller_images_everywhere(digits):
    less = less_data(digits, resolution=0.5)
    assert less.input_shape == (1, 4, 4)
    for part in ("train", "validation", "test"):
        assert getattr(less, part).images.shape == (len(getattr(digits, part)), 4, 4, 1)
        np.testing.assert_array_equal(getattr(less, part).labels, getattr(digits, part).labels)
    # Each pixel is the mean of four, rounded.
    four = digits.train.images[0, :2, 2:4].astype(float).mean()
    assert less.train.images[0, 0, 1, 0] == pytest.approx(four, abs=0.51)


def test_the_test_images_stay_the_validation_images_where_they_are(digits):
    less = less_data(replace(digits, test=digits.validation), resolution=0.5)
    assert less.test is less.validation


def test_too_small_images_are_refused(digits):
    with pytest.raises(DataError, match=r"resolution is 0\.3, which leaves 2 of 8 pixels a side; at least 4"):
        less_data(digits, resolution=0.3)


# --- some of the classes


def test_all_images_of_as_many_classes_as_come_nearest_to_the_share():
    images = spread([30, 30, 30, 30, 30, 30, 30, 30, 30, 30])
    chosen = choose_images(images, 0.3, by="classes", seed=1)
    assert np.bincount(images.labels[chosen], minlength=10).tolist().count(30) == 3
    assert len(chosen) == 90
    assert (np.diff(chosen) > 0).all()
    assert chosen.tolist() == choose_images(images, 0.3, by="classes", seed=1).tolist()
    drawn = {tuple(np.unique(images.labels[choose_images(images, 0.3, by="classes", seed=s)])) for s in range(20)}
    assert len(drawn) > 5


def test_unequal_classes_come_near_to_the_share_of_the_images():
    images = spread([5, 10, 20, 40, 80, 5, 10, 20, 40, 80])
    shares = [len(choose_images(images, 0.5, by="classes", seed=seed)) / len(images) for seed in range(20)]
    assert np.abs(np.array(shares) - 0.5).max() <= 40 / 310  # half of the largest class at most
    assert len(np.unique(images.labels[choose_images(images, 0.01, by="classes")])) == 2


def test_fewer_classes_leave_validation_and_test_too(digits):
    less = less_data(digits, share=0.3, by="classes", seed=2)
    assert len(less.classes) == 3
    for part, whole in ((less.train, digits.train), (less.validation, digits.validation), (less.test, digits.test)):
        old = np.array([digits.classes.index(name) for name in less.classes])
        kept = np.isin(whole.labels, old)
        np.testing.assert_array_equal(part.images[:], whole.images[kept])
        np.testing.assert_array_equal(old[part.labels], whole.labels[kept])
    assert (less.mean, less.std) == (digits.mean, digits.std)


def test_no_class_without_validation_images(digits):
    none = replace(digits, validation=digits.validation.part(np.array([], np.intp)))
    with pytest.raises(DataError, match="of which no validation image is left; take more"):
        less_data(none, share=0.2, by="classes")
