"""Seconds of an epoch of every candidate on a device that is not here, from stated speeds of training.

The speeds of some models are stated: images per second. The seconds of the others are those of the stated model with
the nearest number of FLOPs, times the ratio of the FLOPs. That is an estimate: networks of different families do not
have the same FLOPs per second (docs/measurements/system.md, "Stated speeds").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from taurank.orchestrator.candidates.candidates import choose_candidates
from taurank.orchestrator.experiment import Experiment
from taurank.orchestrator.text import CsvError, progress_bar, read_text_cells
from taurank.spaces import Architecture, SearchSpace, SpaceError, get_space, measure_size
from taurank.trainables.data import ImageData, ImageSet, KnownImages

SPEEDS = ("images_per_second", "train_samples_per_sec")
"""Columns of a table of speeds; the second one is that of timm's benchmarks of training."""
SIDE = "train_img_size"
"""Column of the pixels on each side, which timm's benchmarks have too."""


class SpeedError(ValueError):
    """Stated speeds that cannot be used; one line with the way out."""


@dataclass(frozen=True)
class StatedSpeed:
    """How fast a model trains on a device.

    Attributes:
        model: its code, or a name of timm without ``timm:``.
        images_per_second: of training, above 0.
        side: pixels on each side of these images; None for those of the experiment.
    """

    model: str
    images_per_second: float
    side: int | None = None


def read_speeds(texts: Sequence[str]) -> tuple[list[StatedSpeed], list[StatedSpeed]]:
    """Speeds of models by name, and those of tables, from ``MODEL=IMAGES_PER_SECOND`` and names of CSV files.

    Raises:
        SpeedError: one is neither, or a table lacks a column or has a speed that is none.
    """
    named, listed = [], []
    for text in texts:
        model, sign, speed = text.rpartition("=")
        if sign:
            named.append(StatedSpeed(model.strip(), _speed(speed, f"{model}=")))
        else:
            listed += _read_table(Path(text))
    return named, listed


def _read_table(file: Path) -> list[StatedSpeed]:
    if not file.is_file():
        raise SpeedError(
            f"--speed: there is no file {file}; give a CSV with the columns model and {SPEEDS[0]}, or "
            "MODEL=IMAGES_PER_SECOND"
        )
    try:
        table = read_text_cells(file)
    except CsvError as error:
        raise SpeedError(str(error)) from None
    column = next((name for name in SPEEDS if name in table), None)
    if column is None or "model" not in table:
        raise SpeedError(f"{file} has the columns {', '.join(table.columns)}; it needs model and {' or '.join(SPEEDS)}")
    sides = table[SIDE] if SIDE in table else [""] * len(table)
    rows = zip(table["model"], table[column], sides, strict=True)
    return [
        StatedSpeed(
            model, _speed(speed, f"{file}: {model}: "), round(_speed(side, f"{file}: {SIDE} ")) if side else None
        )
        for model, speed, side in rows
    ]


