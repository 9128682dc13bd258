"""Mini-batches: every image once, with its label, scaled, shuffled by the generator alone."""

import numpy as np
import pytest
import torch

from taurank.trainables.data import Augmentation, DataError, ImageSet, augment, iterate_batches, normalise


def image_set(n, channels=1):
    images = np.zeros((n, 4, 4, channels), np.uint8)
    images[...] = np.arange(n).reshape(n, 1, 1, 1)
    return ImageSet(images, np.arange(n, dtype=np.int64))


def batches(images, batch_size, *, seed=None, **changed):
    channels = images.images.shape[3]
    arguments = {"augmentation": None, "mean": [0.0] * channels, "std": [1.0] * channels} | changed
    generator = None if seed is None else np.random.default_rng(seed)
    return list(iterate_batches(images, batch_size=batch_size, generator=generator, **arguments))


def sizes(found):
    return [len(labels) for _, labels in found]


@pytest.mark.parametrize("seed", [None, 0])
def test_types_shapes_and_labels_beside_their_images(seed):
    for pixels, labels in batches(image_set(10, channels=3), 4, seed=seed):
        assert pixels.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert pixels.shape == (len(labels), 3, 4, 4)
        assert pixels.is_contiguous()
        assert (pixels == labels.reshape(-1, 1, 1, 1)).all()


@pytest.mark.parametrize(
    ("n", "batch_size", "expected"),
    [
        (12, 4, [4, 4, 4]),
        (11, 4, [4, 4, 3]),
        (9, 4, [4, 5]),  # the single image is joined to the batch before
        (5, 4, [5]),
        (4, 4, [4]),
        (3, 4, [3]),
        (1, 4, [1]),  # there is nothing to join it to
        (3, 1, [1, 1, 1]),
    ],
)
@pytest.mark.parametrize("seed", [None, 3])
def test_sizes_and_every_image_once(n, batch_size, expected, seed):
    found = batches(image_set(n), batch_size, seed=seed)
    assert sizes(found) == expected
    assert sorted(torch.cat([labels for _, labels in found]).tolist()) == list(range(n))


@pytest.mark.parametrize(("n", "expected"), [(12, [4, 4, 4]), (11, [4, 4]), (9, [4, 4]), (3, [])])
def test_drop_last_leaves_out_a_smaller_batch(n, expected):
    assert sizes(batches(image_set(n), 4, drop_last=True)) == expected


def test_no_generator_keeps_the_order_and_a_generator_shuffles():
    def order(seed):
        return torch.cat([labels for _, labels in batches(image_set(50), 8, seed=seed)]).tolist()

    assert order(None) == list(range(50))
    assert order(1) == order(1)
    assert order(1) != order(2)
    assert order(1) != order(None)


def test_a_second_pass_with_the_same_generator_has_another_order():
    generator = np.random.default_rng(0)
    passes = [
        torch.cat(
            [
                labels
                for _, labels in iterate_batches(
                    image_set(50), batch_size=8, generator=generator, augmentation=None, mean=[0.0], std=[1.0]
                )
            ]
        ).tolist()
        for _ in range(2)
    ]
    assert passes[0] != passes[1]


def test_normalised_pixels():
    ((pixels, _),) = batches(image_set(3), 4, mean=[1.0], std=[0.5])
    assert pixels[:, 0, 0, 0].tolist() == [-2.0, 0.0, 2.0]


def test_unit_scaling_is_pixel_over_255_whatever_the_mean():
    images = ImageSet(np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1), np.zeros(3, np.int64))
    ((pixels, _),) = batches(images, 4, mean=[7.0], std=[3.0], scaling="unit")
    assert pixels.ravel().tolist() == [0.0, np.float32(0.2), 1.0]


def test_augmented_batches_are_those_of_augment_in_the_shuffled_order():
    images = ImageSet(
        np.random.default_rng(5).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8), np.arange(6, dtype=np.int64)
    )
    augmentation = Augmentation(crop=2, flip=True, cutout=3)
    found = batches(images, 3, seed=11, augmentation=augmentation)
    generator = np.random.default_rng(11)
    order = generator.permutation(6)
    for (pixels, labels), chosen in zip(found, (order[:3], order[3:]), strict=True):
        changed = augment(images.images[chosen], augmentation, generator)
        assert labels.tolist() == chosen.tolist()
        np.testing.assert_array_equal(pixels.numpy(), normalise(changed, [0.0] * 3, [1.0] * 3))


def test_batches_are_copies():
    images = image_set(4)
    images.images.flags.writeable = False
    images.labels.flags.writeable = False
    for pixels, labels in batches(images, 2):
        pixels.fill_(9)
        labels.fill_(9)
    assert images.labels.tolist() == [0, 1, 2, 3]
    assert images.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("batch_size", "changed", "said"),
    [
        (0, {}, "batch_size is 0; it has to be at least 1"),
        (4, {"augmentation": Augmentation(flip=True)}, "augmentation is given without a generator"),
        (4, {"scaling": "standard"}, "scaling is 'standard'; it has to be 'normalise' or 'unit'"),
    ],
)
def test_bad_arguments_are_refused_at_the_call_and_not_at_the_first_batch(batch_size, changed, said):
    arguments = {"generator": None, "augmentation": None, "mean": [0.0], "std": [1.0]} | changed
    with pytest.raises(DataError, match=said):
        iterate_batches(image_set(3), batch_size=batch_size, **arguments)


def test_an_augmentation_that_changes_nothing_needs_no_generator():
    assert sizes(batches(image_set(4), 2, augmentation=Augmentation())) == [2, 2]


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (
            np.zeros((2, 4, 4), np.uint8),
            np.zeros(2, np.int64),
            r"images: needs uint8 \(n, H, W, C\), got uint8 \(2, 4, 4",
        ),
        (np.zeros((2, 4, 4, 1)), np.zeros(2, np.int64), "got float64"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int32), r"labels: needs int64 \(n,\), got int32 \(2,\)"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int64), "2 images, but 3 labels"),
    ],
)
def test_an_image_set_of_another_kind_is_refused(images, labels, said):
    with pytest.raises(DataError, match=said):
        ImageSet(images, labels)
