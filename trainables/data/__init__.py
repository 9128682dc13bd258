"""Data sets as uint8 arrays, their splits and subsets, their augmentation, their mini-batches."""

from trainables.data.augment import Augmentation, augment, normalise
from trainables.data.batches import iterate_batches, iterate_pixels
from trainables.data.dataset import Dataset
from trainables.data.datasets import check_dataset_name, list_datasets, load_dataset
from trainables.data.decode import decode_image
from trainables.data.errors import DataError, NoTestSetError
from trainables.data.image_set import Images, ImageSet
from trainables.data.resize import resize_image, resize_images
from trainables.data.splits import ImageData, make_splits
from trainables.data.subsets import choose_images, less_data

__all__ = [
    "Augmentation",
    "DataError",
    "Dataset",
    "ImageData",
    "ImageSet",
    "Images",
    "NoTestSetError",
    "augment",
    "check_dataset_name",
    "choose_images",
    "decode_image",
    "iterate_batches",
    "iterate_pixels",
    "less_data",
    "list_datasets",
    "load_dataset",
    "make_splits",
    "normalise",
    "resize_image",
    "resize_images",
]
