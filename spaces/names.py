"""Names that are not known: which one was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Follows an unknown word in a message: ` (did you mean 'width'?)`, or nothing where no known word is like it."""
    close = get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {close[0]!r}?)" if close else ""


def hint_or(word: str, known: Iterable[str], otherwise: str) -> str:
    """Ends a message about an unknown word: `did you mean 'width'?`, or `otherwise` where no known word is like it."""
    return suggestion(word, known).strip(" ()") or otherwise
