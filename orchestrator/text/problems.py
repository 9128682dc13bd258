"""Pydantic's findings in terms of the file: one line per problem, each naming its place and the way out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_type_hints

from pydantic import BaseModel, ValidationError

from taurank.spaces.names import hint_or

Path = tuple[str | int, ...]

_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "below {lt:g}",
    "literal_error": "{expected}",
}
_SECTION = ("model_type", "model_attributes_type", "dataclass_type")
_OUT_OF_RANGE = ("greater_than_equal", "greater_than", "less_than_equal", "less_than", "finite_number")
_UNKNOWN = ("extra_forbidden", "unexpected_keyword_argument")
SHOWN_CHARACTERS = 60


class ProblemsError(ValueError):
    """Several problems found by one validator: pairs of a place, relative to the validator's own, and a text."""

    def __init__(self, found: Sequence[tuple[Path, str]]) -> None:
        super().__init__("; ".join(text for _, text in found))
        self.found = tuple(found)


@dataclasses.dataclass(frozen=True)
class _Problem:
    """``kind``: ``missing`` or ``unknown`` key, ``expected`` another value, or ``said``: described by ``text``."""

    path: Path
    kind: Literal["missing", "unknown", "expected", "said"]
    text: str


def hint(word: str, known: Sequence[str]) -> str:
    """End of a message that suggests the known word closest to ``word``; empty if none is close."""
    found = hint_or(word, known, "")
    return f"; {found}" if found else ""


def problem_lines(error: ValidationError, model: type[BaseModel], content: Any) -> list[str]:
    """One line ``place: what is wrong`` per problem, in the order of the file's sections.

    Args:
        error: raised by ``model`` on ``content``.
        model: what the content should have been.
        content: mappings, lists and scalars as they were read.
    """
    problems = [problem for raw in error.errors() for problem in _problems(raw, model, content)]
    lines = []
    for path in dict.fromkeys(problem.path for problem in problems):
        here = [problem for problem in problems if problem.path == path]
        # A misspelt key is reported once, as such, and not also as missing.
        beside = [problem.text for problem in problems if problem.kind == "unknown" and problem.path[:-1] == path[:-1]]
        if here[0].kind == "missing" and any(text.endswith(f"did you mean {path[-1]!r}?") for text in beside):
            continue
        # Each alternative of a field reports its own problem: the one that got furthest is the most specific.
        further = [problem.text for problem in here if problem.kind != "expected"]
        inside = any(other.path[: len(path)] == path and len(other.path) > len(path) for other in problems)
        if not further and not inside:
            further = [_expected([problem.text for problem in here], _value_at(content, path))]
        lines += [f"{'.'.join(map(str, path))}: {text}" if path else text for text in further]
    return list(dict.fromkeys(lines))


def _expected(alternatives: Sequence[str], value: Any) -> str:
    expected = list(dict.fromkeys(alternatives))
    if "a number" in expected and "a whole number" in expected:
        expected.remove("a whole number")
    # Words in quotes are the allowed values.
    words = [word for text in expected for word in text.split("'")[1::2]]
    suggestion = hint(value, words) if isinstance(value, str) else ""
    return f"has to be {' or '.join(expected)}, not {_shown(value)}{suggestion}"


def _problems(raw: Any, model: type[BaseModel], content: Any) -> Iterator[_Problem]:
    kind, context = raw["type"], raw.get("ctx", {})
    path = _place(raw["loc"], content, has_key=kind == "missing")
    if kind in _UNKNOWN:
        yield _Problem(path, "unknown", _unknown_key(path, model))
    elif kind == "missing":
        yield _Problem(path, "missing", "is missing; it has no default")
    elif isinstance(context.get("error"), ProblemsError):
        for below, text in context["error"].found:
            yield _Problem(_place(path + below, content), "said", text)
    elif "error" in context:
        text = str(context["error"])
        # A dataclass checks all its fields in one place, and names them in its message.
        field, section = text.split(" ")[0], _section(_annotation(path, model))
        yield _Problem((*path, field) if section and field in _fields(section) else path, "said", text)
    elif kind in _SECTION or kind in _EXPECTED:
        text = _EXPECTED.get(kind, "").format(**context) or _expected_section(path, model)
        if kind in _OUT_OF_RANGE:
            yield _Problem(path, "said", f"has to be {text}, not {_shown(raw['input'])}")
        else:
            yield _Problem(path, "expected", text)
    else:
        yield _Problem(path, "said", f"{raw['msg']} (found {_shown(raw['input'])})")


def _place(location: Sequence[str | int], content: Any, *, has_key: bool = False) -> Path:
    """The part of pydantic's location that exists in the file, without alternatives of a field and shorthands."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        if _has(content, part):
            content = content[part]
        elif not (has_key and index == len(location) - 1):
            continue
        path.append(part)
    return tuple(path)


def _has(content: Any, part: str | int) -> bool:
    if isinstance(content, dict):
        return part in content
    return isinstance(content, list) and isinstance(part, int) and part < len(content)


def _value_at(content: Any, path: Path) -> Any:
    for part in path:
        content = content[part]
    return content


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."


def _annotation(path: Path, model: type[BaseModel]) -> Any:
    """The type at ``path``, found by walking the models; None if there is no such field."""
    annotation: Any = model
    for part in path:
        if isinstance(part, str):
            section = _section(annotation)
            annotation = _fields(section).get(part) if section else None
    return annotation


def _section(annotation: Any) -> Any:
    """The model or dataclass within an annotation: ``list[X] | None`` gives X."""
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or dataclasses.is_dataclass(annotation)):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _section(inner))), None)


def _fields(section: Any) -> dict[str, Any]:
    if issubclass(section, BaseModel):
        return {field.alias or name: field.annotation for name, field in section.model_fields.items()}
    hints = get_type_hints(section)
    return {field.name: hints[field.name] for field in dataclasses.fields(section)}


def _unknown_key(path: Path, model: type[BaseModel]) -> str:
    key, section = str(path[-1]), _section(_annotation(path[:-1], model))
    allowed = _fields(section) if section else {}
    suggestion = hint(key, list(allowed))
    if not suggestion:
        elsewhere = [name for name, inner in allowed.items() if (below := _section(inner)) and key in _fields(below)]
        suggestion = f"; did you mean {f'{elsewhere[0]}.{key}'!r}?" if elsewhere else ""
    return f"unknown key{suggestion or '; known keys: ' + ', '.join(allowed)}"


def _expected_section(path: Path, model: type[BaseModel]) -> str:
    annotation = _annotation(path, model)
    section = _section(annotation)
    keys = f" ({', '.join(_fields(section))})" if section else ""
    null = " or null" if type(None) in get_args(annotation) and not (path and isinstance(path[-1], int)) else ""
    return f"keys and values{keys}{null}"
