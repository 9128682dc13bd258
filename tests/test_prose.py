"""Lint of the prose in product code and docs: models, numbers and logs are described as things, in standard terms.

Checked are docstrings, comments, string literals and names in the Python packages, and all text of the documentation.
A finding reads ``file:line: word -> suggestion``. Tests and benchmarks are not checked.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("spaces", "trainables", "schedulers", "orchestrator", "taurank")
DOCS = ("README.md", "CHANGELOG.md", "Makefile", "cluster.yaml", "docs")

SUGGESTIONS = {
    "bought": "measured, trained or computed",
    "buy": "measure, train or compute",
    "buying": "measuring, training or computing",
    "buys": "measures, trains or computes",
    "everybody": "all candidates, or every candidate",
    "everyone": "all candidates, or every candidate",
    "nobody": "no candidate, or none",
    "somebody": "a candidate, or a user",
    "told": "given, reported or recorded",
    "who": "which, or that",
    "whoever": "any candidate that, or any user who",
    "whom": "which",
}

PEOPLE = frozenset(
    {"anyone", "attacker", "author", "authors", "engineers", "people", "person", "reader", "readers", "someone"}
    | {"user", "users"}
)
"""Words for people: `who` right after one of them is correct."""

ALLOWED = (
    r"buy[-_]seed",  # option of `taurank replay`, and its name in Python
)
"""Phrases that are not checked."""

WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
"""A word of prose, or a part of a name: ``AskedWhom`` and ``asked_whom`` have two."""
TOKENS = {"NAME", "STRING", "COMMENT", "FSTRING_MIDDLE"}


def findings(text: str, first_line: int = 1) -> Iterator[tuple[int, str]]:
    """Line and word of each finding in a text."""
    for allowed in ALLOWED:
        text = re.sub(allowed, lambda match: " " * len(match.group()), text)
    previous = ""
    for match in WORD.finditer(text):
        word = match.group().lower()
        if word in SUGGESTIONS and not (word == "who" and previous in PEOPLE):
            yield first_line + text.count("\n", 0, match.start()), word
        previous = word


def findings_in_code(source: str) -> Iterator[tuple[int, str]]:
    """Line and word of each finding in the names, strings and comments of Python code."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if tokenize.tok_name[token.type] in TOKENS:
            yield from findings(token.string, token.start[0])


def report(folder: str) -> list[str]:
    """All findings of a file or folder, as ``file:line: word -> suggestion``."""
    root = ROOT / folder
    lines = []
    for file in sorted(root.rglob("*")) if root.is_dir() else [root]:
        check = {".py": findings_in_code, ".md": findings, ".yaml": findings, "": findings}.get(file.suffix)
        if check is None or not file.is_file():
            continue
        for line, word in check(file.read_text(encoding="utf-8")):
            lines.append(f"{file.relative_to(ROOT)}:{line}: {word} -> {SUGGESTIONS[word]}")
    return lines


@pytest.mark.parametrize("folder", [*PACKAGES, *DOCS])
def test_prose(folder: str) -> None:
    lines = report(folder)
    assert not lines, "\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a user who sets it; readers, who know", []),
        ("the cores whose memory is buffered", []),
        ("taurank replay --buy-seed 1", []),
        ("the candidates who are\nlisted", [(1, "who")]),
        ("Everybody\nis told.", [(1, "everybody"), (2, "told")]),
    ],
)
def test_text(text: str, expected: list[tuple[int, str]]) -> None:
    assert list(findings(text)) == expected


def test_code() -> None:
    source = '"""Shows\nwhoever."""\nbuy_seed = 1  # nobody\nclass AskedWhom: told_to = f"{buy_seed} bought"\n'
    words = ["whoever", "nobody", "whom", "told", "bought"]
    assert list(findings_in_code(source)) == list(zip([2, 3, 4, 4, 4], words, strict=True))
