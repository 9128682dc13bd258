"""The published data sets: where their copies are found, on disk and on the net, and what they must look like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taurank.trainables.data.cifar import (
    read_cifar100_binary_folder,
    read_cifar100_python_folder,
    read_cifar_binary_folder,
    read_cifar_python_folder,
)
from taurank.trainables.data.idx import read_idx_folder
from taurank.trainables.data.image_set import ImageSet
from taurank.trainables.data.npz import read_npz_folder
from taurank.trainables.data.svhn import read_svhn_folder

# (folder, (H, W, C), number of classes) -> (train, test), or None where the folder has no file of this form.
FolderReader = Callable[[Path, tuple[int, int, int], int], tuple[ImageSet, ImageSet] | None]

_DIGITS = tuple("0123456789")
_CIFAR_100 = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
"""


@dataclass(frozen=True)
class Published:
    """A published data set.

    Attributes:
        shape: `(H, W, C)` of every image.
        classes: Names; label `i` is `classes[i]`.
        counts: Training and test images of the whole set.
        folders: Where copies are looked for below the root, in this order.
        readers: The forms a copy may have.
        forms: The same in words.
        torchvision_name: Class in `torchvision.datasets` that fetches it.
        origin: Where that fetches it from.
        megabytes: Size of what it fetches.
        fetched: What that class is called with, once for each.
        fetched_into: Folder below the root that it fetches into.
    """

    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    counts: tuple[int, int]
    folders: tuple[str, ...]
    readers: tuple[FolderReader, ...]
    forms: str
    torchvision_name: str
    origin: str
    megabytes: int
    fetched: tuple[dict[str, Any], ...] = field(default=({"train": True},))
    fetched_into: str = ""


PUBLISHED = {
    "mnist": Published(
        shape=(28, 28, 1),
        classes=_DIGITS,
        counts=(60_000, 10_000),
        folders=("mnist", "MNIST", "MNIST/raw", "mnist/raw"),
        readers=(read_idx_folder, read_npz_folder),
        forms="IDX, IDX.gz or *train*.npz with *test*.npz",
        torchvision_name="MNIST",
        origin="https://ossci-datasets.s3.amazonaws.com/mnist",
        megabytes=12,
    ),
    "fashion-mnist": Published(
        shape=(28, 28, 1),
        classes=(
            "T-shirt/top",
            "trouser",
            "pullover",
            "dress",
            "coat",
            "sandal",
            "shirt",
            "sneaker",
            "bag",
            "ankle boot",
        ),
        counts=(60_000, 10_000),
        folders=("fashion-mnist", "fashion_mnist", "FashionMNIST", "FashionMNIST/raw", "fashion-mnist/raw"),
        readers=(read_idx_folder, read_npz_folder),
        forms="IDX, IDX.gz or *train*.npz with *test*.npz",
        torchvision_name="FashionMNIST",
        origin="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        megabytes=31,
    ),
    "cifar10": Published(
        shape=(32, 32, 3),
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        counts=(50_000, 10_000),
        folders=(
            "cifar10",
            "cifar-10",
            "CIFAR10",
            "cifar-10-batches-py",
            "cifar-10-batches-bin",
            "cifar10/cifar-10-batches-py",
            "cifar10/cifar-10-batches-bin",
        ),
        readers=(read_npz_folder, read_cifar_binary_folder, read_cifar_python_folder),
        forms="*train*.npz with *test*.npz, binary batches or Python batches",
        torchvision_name="CIFAR10",
        origin="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        megabytes=170,
    ),
    "cifar100": Published(
        shape=(32, 32, 3),
        classes=tuple(_CIFAR_100.split()),
        counts=(50_000, 10_000),
        folders=(
            "cifar100",
            "cifar-100",
            "CIFAR100",
            "cifar-100-python",
            "cifar-100-binary",
            "cifar100/cifar-100-python",
            "cifar100/cifar-100-binary",
        ),
        readers=(read_npz_folder, read_cifar100_binary_folder, read_cifar100_python_folder),
        forms="*train*.npz with *test*.npz, train.bin with test.bin, or the Python form",
        torchvision_name="CIFAR100",
        origin="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        megabytes=169,
    ),
    "svhn": Published(
        shape=(32, 32, 3),
        classes=_DIGITS,
        counts=(73_257, 26_032),
        folders=("svhn", "SVHN"),
        readers=(read_svhn_folder, read_npz_folder),
        forms="train_32x32.mat with test_32x32.mat, or *train*.npz with *test*.npz",
        torchvision_name="SVHN",
        origin="http://ufldl.stanford.edu/housenumbers",
        megabytes=246,
        fetched=({"split": "train"}, {"split": "test"}),
        fetched_into="svhn",
    ),
}
