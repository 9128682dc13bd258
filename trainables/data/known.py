"""How many images a data set has and what shape they have, without reading them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from taurank.trainables.data.class_choice import Classes
from taurank.trainables.data.datasets import check_dataset_name
from taurank.trainables.data.own_images import SIZE, count_own, load_own, split_number, split_own
from taurank.trainables.data.published import PUBLISHED

IMAGENET = (1_281_167, 50_000, 1_000)
"""Training and validation images and classes of ILSVRC 2012 (Russakovsky et al. 2015, arXiv 1409.0575, table 2)."""


@dataclass(frozen=True)
class KnownImages:
    """What is known of a data set that has not been read.

    Attributes:
        train: Training images, of which validation images are cut where there are no official ones.
        validation: Official validation images; 0 where there are none.
        test: Official test images; 0 where there are none.
        classes: How many.
        shape: `(C, H, W)` of one image, as a network takes it.
        as_published: Whether the numbers are those that its publication states, and nothing was counted.
    """

    train: int
    validation: int
    test: int
    classes: int
    shape: tuple[int, int, int]
    as_published: bool

    def of_classes(self, classes: Classes | None) -> KnownImages:
        """What some of the classes have, if all have the same number of images; None for all."""
        wanted = self.classes if classes is None else classes if isinstance(classes, int) else len(classes)
        share = min(wanted / self.classes, 1.0)
        train, validation, test = (round(share * count) for count in (self.train, self.validation, self.test))
        return replace(self, train=train, validation=validation, test=test, classes=min(wanted, self.classes))


def published_images(name: str, *, size: int | None = None, classes: Classes | None = None) -> KnownImages | None:
    """Numbers and shape of the images of a published set, ImageNet among them; None for any other.

    Nothing is looked for on disk: `imagenet:PATH` stands for the whole of ImageNet, wherever it is, and `#100` at its
    end for the images of a tenth of the classes.
    """
    if name == "digits":
        side = size or 8
        return KnownImages(1_797, 0, 0, 10, (1, side, side), as_published=True).of_classes(classes)
    if name in PUBLISHED:
        published = PUBLISHED[name]
        height, width, channels = published.shape
        shape = (channels, size or height, size or width)
        whole = KnownImages(published.counts[0], 0, published.counts[1], len(published.classes), shape, True)
        return whole.of_classes(classes)
    own = split_own(name)
    if own is not None and own[0] == "imagenet":
        train, test, synsets = IMAGENET
        whole = KnownImages(train, 0, test, synsets, (3, size or SIZE, size or SIZE), as_published=True)
        return whole.of_classes(classes or split_number(own[1])[1])
    return None


def known_images(name: str, *, size: int | None = None, classes: Classes | None = None) -> KnownImages:
    """Numbers and shape of the images of a data set: as published, or else counted; files are not decoded.

    ImageNet is counted where it is, so that a part of it is taken for one; a path that does not exist stands for the
    whole.

    Args:
        name: As of `load_dataset`.
        size: Pixels on each side that images are resized to; None for their own, or those of `load_own`.
        classes: Those that are read; None for all.

    Raises:
        DataError: An unknown name, or own images that are not there.
    """
    check_dataset_name(name)
    own = split_own(name)
    if own is None or (own[0] == "imagenet" and not split_number(own[1])[0].exists()):
        found = published_images(name, size=size, classes=classes)
        assert found is not None
        return found
    counted = count_own(name, classes)
    if counted is not None:
        return KnownImages(*counted, (3, size or SIZE, size or SIZE), as_published=False)
    read = load_own(name, classes=classes)  # arrays of one size
    _, height, width, channels = read.train.images.shape
    validation, test = (0 if part is None else len(part) for part in (read.validation, read.test))
    shape = (channels, size or height, size or width)
    return KnownImages(len(read.train), validation, test, len(read.classes), shape, as_published=False)