def _speed(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SpeedError(f"--speed: {where}{text} is not a number above 0")
    return value


@dataclass(frozen=True)
class StatedPaces:
    """What an epoch of each candidate takes, as far as that is stated.

    Attributes:
        seconds: of an epoch and the evaluation after it, by code.
        stated: how many candidates have a speed of their own; the others are scaled.
    """

    seconds: Mapping[str, float]
    stated: int

    @property
    def are_scaled(self) -> bool:
        """Whether there are candidates without a speed of their own."""
        return self.stated < len(self.seconds)


def stated_paces(
    experiment: Experiment, images: KnownImages, texts: Sequence[str], *, say: Callable[[str], None] = print
) -> StatedPaces:
    """Seconds of an epoch of the candidates that a run would choose.

    Args:
        experiment: its candidates, recipes and counts of images.
        images: of its data set, which need not be there.
        texts: speeds, as ``read_speeds`` takes them.
        say: receives progress messages.

    Raises:
        SpeedError: they cannot be read, a model is unknown, or none of them can be sized.
        ExperimentError, SpaceError: there are too few candidates.
    """
    named, listed = read_speeds(texts)
    if experiment.trainable is not None:
        raise SpeedError("what own training code takes does not go with FLOPs; omit --speed, give --epoch-seconds")
    if experiment.measured_latency is not None:
        raise SpeedError("the candidates depend on latencies, which are measured on a device; omit --speed")
    space = experiment.space.make()
    chosen = choose_candidates(experiment, _stand_in(images), say=say)
    speeds: dict[Architecture, float] = {}
    for stated in listed:  # those of other models would all have to be sized
        code = stated.model if stated.model in chosen.codes else f"timm:{stated.model}"
        if code in chosen.codes:
            speeds[Architecture(space.name, code)] = _at_size(stated, images)
    for stated in named:
        speeds[_find(stated.model, space)] = _at_size(stated, images)
    if not speeds:
        raise SpeedError("none of the models in the table is a candidate; add MODEL=IMAGES_PER_SECOND of a similar one")

    counts, candidates = experiment.data.counts_of(images), [Architecture(space.name, code) for code in chosen.codes]
    known = {Architecture(space.name, code): measured.size.flops for code, measured in chosen.sizes.items()}
    per_image = {one: 1 / speed for one, speed in speeds.items()}
    if any(one not in speeds for one in candidates):
        flops = _flops(space, {*candidates, *speeds}, known, images)
        per_image |= {one: _scaled(flops[one], speeds, flops) for one in candidates if one not in speeds}

    def epoch(one: Architecture) -> float:
        # Crops may be smaller than the images that are evaluated; a forward pass costs a third of a step.
        trained = counts.train * experiment.recipe_of(one.code).augmentation.resolution ** 2
        return per_image[one] * (trained + counts.validation / 3)

    seconds = {one.code: epoch(one) for one in candidates}
    return StatedPaces(seconds, sum(one in speeds for one in candidates))


def _at_size(stated: StatedSpeed, images: KnownImages) -> float:
    """Images per second of the size of the experiment: the seconds of an image go with its pixels."""
    side = images.shape[1]
    return stated.images_per_second * ((stated.side or side) / side) ** 2


def _find(model: str, space: SearchSpace) -> Architecture:
    """A candidate, or any model by name."""
    try:
        return space.parse(model)
    except SpaceError as error:
        try:
            return get_space("zoo").parse(model)
        except SpaceError:
            raise SpeedError(f"{model} is no model: {error}") from None


def _flops(
    space: SearchSpace, wanted: set[Architecture], known: Mapping[Architecture, float], images: KnownImages
) -> dict[Architecture, float]:
    found: dict[Architecture, float] = dict(known)
    missing = sorted(wanted - set(found))
    with progress_bar("sizing") as progress:
        for done, one in enumerate(missing):
            builder = space if one.space == space.name else get_space(one.space)
            try:
                size = measure_size(builder, one, input_shape=images.shape, classes=images.classes)
            except SpaceError as error:
                raise SpeedError(f"{one.code} cannot be sized: {error}") from None
            found[one] = size.flops
            progress(done + 1, len(missing))
    return found


def _scaled(flops: float, speeds: Mapping[Architecture, float], sizes: Mapping[Architecture, float]) -> float:
    """Seconds of an image of a model with so many FLOPs."""
    nearest = min(speeds, key=lambda one: abs(math.log(sizes[one] / flops)))
    return flops / sizes[nearest] / speeds[nearest]


def _stand_in(images: KnownImages) -> ImageData:
    """No images, of the shape and with the classes that candidates are chosen by."""
    channels, height, width = images.shape
    empty = ImageSet(np.zeros((0, height, width, channels), np.uint8), np.zeros(0, np.int64))
    names = tuple(map(str, range(images.classes)))
    return ImageData(empty, empty, empty, names, (0.0,) * channels, (1.0,) * channels)
