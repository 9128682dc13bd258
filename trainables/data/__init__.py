"""Data sets as uint8 arrays in memory, their splits, their augmentation, their mini-batches."""

from trainables.data.augment import Augmentation, augment, normalise
from trainables.data.batches import iterate_batches
from trainables.data.datasets import Dataset, list_datasets, load_dataset
from trainables.data.decode import decode_image
from trainables.data.errors import DataError
from trainables.data.image_set import ImageSet
from trainables.data.resize import resize_image, resize_images
from trainables.data.splits import ImageData, make_splits

__all__ = [
    "Augmentation",
    "DataError",
    "Dataset",
    "ImageData",
    "ImageSet",
    "augment",
    "decode_image",
    "iterate_batches",
    "list_datasets",
    "load_dataset",
    "make_splits",
    "normalise",
    "resize_image",
    "resize_images",
]
