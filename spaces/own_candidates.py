"""Candidates that the user's own training code trains: names and mappings of options, of any task and framework."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from taurank.spaces.architecture import Architecture, Distinct, SearchSpace, SpaceError, draw

if TYPE_CHECKING:
    from torch import nn

Candidate = str | dict[str, Any]
"""A name, or a mapping of options, as training code receives it."""
NAME = "name"
"""Key of a mapping for the name that stands for it in tables."""
LONGEST = 500
"""Characters of a name."""
WIDE = 100.0
"""Ratio of the largest to the smallest of positive numbers from which their logarithm is the feature."""

_WORD = re.compile(r"[^\W\d][\w.-]*")


def candidate_code(candidate: object) -> str:
    """The canonical code of a candidate: a name itself, a mapping as JSON with sorted keys.

    Example:
        >>> candidate_code({"trees": 30, "depth": 3}), candidate_code("ridge")
        ('{"depth": 3, "trees": 30}', 'ridge')

    Raises:
        SpaceError: Neither a name nor a mapping, or a mapping that JSON cannot hold.
    """
    if isinstance(candidate, str):
        text = candidate.strip()
        if text.startswith("{"):
            return candidate_code(_mapping_in(text))
        if not text or len(text) > LONGEST or not text.isprintable():
            raise SpaceError(f"code: {candidate[:60]!r} is not a name: give one line of 1 to {LONGEST} characters")
        return text
    if not isinstance(candidate, Mapping):
        raise SpaceError(
            f"code: {candidate!r} is neither a name nor a mapping of options; write text (in quotes if it looks like "
            "a number), or {depth: 3}"
        )
    if not candidate or not all(isinstance(key, str) for key in candidate):
        raise SpaceError(f"code: {dict(candidate)!r} needs at least one option, and names of options are text")
    try:
        return json.dumps(candidate, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise SpaceError(
            f"code: {dict(candidate)!r} has a value that is not text, a finite number, true, false, null, or lists and "
            "mappings of these"
        ) from None


def candidate_of(code: str) -> Candidate:
    """The candidate of a code: the inverse of `candidate_code`."""
    return _mapping_in(code) if code.startswith("{") else code


def _mapping_in(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise SpaceError(f"code: {text[:60]!r} begins like a mapping of options, and is not one in JSON")
    return found


class OwnCandidates(SearchSpace):
    """Candidates without networks of ours: a trainable of the user's own takes each as it is.

    Args:
        candidates: Names, and mappings of options. A mapping may have a ``name``, which tables show for it.
        features: Numbers by column, each by code; every candidate has one in every column. Numbers, switches and
            choices in the options of mappings are features, too.
    """

    name = "own"

    def __init__(
        self,
        candidates: Sequence[Candidate] = (),
        features: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        self._candidates, self._given = candidates, features or {}

    @cached_property
    def candidates(self) -> list[str]:
        """Their codes."""
        return [candidate_code(candidate) for candidate in self._candidates]

    @property
    def options(self) -> dict[str, Any]:
        """Keyword options of the constructor."""
        return {"candidates": self.candidates, "features": {name: dict(values) for name, values in self._given.items()}}

    @property
    def size(self) -> int:  # type: ignore[override]
        """Number of candidates."""
        return len(self._candidates)

    @cached_property
    def by_name(self) -> dict[str, str]:
        """Codes by the names that tables show.

        Raises:
            SpaceError: Two candidates are equal, or have one name.
        """
        found: dict[str, str] = {}
        for code in self.candidates:
            name = _short(code)
            if name in found:
                same = "is listed twice" if found[name] == code else "names two candidates"
                raise SpaceError(f"candidates: {name!r} {same}; leave one, or give them different names")
            found[name] = code
        return found

    def parse(self, text: str) -> Architecture:
        """Parses a code, the name of a candidate, or a new candidate."""
        text = text.strip()
        code = self.by_name.get(text) or candidate_code(text)
        if code not in self.by_name.values() and not code.startswith("{") and self._only_mappings:
            raise SpaceError(f"code: {text!r} is none of the candidates, which are mappings; give one in JSON")
        return Architecture(self.name, code)

    @cached_property
    def _only_mappings(self) -> bool:
        return bool(self.candidates) and all(code.startswith("{") for code in self.candidates)

    def _enumerate(self) -> Iterator[Architecture]:
        for code in self.candidates:
            yield Architecture(self.name, code)

    def sample(
        self, count: int, generator: np.random.Generator, *, distinct: Distinct = "function"
    ) -> list[Architecture]:
        """Draws candidates uniformly and without repeats."""
        return draw(list(self._enumerate()), count, generator, "candidates")

    def canonical(self, architecture: Architecture) -> Architecture:
        """The architecture itself: nothing is known of what it computes."""
        self.code_of(architecture)
        return architecture

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """None: candidates have no decisions in common."""
        self.code_of(architecture)
        return []

    def short(self, architecture: Architecture) -> str:
        """The name of a candidate, or its options without the quotes of JSON."""
        return _short(self.code_of(architecture))

    def build(self, architecture: Architecture, *, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
        """Refuses: only the user's own code can build a candidate.

        Raises:
            SpaceError: Always.
        """
        raise SpaceError(f"code: {self.short(architecture)} is built by own training code (trainable), not by taurank")

    @property
    def feature_names(self) -> tuple[str, ...]:  # type: ignore[override]
        """The columns of the given features, then those of options."""
        return tuple(self._columns)

    def features(self, architecture: Architecture) -> NDArray[np.float64]:
        """The given numbers, then those of the options: numbers, switches as 0 or 1, choices as one column each.

        A positive number that ranges over more than two powers of ten is a logarithm. An option that a candidate lacks
        has the mean of the others.
        """
        code = self.code_of(architecture)
        return np.array([values[code] for values in self._columns.values()], dtype=float)

    @cached_property
    def _columns(self) -> dict[str, dict[str, float]]:
        known = set(self.candidates)
        for column, values in self._given.items():
            lacking = [code for code in self.candidates if code not in values]
            if lacking:
                raise SpaceError(f"features: {column} has no value for {_short(lacking[0])}; every candidate needs one")
        given = {
            column: {code: float(value) for code, value in values.items() if code in known}
            for column, values in self._given.items()
        }
        return given | {name: values for name, values in self._of_options() if name not in given}

    def _of_options(self) -> Iterator[tuple[str, dict[str, float]]]:
        options = {
            code: _flat(found) if isinstance(found := candidate_of(code), dict) else {} for code in self.candidates
        }
        for key in sorted({key for own in options.values() for key in own} - {NAME}):
            values = {code: own[key] for code, own in options.items() if key in own}
            if all(isinstance(value, (bool, int, float)) for value in values.values()):
                numbers = np.array([float(values.get(code, math.nan)) for code in self.candidates])
                known = numbers[np.isfinite(numbers)]
                if known.min() > 0 and known.max() >= WIDE * known.min():
                    numbers = np.log(numbers)
                numbers = np.where(np.isfinite(numbers), numbers, np.nanmean(numbers))
                yield key, dict(zip(self.candidates, numbers.tolist(), strict=True))
                continue
            choices = sorted({str(value) for value in values.values()})
            for choice in choices if 1 < len(choices) <= len(self.candidates) // 2 else ():
                yield (
                    f"{key}={choice}",
                    {code: float(str(options[code].get(key)) == choice) for code in self.candidates},
                )


def _flat(options: Candidate, prefix: str = "") -> dict[str, bool | int | float | str]:
    """Options that are numbers, switches or text; those of mappings within, by `outer.inner`; a name has none."""
    found: dict[str, bool | int | float | str] = {}
    if isinstance(options, str):
        return found
    for key, value in options.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, (bool, int, float, str)):
            found[prefix + key] = value
    return found


def _short(code: str) -> str:
    options = candidate_of(code)
    if isinstance(options, str):
        return options
    name = options.get(NAME)
    if isinstance(name, str) and name.strip():
        return name.strip()
    return ", ".join(f"{key}={_text_of(value)}" for key, value in options.items())


def _text_of(value: Any) -> str:
    plain = isinstance(value, str) and _WORD.fullmatch(value) and value not in ("true", "false", "null")
    return str(value) if plain else json.dumps(value, sort_keys=True, ensure_ascii=False)
