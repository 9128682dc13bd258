"""Random crops of packed images against torchvision's, on the images as they are decoded whole."""

from __future__ import annotations

from types import ModuleType

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import ks_2samp

from taurank.spaces import import_torchvision
from taurank.trainables.data import (
    Augmentation,
    ImageSet,
    PackedImages,
    Packing,
    iterate_batches,
    load_dataset,
    pack_images,
)

SIDES = ((150, 200), (200, 150), (300, 120), (160, 160))
"""Heights and widths, in turns."""
LEAST_P = 1e-3


@pytest.fixture(scope="module")
def v2() -> ModuleType:
    import_torchvision()
    from torchvision.transforms import v2

    return v2


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """40 smooth images of four shapes, packed as they are: red on the left, blue on the right of each."""
    folder = tmp_path_factory.mktemp("photos")
    for place in range(40):
        height, width = SIDES[place % len(SIDES)]
        small = np.random.default_rng(place).uniform(60, 200, (6, 6, 3)).astype(np.float32)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        image[..., 2] += np.linspace(40, -40, width)
        image[..., 0] += np.linspace(-40, 40, width)
        file = folder / f"{place % 2}" / f"{place:02}.jpg"
        file.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(file), image.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])
    pack_images(f"folder:{folder}", folder / "photos.packed", Packing(None))
    return load_dataset(f"packed:{folder / 'photos.packed'}", size=32).train


def whole(photos: ImageSet, place: int) -> torch.Tensor:
    """`(C, H, W)` of one image at its own resolution."""
    packed = photos.images
    assert isinstance(packed, PackedImages)
    row = packed.rows[place]
    with packed.path.open("rb") as file:
        file.seek(int(row["offset"]))
        encoded = np.frombuffer(file.read(int(row["length"])), np.uint8)
    image = cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(image).permute(2, 0, 1)


def epochs(photos: ImageSet, count: int, augmentation: Augmentation) -> torch.Tensor:
    """All images so many times, as pixels from 0 to 255: (count * n, C, H, W)."""
    settings = {"batch_size": 40, "augmentation": augmentation, "mean": [0.0] * 3, "std": [1.0] * 3}
    epochs = [iterate_batches(photos, generator=np.random.default_rng(epoch), **settings) for epoch in range(count)]
    return torch.cat([pixels for batches in epochs for pixels, _ in batches])


def test_boxes_have_the_areas_and_ratios_of_torchvision(
    v2: ModuleType, photos: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]] = []

    def record(
        _: PackedImages, index: npt.NDArray[np.intp], boxes: npt.NDArray[np.int64], size: int, __: str
    ) -> object:
        drawn.append((index, boxes))
        return np.zeros((len(index), size, size, 3), np.uint8)

    monkeypatch.setattr(PackedImages, "crops", record)
    epochs(photos, 75, Augmentation(resized_crop=0.08))
    packed = photos.images
    assert isinstance(packed, PackedImages)
    index, boxes = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    heights, widths = packed.sides(index)
    assert len(boxes) == 3000
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 0] + boxes[:, 2] <= heights).all()
    assert (boxes[:, 1] + boxes[:, 3] <= widths).all()
    crop = v2.RandomResizedCrop(32)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for height, width in SIDES:
            ours = boxes[(heights == height) & (widths == width)]
            image = torch.zeros(3, height, width, dtype=torch.uint8)
            params = [crop.make_params([image]) for _ in range(len(ours))]
            theirs = np.array([[one[name] for name in ("top", "left", "height", "width")] for one in params])
            for describe in (
                lambda box: box[:, 2] * box[:, 3],
                lambda box: box[:, 3] / box[:, 2],
                lambda box: box[:, 0] + box[:, 2] / 2,
                lambda box: box[:, 1] + box[:, 3] / 2,
            ):
                assert ks_2samp(describe(ours), describe(theirs)).pvalue > LEAST_P, (height, width)


@pytest.mark.parametrize(("size", "most", "mean"), [(96, 1, 0.1), (40, 4, 0.5), (20, 6, 1.0)])
def test_a_crop_is_that_of_the_whole_image(
    v2: ModuleType, photos: ImageSet, size: int, most: float, mean: float
) -> None:
    """Also where it is decoded at a half or a quarter of its resolution, as of 40 and 20 pixels.

    Edges of the boxes are multiples of 4: others are rounded to half a pixel of the result at most.
    """
    packed = photos.images
    assert isinstance(packed, PackedImages)
    index = np.arange(12)
    generator = np.random.default_rng(0)
    heights, widths = packed.sides(index)
    tall, wide = (4 * generator.integers(24, sides // 4 + 1) for sides in (heights, widths))
    top, left = (4 * generator.integers(0, room // 4 + 1) for room in (heights - tall, widths - wide))
    boxes = np.stack([top, left, tall, wide]).T
    found = packed.crops(index, boxes, size)
    for place, box, one in zip(index, boxes.tolist(), found, strict=True):
        wanted = v2.functional.resized_crop(whole(photos, place), *box, [size, size], antialias=True)
        difference = (torch.from_numpy(one).permute(2, 0, 1).double() - wanted.double()).abs()
        assert difference.max() <= most
        assert difference.mean() <= mean


def test_half_of_the_crops_are_mirrored(photos: ImageSet) -> None:
    found = epochs(photos, 20, Augmentation(resized_crop=0.5, flip=True))
    slope = (found[..., :16].mean((2, 3)) - found[..., 16:].mean((2, 3)))[:, [0, 2]]
    mirrored = (slope[:, 0] - slope[:, 1]) < 0  # red is on the left of the others
    assert mirrored.double().mean() == pytest.approx(0.5, abs=5 * np.sqrt(0.25 / len(found)))
    straight = epochs(photos, 5, Augmentation(resized_crop=0.5))
    slope = (straight[..., :16].mean((2, 3)) - straight[..., 16:].mean((2, 3)))[:, [0, 2]]
    assert (slope[:, 0] > slope[:, 1]).double().mean() > 0.97


def test_the_mean_image_is_that_of_torchvision(v2: ModuleType, photos: ImageSet) -> None:
    """Means of every pixel over 1200 crops of the same images agree to within their own errors."""
    found = epochs(photos, 30, Augmentation(resized_crop=0.08, flip=True)).double()
    change = v2.Compose([v2.RandomResizedCrop(32), v2.RandomHorizontalFlip()])
    images = [whole(photos, place) for place in range(len(photos))]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        wanted = torch.stack([change(image) for _ in range(30) for image in images]).double()
    error = ((found.var(0) + wanted.var(0)) / len(found)).sqrt() + 0.05
    deviations = (found.mean(0) - wanted.mean(0)) / error
    assert deviations.abs().max() < 4.5
    assert found.std().item() == pytest.approx(wanted.std().item(), rel=0.03)
