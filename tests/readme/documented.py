"""What README and docs show: the commands in their text, and the Python in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))
OWN_TRAINING = next(page for page in PAGES if page.endswith("/own-training.md"))
"""The page whose module and experiment its commands use."""
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.M | re.S)
_SPAN = re.compile(r"`(taurank [^`]+)`")
_NAME_ALONE = re.compile(r"taurank (table )?[a-z-]+( (RUN|DIR|FOLDER|NAME( --run (RUN|DIR))?))?")
"""A span that names a command in running text, as `taurank why` does, is not an example of its use."""


def commands(page: str) -> Iterator[str]:
    """Commands that a page shows, in blocks and in running text, comments removed."""
    shown = (ROOT / page).read_text(encoding="utf-8")
    for _, language, block in _BLOCK.findall(shown):
        if language in ("bash", "console"):
            for line in block.replace("\\\n", " ").splitlines():
                command = " ".join(re.sub(r"(^|\s)#.*", "", line).removeprefix("$ ").split())
                if command and (language == "bash" or line.startswith("$ ")):
                    yield command
    for span in _SPAN.findall(_BLOCK.sub("", shown)):
        command = " ".join(span.split())
        if not _NAME_ALONE.fullmatch(command):
            yield command


def snippets(page: str, language: str) -> list[str]:
    """Blocks of Python (``python``, or ``pycon`` for a session) that a page shows."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [block for _, found, block in _BLOCK.findall(text) if found == language]
