"""Fetching a data set, through torchvision, which knows the addresses and checks the published MD5 sums."""

import logging
from pathlib import Path

from taurank.trainables.data.errors import DataError
from taurank.trainables.data.published import Published

logger = logging.getLogger(__name__)


def download(name: str, published: Published, root: Path) -> None:
    """Downloads a data set into torchvision's folder below `root`, after a line in the log.

    Args:
        name: The data set, for the lines shown.
        published: Where it comes from.
        root: Made where it does not exist.

    Raises:
        DataError: The files could not be fetched.
    """
    # A warning, so that it is seen where logging has not been set up: nothing is fetched by surprise.
    origin = published.origin
    logger.warning("Downloading %s from %s (%d MB) into %s", name, origin, published.megabytes, root)
    from taurank.spaces.zoo import import_torchvision

    fetch = getattr(import_torchvision().datasets, published.torchvision_name)
    try:
        for part in published.fetched:
            fetch(str(root / published.fetched_into), **part, download=True)
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{name}: cannot be fetched from {origin} into {root} ({reason});"
            " fetch it on another machine and point --data-dir at the folder that holds it"
        ) from error
