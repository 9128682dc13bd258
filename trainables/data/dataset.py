"""A data set in memory, or in a memory-mapped file."""

from dataclasses import dataclass

from taurank.trainables.data.image_set import ImageSet


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as it is published.

    Attributes:
        name: As `load_dataset` takes it.
        train: Official training set.
        test: Official test set; None where there is none.
        classes: Names; label `i` is `classes[i]`.
        validation: Official validation set; None where there is none.
    """

    name: str
    train: ImageSet
    test: ImageSet | None
    classes: tuple[str, ...]
    validation: ImageSet | None = None
