"""Suggestions for unknown names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Returns ` (did you mean 'width'?)`, or an empty string where no known word is similar."""
    close = get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]!r}?)" if close else ""


def hint_or(word: str, known: Iterable[str], otherwise: str) -> str:
    """Returns `did you mean 'width'?`, or `otherwise` where no known word is similar."""
    return suggestion(word, known).strip(" ()") or otherwise
