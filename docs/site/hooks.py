"""Hooks of MkDocs: adds the generated pages, and checks that no page loads anything from the network."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from measurements import measurement_files, with_sources
from mkdocs.structure.files import File, Files
from reference import reference_files

log = logging.getLogger("mkdocs.hooks")
_LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//|<link\b[^>]*stylesheet[^>]*//")
"""An element that a browser would fetch from another host. Links that a reader follows are none."""


def on_files(files: Files, config: Any) -> Files:
    """Adds the pages that are generated from the code, and from the results of the benchmarks."""
    for path, content in {**reference_files(), **measurement_files()}.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Writes the command and the date below the measurements that name their benchmark."""
    return with_sources(markdown)


def on_post_build(config: Any) -> None:
    """Warns, and so fails a strict build, where a page would load something from the network."""
    for page in Path(config.site_dir).rglob("*.html"):
        if _LOADED.search(page.read_text(encoding="utf-8")):
            log.warning("%s loads something from the network", page.relative_to(config.site_dir))
