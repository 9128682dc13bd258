"""The images of an experiment, with a progress bar where files have to be decoded."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from taurank.orchestrator.experiment import DataSpec
from taurank.orchestrator.text import progress_bar
from taurank.spaces import cache_folder
from taurank.trainables.data import ImageData, load_dataset, make_splits

_log = logging.getLogger(__name__)


def load_images(spec: DataSpec, *, root: Path | None, download: bool, cache: Path | None = None) -> ImageData:
    """The images of an experiment, split.

    Args:
        spec: what the experiment says of them.
        root: folder of the published data sets; see ``load_dataset``.
        download: whether a published data set that is missing may be fetched.
        cache: folder that decoded files are kept in; None for the user's own.

    Raises:
        DataError: they are not there, or cannot be split so; one line with the way out.
    """
    where = root or os.environ.get("TAURANK_DATA") or "data"
    _log.info("images of %s; published data sets are read from %s", spec.name, Path(where).absolute())
    _log.info("decoded images are kept in %s", cache_folder(cache))
    with progress_bar("decoding images") as progress:
        dataset = load_dataset(spec.name, root=root, download=download, size=spec.size, cache=cache, progress=progress)
    return make_splits(
        dataset,
        seed=spec.seed,
        validation=spec.validation,
        test=spec.test,
        train=spec.train,
        size=spec.size,
        evaluate_on=spec.evaluate_on,
    )
