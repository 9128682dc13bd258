"""Small parts of an experiment: space, baseline, data, narrowing, proxies and resources."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from taurank.orchestrator.experiment.spec import Seed, Spec
from taurank.orchestrator.tau import PER_STRATUM
from taurank.orchestrator.text import ProblemsError
from taurank.spaces import SearchSpace, get_space, list_spaces
from taurank.trainables.data import (
    NO_IMAGES,
    KnownImages,
    check_dataset_name,
    known_images,
    published_images,
    read_classes,
    split_own,
)
from taurank.trainables.latency import Capacity
from taurank.trainables.proxies import ProxyConfig, batch_size, check_proxy, score_cost

if TYPE_CHECKING:
    from taurank.trainables.data import ImageData


class SpaceSpec(Spec):
    """A registered search space and its options.

    Attributes:
        name: one of `taurank spaces`, or your own as ``module:Class``.
        options: options of that space.
    """

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> SpaceSpec:
        try:
            self.make()
        except ValueError as error:
            field = "options" if self.name in list_spaces() else "name"
            raise ProblemsError([((field,), str(error).removeprefix("space: "))]) from None
        return self

    def make(self) -> SearchSpace:
        """The space itself."""
        return get_space(self.name, **self.options)


class BaselineSpec(Spec):
    """Full trainings that the ranking is scored against; never part of the evidence.

    Attributes:
        seeds: one full training of each candidate for each seed. Two also give the ceiling, the tau between them.
        candidates: ``all``, or how many are trained, drawn from strata of the finished ranking; tau over all candidates
            is then an estimate.
    """

    seeds: tuple[Seed, ...] = (1,)
    candidates: Literal["all"] | Annotated[int, Field(ge=PER_STRATUM)] = "all"

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) != len(seeds) or not seeds:
            raise ValueError(f"seeds are {list(seeds)}; give at least one, without repeats (omit baseline for none)")
        return seeds


ASSUMED_TRAIN = 50_000
"""Training images where nothing says how many there are."""


@dataclass(frozen=True)
class ImageCounts:
    """How many images there are: what an epoch, a score and a proxy cost beside each other depends on that.

    ``classes`` is None where it is unknown.
    """

    train: int
    validation: int
    classes: int | None = None

    @classmethod
    def of(cls, data: ImageData) -> ImageCounts:
        """How many there are of these."""
        return cls(len(data.train), len(data.validation), len(data.classes))

    def of_some_classes(self, share: float) -> ImageCounts:
        """How many there are of a share of the classes; at least two are taken."""
        if share == 1:
            return self
        train, validation = (max(round(share * count), 1) for count in (self.train, self.validation))
        return ImageCounts(train, validation, None if self.classes is None else max(round(share * self.classes), 2))


class DataSpec(Spec):
    """Images and how they are split.

    The ranking uses validation images only, the baseline test images.

    Attributes:
        name: a published data set (``digits``, ``mnist``, ``fashion-mnist``, ``cifar10``, ``cifar100``, ``svhn``), or
            own images as ``folder:PATH``, ``imagenet:PATH``, ``packed:FILE`` or ``npz:PATH``. A path is relative to the
            folder of the experiment file; ``#100`` at its end takes the first hundred classes.
        validation: share of the images (below 1), or number of images; without effect where there is an official part.
        test: the same for test images, where there is no official part.
        train: the same for training images, to use fewer than are left.
        size: side to which all images are resized; by default 64 for image files, and the own size of a data set.
        seed: of the split.
        evaluate_on: ``training`` evaluates on the training images, to reproduce a published study.
        classes: how many classes, the first by name; or their names, or a file with one on each line; by default all.
        local_copy: folder on the local disk of each node, to which a packed file is copied once before it is read.
    """

    name: str
    validation: float | int = 0.2
    test: float | int | None = None
    train: float | int | None = None
    size: int | None = Field(default=None, ge=4)
    seed: Seed = 0
    evaluate_on: Literal["held-out", "training"] = "held-out"
    classes: int | list[str] | str | None = None
    local_copy: str | None = None

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != NO_IMAGES:
            check_dataset_name(name)
        return name

    def relative_to(self, folder: Path) -> DataSpec:
        """The same with absolute paths and the classes of a file, so that the run can be resumed from any folder.

        Raises:
            DataError: the file of the classes cannot be read.
        """
        update: dict[str, Any] = {}
        own = split_own(self.name)
        if own is not None:
            update["name"] = f"{own[0]}:{(folder / own[1]).resolve()}"
        if isinstance(self.classes, str):
            update["classes"] = read_classes(folder / Path(self.classes).expanduser())
        if self.local_copy is not None:
            update["local_copy"] = str((folder / Path(self.local_copy).expanduser()).resolve())
        return self.model_copy(update=update)

    @property
    def _listed_classes(self) -> int | list[str] | None:
        """None for all, and for those of a file, which ``relative_to`` reads."""
        return None if isinstance(self.classes, str) else self.classes

    def known_images(self) -> KnownImages:
        """Numbers and shape of the images of the data set, which are not read; see ``trainables.data.known_images``.

        Raises:
            DataError: own images are not there.
        """
        return known_images(self.name, size=self.size, classes=self._listed_classes)

    @property
    def expected_counts(self) -> ImageCounts:
        """The images as far as the experiment and the name of a published set give them.

        A data set of unknown size is taken to leave ``ASSUMED_TRAIN`` training images.
        """
        published = published_images(self.name, classes=self._listed_classes)
        if published is not None:
            return self.counts_of(published)
        shares = [share for share in (self.validation, self.test) if isinstance(share, float)]
        left = self.train if isinstance(self.train, float) else max(1 - sum(shares), 0.01)
        train = self.train if isinstance(self.train, int) else ASSUMED_TRAIN
        if self.evaluate_on == "training":
            return ImageCounts(train, train)
        validation = self.validation if isinstance(self.validation, int) else round(self.validation * train / left)
        return ImageCounts(train, max(validation, 1))

    @property
    def expected_values(self) -> int | None:
        """Numbers in an image of a published set; None for any other."""
        published = published_images(self.name, size=self.size)
        return None if published is None else math.prod(published.shape)

    def counts_of(self, images: KnownImages) -> ImageCounts:
        """What a data set of so many images is split into; see ``make_splits``."""

        def number(asked: float | int) -> int:
            return asked if isinstance(asked, int) else round(asked * images.train)

        if self.evaluate_on == "training":
            train = number(1.0 if self.train is None else self.train)
            return ImageCounts(train, train, images.classes)
        test = number(self.test) if self.test is not None and not images.test else 0
        validation = images.validation or number(self.validation)
        left = images.train - test - (0 if images.validation else validation)
        train = left if self.train is None else min(number(self.train), left)
        return ImageCounts(max(train, 1), max(validation, 1), images.classes)

    @field_validator("validation", "test", "train")
    @classmethod
    def _some(cls, share: float | int | None) -> float | int | None:
        if share is not None and (share <= 0 or (isinstance(share, float) and share > 1)):
            raise ValueError(f"{share} is neither a share of the images (0.2) nor a number of images (1000)")
        return share


class NarrowSpec(Spec):
    """Draws candidates from some options of each decision: the ``keep`` with the most capacity per millisecond.

    An option that skips its layer is always kept. Latency is measured as defined by ``latency``, or read from its
    table.

    Attributes:
        keep: options of each decision to keep.
        capacity: what counts as capacity.
    """

    keep: int = Field(default=4, ge=1)
    capacity: Capacity = "flops"


class ProxySpec(Spec):
    """Scores of the untrained candidates.

    Attributes:
        names: of `taurank proxies`.
        images: training images in the batch, the same for all candidates; by default 64, or half as many as an image
            has numbers.
        initialisations: a score is the mean over that many, with the seeds ``seed``, ``seed + 1`` and so on.
        seed: of the batch and of the first initialisation.
    """

    names: list[str]
    images: int | None = Field(default=None, ge=2)
    initialisations: int = Field(default=1, ge=1)
    seed: Seed = 0

    @field_validator("names")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        if not names:
            raise ValueError("names no proxy; write `proxies: null` for none, or omit proxies for the default")
        for place, name in enumerate(names):
            check_proxy(name)
            if name in names[:place]:
                raise ValueError(f"{name} is listed twice; a proxy may be listed once")
        return names

    @property
    def batch_images(self) -> int:
        """Images in the batch; by default the number for large images."""
        return self.images or batch_size(None)

    @property
    def config(self) -> ProxyConfig:
        """Settings for a trial."""
        return ProxyConfig(tuple(self.names), tuple(range(self.seed, self.seed + self.initialisations)))

    def epochs(self, train_images: int) -> float:
        """Epoch-equivalents for one candidate; see ``score_cost``."""
        counts = {"images": self.batch_images, "initialisations": self.initialisations, "train_images": train_images}
        return sum(score_cost(name, **counts) for name in self.names)


class ResourceSpec(Spec):
    """Resources of one training trial, and bounds on what the run takes.

    Attributes:
        cpus_per_trial: cores of a trial: a fraction up to 1, or a whole number. ``auto`` divides what there is.
        gpus_per_trial: GPUs of a trial: a fraction up to 1, or a whole number. ``auto`` measures the memory that the
            largest candidate needs; 0 keeps trials off the GPUs.
        cpus: cores that a local run may use; by default all. Refused on a cluster.
        gpus: GPUs that a local run may use; by default all. Refused on a cluster.
        checkpoint_gigabytes: bound on the disk space of all checkpoints of the run. Beyond it the checkpoints of ended
            trainings are deleted, then those of the paused ones with the fewest epochs, which start over when resumed.
        hang_minutes: a trial that reports nothing for this long is ended, and fails if that happens again. ``auto``: 20
            times the median time between results of the stage so far, and at least ten minutes.
    """

    cpus_per_trial: float | Literal["auto"] = "auto"
    gpus_per_trial: float | Literal["auto"] = "auto"
    cpus: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=0)
    checkpoint_gigabytes: float = Field(default=50.0, ge=0)
    hang_minutes: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"

    @property
    def patience(self) -> float | None:
        """Seconds without a report after which a trial is ended; None for ``auto``."""
        return None if self.hang_minutes == "auto" else 60 * self.hang_minutes

    @field_validator("cpus_per_trial", "gpus_per_trial")
    @classmethod
    def _sensible(cls, value: float | str) -> float | str:
        if isinstance(value, float) and (value < 0 or (value > 1 and value != int(value))):
            raise ValueError(f"{value} is not a share that Ray can place: use a fraction up to 1, or a whole number")
        return value

    @field_validator("cpus_per_trial")
    @classmethod
    def _bounded(cls, value: float | str) -> float | str:
        if value == 0:
            raise ValueError("0 CPUs would start all trials at once: use a fraction up to 1, or a whole number")
        return value
