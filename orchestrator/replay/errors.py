"""What a replay refuses."""

from __future__ import annotations


class ReplayError(ValueError):
    """A replay that cannot be run as it was asked for; one line with the way out."""
