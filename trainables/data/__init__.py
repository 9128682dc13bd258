"""Data sets as uint8 arrays, their splits and subsets, their augmentation, their mini-batches."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.trainables.data.augmentation import Augmentation, augment, normalise, repr_of
    from taurank.trainables.data.batches import iterate_batches, iterate_pixels
    from taurank.trainables.data.class_choice import read_classes
    from taurank.trainables.data.dataset import Dataset
    from taurank.trainables.data.datasets import check_dataset_name, list_datasets, load_dataset
    from taurank.trainables.data.decode import decode_image
    from taurank.trainables.data.digest import digest_images
    from taurank.trainables.data.errors import DataError, NoTestSetError
    from taurank.trainables.data.image_set import ImageSet, resize_images
    from taurank.trainables.data.known import KnownImages, known_images, published_images
    from taurank.trainables.data.mapped import Images
    from taurank.trainables.data.own_images import pack_images, split_own
    from taurank.trainables.data.pack_file import check_pack_length
    from taurank.trainables.data.packed import PackedImages
    from taurank.trainables.data.packing import Packing, check_pack
    from taurank.trainables.data.prefetch import prefetched
    from taurank.trainables.data.resize import resize_image
    from taurank.trainables.data.splits import NO_IMAGES, ImageData, make_splits, no_images
    from taurank.trainables.data.subsets import Choice, Losses, choose_images, less_data, smaller_side

__all__ = [
    "NO_IMAGES",
    "Augmentation",
    "Choice",
    "DataError",
    "Dataset",
    "ImageData",
    "ImageSet",
    "Images",
    "KnownImages",
    "Losses",
    "NoTestSetError",
    "PackedImages",
    "Packing",
    "augment",
    "check_dataset_name",
    "check_pack",
    "check_pack_length",
    "choose_images",
    "decode_image",
    "digest_images",
    "iterate_batches",
    "iterate_pixels",
    "known_images",
    "less_data",
    "list_datasets",
    "load_dataset",
    "make_splits",
    "no_images",
    "normalise",
    "pack_images",
    "prefetched",
    "published_images",
    "read_classes",
    "repr_of",
    "resize_image",
    "resize_images",
    "smaller_side",
    "split_own",
]

__getattr__ = lazy_names(__name__)
