"""Finds a candidate by its code, its short name, the name of one of its trials, or a part of one that is unique."""

from __future__ import annotations

from collections.abc import Mapping

from taurank.orchestrator.text.problems import hint

SHOWN = 8
"""Maximal number of names in a message."""


class UnknownCandidateError(ValueError):
    """A name of no candidate, or of several; one line with the way out."""


def find_candidate(text: str, names: Mapping[str, str], trials: Mapping[str, str]) -> str:
    """The code of the candidate that ``text`` names.

    A complete name takes precedence over a beginning, that over an end, and that over any other part. White space is
    ignored, and so is case where nothing else fits.

    Args:
        text: a code, a short name, a trial, or a part of one that no other candidate has.
        names: short names by code.
        trials: codes by trial.

    Raises:
        UnknownCandidateError: no candidate has that name, or several have.
    """
    wanted = "".join(text.split())
    known: dict[str, set[str]] = {}
    for name, code in [*((code, code) for code in names), *((name, code) for code, name in names.items())]:
        known.setdefault(name, set()).add(code)
    for trial, code in trials.items():
        known.setdefault("".join(trial.split()), set()).add(code)
    whole = known.get(wanted, set())
    found = whole or (_by_part(wanted, known) if wanted else set())
    if len(found) == 1:
        return found.pop()
    if not found:
        raise UnknownCandidateError(
            f"{text!r} is none of the {len(names):,} candidates of the run, by code, short name or trial"
            f"{hint(wanted, list(known)) or f'; names look like {next(iter(names.values()))!r}'}"
        )
    # A short name that several candidates share does not identify one.
    matches = sorted(code if whole else names[code] for code in found)
    more = f" and {len(matches) - SHOWN} more" if len(matches) > SHOWN else ""
    raise UnknownCandidateError(f"{text!r} may be {', '.join(matches[:SHOWN])}{more}; give the whole name")


def _by_part(wanted: str, known: Mapping[str, set[str]]) -> set[str]:
    """Codes of the names that begin with a text, else of those that end with it, else of those that have it."""
    for fold in (str, str.casefold):
        sought = fold(wanted)
        for has in (str.startswith, str.endswith, str.__contains__):
            found = {code for name, codes in known.items() if has(fold(name), sought) for code in codes}
            if found:
                return found
    return set()
