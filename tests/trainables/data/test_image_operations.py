"""Crops, policies and jitter against torchvision's own transforms."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taurank.spaces import import_torchvision
from taurank.trainables.data import Augmentation, DataError, ImageSet, augment, iterate_batches
from taurank.trainables.data.augment_tensor import augment_tensor
from taurank.trainables.data.image_operations import (
    OPERATIONS,
    STRONGEST,
    apply_operation,
    centre_crops,
    resize_crops,
)

STRONG = {"policy": "randaugment", "magnitude": 20}


@pytest.fixture(scope="module")
def v2():
    import_torchvision()
    from torchvision.transforms import v2

    return v2


def photos(count=1, side=32, channels=3, seed=0):
    """Smooth images, which interpolation does not turn into noise: (count, side, side, channels)."""
    generator = np.random.default_rng(seed)
    small = torch.from_numpy(generator.uniform(0, 255, (count, channels, 6, 6)))
    large = torch.nn.functional.interpolate(small, (side, side), mode="bicubic").clamp(0, 255)
    return large.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_those_of_torchvision(v2, name, wide):
    """The same bytes at every strength and in both directions."""
    mode = v2.InterpolationMode.BILINEAR
    transform = (v2.TrivialAugmentWide if wide else v2.RandAugment)(interpolation=mode)
    strengths, signed = transform._AUGMENTATION_SPACE[name]
    images = torch.from_numpy(photos(2)).permute(0, 3, 1, 2)
    values = strengths(STRONGEST + 1, 32, 32)
    for strength in range(STRONGEST + 1):
        for negative in (False, True) if signed else (False,):
            value = 0.0 if values is None else float(values[strength]) * (-1 if negative else 1)
            fill = transform._fill
            wanted = transform._apply_image_or_video_transform(images, name, value, interpolation=mode, fill=fill)
            found = apply_operation(images, name, strength, negative, wide=wide)
            assert torch.equal(found, wanted), (strength, negative)


def test_all_operations_are_there(v2):
    assert list(OPERATIONS) == list(v2.RandAugment._AUGMENTATION_SPACE)
    assert list(OPERATIONS) == list(v2.TrivialAugmentWide._AUGMENTATION_SPACE)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Augmentation(**STRONG), lambda v2: v2.RandAugment(2, 20, interpolation=v2.InterpolationMode.BILINEAR)),
        (
            Augmentation(policy="trivialaugment"),
            lambda v2: v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR),
        ),
        (Augmentation(colour_jitter=0.4), lambda v2: v2.ColorJitter(0.4, 0.4, 0.4)),
        (Augmentation(flip=True, resized_crop=0.08), lambda v2: crop_and_flip(v2, "bilinear")),
        (
            Augmentation(flip=True, resized_crop=0.3, interpolation="bicubic"),
            lambda v2: crop_and_flip(v2, "bicubic", 0.3),
        ),
    ],
)
def test_images_have_the_mean_and_the_spread_of_torchvisions(v2, ours, theirs):
    """Of one image 1500 times: means and standard deviations of every pixel agree to within their own errors."""
    count, transform = 1500, theirs(v2)
    image = photos(1, side=16)
    found = augment(np.repeat(image, count, 0), ours, np.random.default_rng(0)).astype(np.float64)
    plane = torch.from_numpy(image[0]).permute(2, 0, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        wanted = torch.stack([transform(plane) for _ in range(count)]).permute(0, 2, 3, 1).double().numpy()
    error = np.sqrt((found.var(0) + wanted.var(0)) / count) + 0.05
    deviations = (found.mean(0) - wanted.mean(0)) / error
    # Neighbouring pixels go together, so that one deviation in hundreds may be as large as in a few.
    assert np.abs(deviations).max() < 4.5
    assert np.sqrt((deviations**2).mean()) < 2
    assert found.std() == pytest.approx(wanted.std(), rel=0.03)


def crop_and_flip(v2, interpolation, smallest=0.08):
    crop = v2.RandomResizedCrop(16, scale=(smallest, 1.0), interpolation=v2.InterpolationMode(interpolation))
    return v2.Compose([crop, v2.RandomHorizontalFlip()])


def test_a_crop_is_resized_as_by_torchvision(v2):
    images = photos(3, side=40)
    boxes = np.array([[0, 0, 40, 40], [3, 5, 20, 30], [10, 1, 8, 9]])
    found = resize_crops(torch.from_numpy(images), boxes, 24, "bicubic")
    for image, box, one in zip(images, boxes.tolist(), found, strict=True):
        plane = torch.from_numpy(image).permute(2, 0, 1)
        wanted = v2.functional.resized_crop(plane, *box, [24, 24], interpolation=v2.InterpolationMode.BICUBIC)
        assert torch.equal(one.permute(2, 0, 1), wanted)


def test_the_centre_is_enlarged(v2):
    """Resize and centre crop, as torchvision evaluates: the same part of the image, up to rounding of its edges."""
    images = photos(2, side=112)
    found = centre_crops(torch.from_numpy(images), 0.875, "bilinear")
    assert found.shape == (2, 112, 112, 3)
    plane = torch.from_numpy(images[0]).permute(2, 0, 1)
    wanted = v2.Compose([v2.Resize(128, antialias=True), v2.CenterCrop(112)])(plane)
    difference = (found[0].permute(2, 0, 1).double() - wanted.double()).abs()
    assert difference.mean() < 1.5
    assert (torch.from_numpy(images[0]).permute(2, 0, 1).double() - wanted.double()).abs().mean() > 3


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(resized_crop=0.2, flip=True, cutout=3),
        Augmentation(**STRONG),
        Augmentation(policy="trivialaugment", policy_share=0.5, crop=2),
        Augmentation(colour_jitter=0.3, resized_crop=0.5, resolution=0.5),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_both_ways_of_a_batch_give_the_same_bytes(augmentation, channels):
    images = photos(9, channels=channels)
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    found = augment(images, augmentation, one)
    side = augmentation.output_side(32)
    assert found.shape == (9, side, side, channels)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(augment_tensor(torch.from_numpy(images), augmentation, other).numpy(), found)
    assert one.random() == other.random()
    np.testing.assert_array_equal(images, photos(9, channels=channels))


def test_the_global_generator_is_left_alone():
    """A batch is made in another thread while the network draws from it."""
    everything = Augmentation(resized_crop=0.2, flip=True, colour_jitter=0.3, erasing=0.5, **STRONG)
    images = ImageSet(photos(8), np.zeros(8, np.int64))
    state = torch.get_rng_state()
    for _ in iterate_batches(
        images,
        batch_size=4,
        generator=np.random.default_rng(0),
        augmentation=everything,
        mean=[128.0] * 3,
        std=[60.0] * 3,
    ):
        assert torch.equal(torch.get_rng_state(), state)


def test_erased_pixels_have_the_mean_colour():
    images = ImageSet(photos(200, side=16) // 2 + 100, np.zeros(200, np.int64))
    settings = {"batch_size": 200, "generator": np.random.default_rng(0), "mean": [50.0] * 3, "std": [60.0] * 3}
    ((batch, _),) = iterate_batches(images, augmentation=Augmentation(erasing=0.5), **settings)
    erased = (batch == 0).all(1)
    assert erased.flatten(1).any(1).float().mean() == pytest.approx(0.5, abs=0.12)


def test_repeated_images_are_in_one_batch_and_apart():
    labels = np.arange(12)
    images = ImageSet(photos(12, side=8), labels)
    settings = {"batch_size": 6, "generator": np.random.default_rng(0), "mean": [0.0] * 3, "std": [1.0] * 3}
    batches = [found.tolist() for _, found in iterate_batches(images, augmentation=Augmentation(repeats=3), **settings)]
    assert [len(batch) for batch in batches] == [6, 6]  # as many as without copies
    assert all(batch == batch[:2] * 3 for batch in batches)
    assert len({label for batch in batches for label in batch}) == 4


def test_policies_need_colours_or_greys():
    with pytest.raises(DataError, match="1 or 3 channels, not 4"):
        augment(photos(2, channels=4), Augmentation(**STRONG), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resized_crop": 0.0}, "resized_crop is 0.0;"),
        ({"resized_crop": 0.1, "crop": 4}, "crop is 4 beside a resized_crop;"),
        ({"resolution": 0.5}, "resolution is 0.5 without a resized_crop;"),
        ({"policy": "autoaugment"}, "policy is 'autoaugment'; it has to be one of none, randaugment, trivialaugment"),
        ({"erasing": 1.5}, "erasing is 1.5;"),
        ({"magnitude": 31}, "magnitude is 31;"),
        ({"repeats": 0}, "repeats is 0;"),
        ({"interpolation": "nearest"}, "interpolation is 'nearest';"),
    ],
)
def test_values_out_of_range(settings, message):
    with pytest.raises(DataError, match=f"^{message}"):
        Augmentation(**settings)


def test_what_is_not_in_use_is_not_in_the_text():
    """Digests of trainings are made from it: those of earlier versions stay valid."""
    assert repr(Augmentation(crop=4, flip=True)) == "Augmentation(crop=4, flip=True, cutout=0)"
    assert repr(Augmentation(erasing=0.25)) == "Augmentation(crop=0, flip=False, cutout=0, erasing=0.25)"
