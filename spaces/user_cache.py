"""Where taurank keeps what it can compute again."""

import os
from pathlib import Path


def cache_folder(cache: Path | None = None) -> Path:
    """`cache`, else `taurank` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    return cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "taurank"
