"""Pages of the documentation: where they are named, they exist. `make docs` checks the links between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from docs.site.measurements import benchmarks, measurement_files, with_sources
from docs.site.reference import reference_files

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = {*reference_files(), *measurement_files()}
SOURCES = (
    "README.md",
    "CHANGELOG.md",
    "cluster.yaml",
    "Makefile",
    "docs",
    "orchestrator",
    "schedulers",
    "spaces",
    "trainables",
    "taurank",
)
_NAMED = re.compile(r"\bdocs/[\w/.-]+\.(?:md|yaml|ipynb|py)\b")


def texts() -> Iterator[tuple[Path, str]]:
    for source in SOURCES:
        for file in [ROOT / source] if (ROOT / source).is_file() else sorted((ROOT / source).rglob("*")):
            if file.suffix in (".md", ".py", ".yaml", ".yml") or file.name == "Makefile":
                yield file, file.read_text(encoding="utf-8")


def test_pages_that_are_named_exist() -> None:
    named = {(file, place) for file, text in texts() for place in _NAMED.findall(text)}
    assert len(named) > 10
    missing = [f"{file}: {place}" for file, place in named if not (ROOT / place).is_file()]
    missing = [line for line in missing if line.partition(": docs/")[2] not in GENERATED]
    assert not missing, "\n".join(missing)


def test_links_of_the_readme_exist() -> None:
    links = re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert links
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]


def test_every_page_is_in_the_navigation() -> None:
    class Loader(yaml.SafeLoader):
        pass

    nav = yaml.load((DOCS / "site" / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]

    def pages(part: object) -> Iterator[str]:
        if isinstance(part, str):
            yield part
        for inner in part if isinstance(part, list) else part.values() if isinstance(part, dict) else ():
            yield from pages(inner)

    written = {str(file.relative_to(DOCS)) for file in DOCS.rglob("*.md")}
    written = {file for file in written if not file.startswith("decisions/")}
    listed = list(pages(nav))
    assert len(listed) == len(set(listed))
    assert set(listed) == written | GENERATED


def test_generated_pages_are_not_kept() -> None:
    assert not [page for page in GENERATED if (DOCS / page).exists()]


def test_measurements_name_their_benchmarks() -> None:
    named = set()
    for page in (DOCS / "measurements").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        named |= set(re.findall(r"<!-- benchmark: (\w+\.\w+) -->", text))
        assert "<!--" not in with_sources(text), page
    measured = {f"{one.area}.{one.name}" for one in benchmarks() if one.results}
    assert not measured - named, "no page shows what these measured"


def test_means_are_those_of_the_results() -> None:
    mark = "<!-- means: ranker/ranker_time.csv by n of gib where n == 100 -->"
    assert with_sources(mark) == "| n | rows | gib |\n|---|---|---|\n| 100 | 1 | 0.616 |"


def test_an_unknown_benchmark_is_refused() -> None:
    with pytest.raises(KeyError):
        with_sources("<!-- benchmark: ranker.nothing -->")
