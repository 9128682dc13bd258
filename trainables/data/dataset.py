"""A data set in memory, or in a memory-mapped file."""

from dataclasses import dataclass

from taurank.trainables.data.image_set import ImageSet
from taurank.trainables.data.part_names import Part


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

    @property
    def parts(self) -> dict[Part, ImageSet | None]:
        """Images by part; None for one that is not there."""
        return {"train": self.train, "validation": self.validation, "test": self.test}
