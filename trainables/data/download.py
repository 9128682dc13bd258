"""Fetching a data set, through torchvision, which knows the addresses and checks the published MD5 sums."""

import logging
from pathlib import Path

from trainables.data.errors import DataError

logger = logging.getLogger(__name__)


def download(name: str, torchvision_name: str, root: Path, *, origin: str, megabytes: int) -> None:
    """Fetches a data set into torchvision's own folder below `root`; says so before it begins.

    Args:
        name: The data set, for the lines shown.
        torchvision_name: Its class in `torchvision.datasets`.
        root: Made where it does not exist.
        origin: Where the files come from, for the lines shown.
        megabytes: Size of the files to fetch.

    Raises:
        DataError: The files could not be fetched.
    """
    # A warning, so that it is seen where logging has not been set up: nothing is fetched by surprise.
    logger.warning("Downloading %s from %s (%d MB) into %s", name, origin, megabytes, root)
    from spaces.torchvision_import import import_torchvision  # takes a second, rarely needed

    fetch = getattr(import_torchvision().datasets, torchvision_name)
    try:
        fetch(str(root), train=True, download=True)
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{name}: cannot be fetched from {origin} into {root} ({reason});"
            " fetch it on another machine and point --data-dir at the folder that holds it"
        ) from error
