"""A data set in memory, or in a file that is read when it is asked for."""

from dataclasses import dataclass

from taurank.trainables.data.image_set import ImageSet, Labels
from taurank.trainables.data.mapped import Images, MappedImages


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as it is published: images `(n, H, W, C)`, 0..255, RGB order, and labels `(n,)`.

    `test_images` and `test_labels` are None where there is no official test set, those of validation where there is no
    official validation set. Label `i` is `classes[i]`.
    """

    name: str
    train_images: Images | MappedImages
    train_labels: Labels
    test_images: Images | MappedImages | None
    test_labels: Labels | None
    classes: tuple[str, ...]
    validation_images: Images | MappedImages | None = None
    validation_labels: Labels | None = None

    @property
    def train(self) -> ImageSet:
        """The official training set."""
        return ImageSet(self.train_images, self.train_labels)

    @property
    def test(self) -> ImageSet | None:
        """The official test set, where there is one."""
        if self.test_images is None or self.test_labels is None:
            return None
        return ImageSet(self.test_images, self.test_labels)

    @property
    def validation(self) -> ImageSet | None:
        """The official validation set, where there is one."""
        if self.validation_images is None or self.validation_labels is None:
            return None
        return ImageSet(self.validation_images, self.validation_labels)
