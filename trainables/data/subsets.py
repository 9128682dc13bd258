"""Less data as a cheaper training: fewer images, chosen in one of three ways, and smaller ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from taurank.trainables.data.class_choice import images_of_classes
from taurank.trainables.data.errors import DataError
from taurank.trainables.data.image_set import ImageSet, Labels, resize_images
from taurank.trainables.data.splits import ImageData, stratified_indices

Choice = Literal["stratified", "k-center", "difficulty", "classes"]
CHOICES: tuple[Choice, ...] = get_args(Choice)

FEATURE_SIDE = 8
"""k-centre sees images of so many pixels on each side."""
LEAST_SIDE = 4
BINS = 20
_SUBSET_STREAM = 6

Rows = npt.NDArray[np.intp]
Losses = npt.NDArray[np.float64]


def choose_images(
    images: ImageSet, share: float, *, by: Choice = "stratified", seed: int = 0, losses: Losses | None = None
) -> Rows:
    """Positions, ascending, of a share of the images.

    Every class keeps its share, to within one image, unless classes are chosen:

    - `stratified`: at random.
    - `k-center`: within a class first the image nearest to its mean, then repeatedly the one farthest from all
      chosen ones (Gonzalez 1985; Sener & Savarese 2018, arXiv 1708.00489, algorithm 1), by the pixels of the images
      shrunk to 8 x 8. The seed only decides which classes are rounded up.
    - `difficulty`: at random within a class, an image with a probability inverse to how many images have a loss like
      its own, so that easy, middling and hard ones are there alike (Na et al. 2021, arXiv 2106.04784, P1, which has
      the entropy of a trained network in the place of the loss).
    - `classes`: all images of some classes, see `choose_classes`.

    Args:
        images: to choose from.
        share: in (0, 1]; 1 gives all. At least two images are chosen.
        by: in which way.
        seed: of what is random.
        losses: one for each image, for `difficulty`: of a network that has trained for a short time.

    Raises:
        DataError: A share out of range, an unknown way, or no finite losses for `difficulty`.
    """
    if not 0 < share <= 1:
        raise DataError(f"share is {share}; it has to be above 0 and at most 1")
    if by not in CHOICES:
        raise DataError(f"by is {by!r}; it has to be one of {', '.join(CHOICES)}")
    if share == 1:
        return np.arange(len(images))
    if by == "classes":
        return np.flatnonzero(np.isin(images.labels, choose_classes(images.labels, share, seed=seed)))
    wanted = min(max(2, round(share * len(images))), len(images))
    generator = np.random.default_rng([seed, _SUBSET_STREAM])
    (drawn,) = stratified_indices(images.labels, [wanted], generator)
    if by == "stratified":
        return drawn
    if by == "difficulty" and (losses is None or losses.shape != (len(images),) or not np.isfinite(losses).all()):
        raise DataError("by is 'difficulty'; it needs one finite loss for each image")
    rarity = _rarity(losses) if by == "difficulty" and losses is not None else None
    chosen = []
    for label in np.unique(images.labels[drawn]):
        own = np.flatnonzero(images.labels == label)
        count = int((images.labels[drawn] == label).sum())
        if rarity is None:
            chosen.append(own[k_center(_features(images, own), count)])
        else:
            chosen.append(generator.choice(own, count, replace=False, p=rarity[own] / rarity[own].sum()))
    return np.sort(np.concatenate(chosen))


def choose_classes(labels: Labels, share: float, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """Some classes, drawn at random, ascending: their images are as near to a share of all as the drawn order allows.

    At least two classes are chosen, also where two have more images than that.
    """
    drawn = np.random.default_rng([seed, _SUBSET_STREAM]).permutation(np.unique(labels))
    images = np.cumsum(np.bincount(labels)[drawn])
    count = int(np.abs(images - share * len(labels)).argmin()) + 1
    return np.sort(drawn[: max(count, 2)])


def less_data(
    data: ImageData,
    *,
    share: float = 1.0,
    by: Choice = "stratified",
    resolution: float = 1.0,
    seed: int = 0,
    losses: Losses | None = None,
) -> ImageData:
    """Returns fewer training images, and smaller images.

    Mean and standard deviation stay those of all training images. Where some classes are chosen, the images of the
    others leave validation and test, too, and a network has fewer outputs.

    Args:
        data: what is there; all of it is kept where nothing is asked for.
        share: of the training images; validation and test images are all kept.
        by: how they are chosen; see `choose_images`.
        resolution: share of the pixels of a side that is left, in (0, 1].
        seed: of what is random.
        losses: for `difficulty`; see `choose_images`.
    """
    same = data.test is data.validation
    if share < 1 and by == "classes":
        chosen = choose_classes(data.train.labels, share, seed=seed).tolist()
        train, validation, test = (images_of_classes(part, chosen) for part in (data.train, data.validation, data.test))
        names = tuple(data.classes[label] for label in chosen)
        if not len(validation):
            raise DataError(f"subset.share is {share} of the classes, of which no validation image is left; take more")
        data = replace(data, train=train, validation=validation, test=validation if same else test, classes=names)
    elif share < 1:
        data = replace(data, train=data.train.part(choose_images(data.train, share, by=by, seed=seed, losses=losses)))
    if resolution < 1:
        side = smaller_side(data, resolution)

        def small(images: ImageSet) -> ImageSet:
            return ImageSet(resize_images(images.images, side), images.labels)

        validation = small(data.validation)
        data = replace(
            data, train=small(data.train), validation=validation, test=validation if same else small(data.test)
        )
    return data


def smaller_side(data: ImageData, resolution: float) -> int:
    """Pixels on each side of the images at this share of their resolution.

    Raises:
        DataError: Too few are left.
    """
    side = round(resolution * data.input_shape[1])
    if side < LEAST_SIDE:
        raise DataError(
            f"resolution is {resolution}, which leaves {side} of {data.input_shape[1]} pixels a side;"
            f" at least {LEAST_SIDE} are needed"
        )
    return side


def k_center(features: npt.NDArray[np.float32], count: int) -> Rows:
    """Greedy k-centre: positions of `count` rows of `(n, d)`, each the farthest from those before it.

    The first is the one nearest to the mean. Twice as far from the farthest row as the best choice at most
    (Gonzalez 1985). Of equal ones the first is taken.
    """
    chosen = np.empty(count, np.intp)
    distance = np.full(len(features), np.inf, np.float32)
    place = int(((features - features.mean(0)) ** 2).sum(1).argmin())
    for step in range(count):
        chosen[step] = place
        distance = np.minimum(distance, ((features - features[place]) ** 2).sum(1))
        distance[place] = -1.0  # never again, even where all others are its equals
        place = int(distance.argmax())
    return chosen


def _features(images: ImageSet, rows: Rows) -> npt.NDArray[np.float32]:
    """Pixels of the images shrunk to `FEATURE_SIDE`, (rows, d)."""
    small = resize_images(images.part(rows).images, FEATURE_SIDE)
    return np.asarray(small[:], np.float32).reshape(len(rows), -1)


def _rarity(losses: Losses) -> Losses:
    """One over how many images have a loss in the same of `BINS` equally wide bins."""
    edges = np.linspace(losses.min(), losses.max(), BINS + 1)
    bins = np.clip(np.searchsorted(edges, losses, side="right") - 1, 0, BINS - 1)
    rarity: Losses = 1.0 / np.bincount(bins, minlength=BINS)[bins]
    return rarity
