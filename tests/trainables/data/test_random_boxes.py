"""Boxes against those that torchvision draws: the same distributions of area, ratio and place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from taurank.spaces import import_torchvision
from taurank.trainables.data.random_boxes import draw_crops, draw_erased

N = 4000
# Of five Kolmogorov-Smirnov tests on fixed seeds, all right ones together fail this bound once in 200 choices of seeds.
LEAST_P = 1e-3


@pytest.fixture(scope="module")
def v2():
    import_torchvision()
    from torchvision.transforms import v2

    return v2


def theirs(transform, height, width, count=N):
    """(count, 4): top, left, height, width, as torchvision draws them."""
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = [transform.make_params([image]) for _ in range(count)]
    names = ("top", "left", "height", "width") if "top" in drawn[0] else ("i", "j", "h", "w")
    return np.array([[params[name] for name in names] for params in drawn])


def assert_same_distribution(ours, theirs, height, width):
    for describe in (
        lambda box: box[:, 2] * box[:, 3],
        lambda box: box[:, 3] / box[:, 2],
        lambda box: box[:, 2],
        lambda box: (box[:, 0] + 0.5) / (height - box[:, 2] + 1),
        lambda box: (box[:, 1] + 0.5) / (width - box[:, 3] + 1),
    ):
        assert ks_2samp(describe(ours), describe(theirs)).pvalue > LEAST_P


@pytest.mark.parametrize(("height", "width", "smallest"), [(64, 64, 0.08), (375, 500, 0.08), (224, 224, 0.35)])
def test_crops(v2, height, width, smallest):
    ours = draw_crops(N, height, width, smallest, np.random.default_rng(0))
    crop = v2.RandomResizedCrop(size=32, scale=(smallest, 1.0))
    assert_same_distribution(ours, theirs(crop, height, width), height, width)
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()
    area = ours[:, 2] * ours[:, 3] / (height * width)
    assert area.min() == pytest.approx(smallest, abs=0.02)


@pytest.mark.parametrize(("height", "width"), [(10, 100), (100, 10), (100, 100)])
def test_a_crop_that_does_not_fit_is_the_largest_in_the_middle(v2, height, width):
    """Of nearly the whole area, which fits a long image in no ratio."""
    ours = draw_crops(20, height, width, 0.999, np.random.default_rng(0))
    crop = v2.RandomResizedCrop(size=32, scale=(0.999, 1.0))
    if height == width:  # a few attempts fit by chance
        assert set(map(tuple, ours.tolist())) >= {(0, 0, 100, 100)}
    else:
        np.testing.assert_array_equal(ours, theirs(crop, height, width, 20))


def test_images_of_different_sizes():
    heights, widths = np.array([40, 400, 41, 300]), np.array([400, 40, 41, 300])
    boxes = draw_crops(4, heights, widths, 0.08, np.random.default_rng(1))
    assert (boxes[:, 0] + boxes[:, 2] <= heights).all()
    assert (boxes[:, 1] + boxes[:, 3] <= widths).all()
    one = draw_crops(4, heights[3], widths[3], 0.08, np.random.default_rng(1))
    np.testing.assert_array_equal(boxes[3], one[3])  # the size of other images does not matter


def test_erased_boxes(v2):
    ours = draw_erased(N, 64, 48, 1.0, np.random.default_rng(0))
    # torchvision's class decides whether an image is erased at all where it is called.
    drawn = theirs(v2.RandomErasing(p=1.0), 64, 48)
    assert (ours[:, 2] > 0).mean() == pytest.approx((drawn[:, 2] < 64).mean(), abs=0.01)
    assert_same_distribution(ours[ours[:, 2] > 0], drawn[drawn[:, 2] < 64], 64, 48)


def test_share_of_erased_images():
    boxes = draw_erased(N, 32, 32, 0.25, np.random.default_rng(0))
    assert (boxes[:, 2] > 0).mean() == pytest.approx(0.25, abs=0.03)
    assert not draw_erased(100, 32, 32, 0.0, np.random.default_rng(0)).any()
