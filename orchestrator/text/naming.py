"""Which candidate somebody means: by its code, its short name, the name of one of its trials, or how one begins."""

from __future__ import annotations

from collections.abc import Mapping

from taurank.orchestrator.text.problems import hint

SHOWN = 8
"""Names that a message lists."""


class UnknownCandidateError(ValueError):
    """A name that is of no candidate, or of several; one line with the way out."""


def find_candidate(text: str, names: Mapping[str, str], trials: Mapping[str, str]) -> str:
    """The code of the candidate that ``text`` names.

    A whole name goes before the beginning of one. White space does not count.

    Args:
        text: a code, a short name, a trial, or the beginning of one that no other candidate has.
        names: short names by code.
        trials: codes by trial.

    Raises:
        UnknownCandidateError: no candidate is called so, or several are.
    """
    wanted = "".join(text.split())
    known: dict[str, set[str]] = {}
    for name, code in [*((code, code) for code in names), *((name, code) for code, name in names.items())]:
        known.setdefault(name, set()).add(code)
    for trial, code in trials.items():
        known.setdefault("".join(trial.split()), set()).add(code)
    whole = known.get(wanted, set())
    found = whole or {code for name, codes in known.items() if wanted and name.startswith(wanted) for code in codes}
    if len(found) == 1:
        return found.pop()
    if not found:
        raise UnknownCandidateError(
            f"{text!r} is none of the {len(names):,} candidates of the run, by code, short name or trial"
            f"{hint(wanted, list(known)) or f'; they are called as {next(iter(names.values()))!r}'}"
        )
    # A short name that several have tells them apart no more.
    told = sorted(code if whole else names[code] for code in found)
    more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    raise UnknownCandidateError(f"{text!r} may be {', '.join(told[:SHOWN])}{more}; give the whole name")
