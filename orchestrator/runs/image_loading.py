"""The images of an experiment, with a progress bar where files have to be decoded."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from taurank.orchestrator.experiment import DataSpec
from taurank.orchestrator.text import Console, progress_bar
from taurank.spaces import cache_folder
from taurank.trainables.data import Dataset, ImageData, load_dataset, make_splits, read_classes

_log = logging.getLogger(__name__)


def load_images(spec: DataSpec, *, root: Path | None, download: bool, cache: Path | None = None) -> ImageData:
    """The images of an experiment, split; see ``read_images`` and ``split_images``."""
    return split_images(spec, read_images(spec, root=root, download=download, cache=cache))


def read_images(
    spec: DataSpec,
    *,
    root: Path | None,
    download: bool,
    cache: Path | None = None,
    console: Console | None = None,
) -> Dataset:
    """All images of the data set of an experiment.

    Args:
        spec: what the experiment says of them.
        root: folder of the published data sets; see ``load_dataset``.
        download: whether a published data set that is missing may be fetched.
        cache: folder that decoded files are kept in; None for the user's own.
        console: for the progress bar; None for the standard error.

    Raises:
        DataError: they are not there; one line with the way out.
    """
    where = root or os.environ.get("TAURANK_DATA") or "data"
    _log.info("images of %s; published data sets are read from %s", spec.name, Path(where).absolute())
    _log.info("decoded images are kept in %s", cache_folder(cache))
    with progress_bar("decoding images", console=console) as progress:
        return load_dataset(
            spec.name,
            root=root,
            download=download,
            size=spec.size,
            cache=cache,
            progress=progress,
            classes=read_classes(Path(spec.classes)) if isinstance(spec.classes, str) else spec.classes,
            local_copy=None if spec.local_copy is None else Path(spec.local_copy),
        )


def split_images(spec: DataSpec, dataset: Dataset) -> ImageData:
    """Cuts a data set into the parts that an experiment asks for.

    Raises:
        DataError: it cannot be cut so; one line with the way out.
    """
    return make_splits(
        dataset,
        seed=spec.seed,
        validation=spec.validation,
        test=spec.test,
        train=spec.train,
        size=spec.size,
        evaluate_on=spec.evaluate_on,
    )
