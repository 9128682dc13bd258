"""The page of all benchmarks: what each measures, its command, its results and their date."""

from __future__ import annotations

import ast
import csv
import math
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[2]
MOST_ROWS, MOST_COLUMNS = 40, 12
"""Results of more rows or columns are named, not shown: they hold single draws."""
_MARK = re.compile(r"^<!-- benchmark: (\w+)\.(\w+) -->$", re.M)
_MEANS = re.compile(r"^<!-- means: (\S+\.csv) by (.+?) of (.+?)(?: where (.+?))? -->$", re.M)
_COMMAND = re.compile(r"^    ((?:\w+=\w+ )?python -m benchmarks\..*)$", re.M)


@dataclass(frozen=True)
class Benchmark:
    """One script of `benchmarks/`.

    Attributes:
        area: folder of the script.
        name: name of the script, without its ending.
        text: docstring of the script.
        results: the files that it writes.
    """

    area: str
    name: str
    text: str
    results: tuple[Path, ...]

    @property
    def commands(self) -> list[str]:
        """Commands that run it; the first one measures all."""
        return _COMMAND.findall(self.text)

    @property
    def anchor(self) -> str:
        """Its anchor on the page of all benchmarks."""
        return f"{self.area}-{self.name}"


@cache
def benchmarks() -> tuple[Benchmark, ...]:
    """All scripts that have results."""
    found = []
    for script in sorted((ROOT / "benchmarks").glob("*/*.py")):
        text = ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""
        folder = script.parent / "results"
        named = {folder / name for name in [*re.findall(r"\w+\.csv\b", text), f"{script.stem}.csv"]}
        named |= {
            file for file in folder.glob(f"{script.stem}_*.csv") if not (script.parent / f"{file.stem}.py").exists()
        }
        if _COMMAND.search(text):
            found.append(Benchmark(script.parent.name, script.stem, text, tuple(sorted(filter(Path.is_file, named)))))
    return tuple(found)


@cache
def date_of(file: Path) -> str:
    """Day of the last commit of a file; empty outside a git repository."""
    words = ["git", "log", "-1", "--format=%as", "--", str(file)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def measurement_files() -> dict[str, str]:
    """The page of all benchmarks, by its path in the documentation."""
    return {"measurements/results.md": "\n".join(_page())}


def with_sources(markdown: str) -> str:
    """Replaces the marks of a page by what the results hold now.

    ``<!-- benchmark: AREA.NAME -->`` becomes the command, and the date of its results. ``<!-- means: AREA/FILE.csv by
    COLUMNS of COLUMNS where CONDITION -->`` becomes a table of means over the rows of each group, with their standard
    errors.

    Raises:
        KeyError: a name that no script has, or a column that is not in the results.
    """
    known = {(one.area, one.name): one for one in benchmarks()}

    def source(match: re.Match[str]) -> str:
        one = known[match[1], match[2]]
        dates = sorted({date_of(file) for file in one.results} - {""})
        when = f" of {dates[-1]}" if dates else "" if one.results else ": none yet"
        return f"`{one.commands[0]}`; [results](results.md#{one.anchor}){when}\n{{ .source }}"

    return _MEANS.sub(_means, _MARK.sub(source, markdown))


def _means(match: re.Match[str]) -> str:
    area, _, name = match[1].partition("/")
    rows = pd.read_csv(ROOT / "benchmarks" / area / "results" / name)
    by, of = match[2].split(", "), match[3].split(", ")
    if match[4]:
        rows = rows.query(match[4])
    groups = rows.groupby(by, sort=False, dropna=False)
    means, errors, counts = groups[of].mean(), groups[of].sem(), groups.size()
    lines = [f"| {' | '.join([*by, 'rows', *of])} |", "|" + "---|" * (len(by) + 1 + len(of))]
    for key in means.index:
        cells = [str(part) for part in (key if isinstance(key, tuple) else (key,))]
        cells.append(str(counts[key]))
        cells += [_with_error(means.loc[key, column], errors.loc[key, column]) for column in of]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _with_error(mean: float, error: float) -> str:
    if math.isnan(mean):
        return ""
    return f"{mean:.3g}" if math.isnan(error) or error == 0 else f"{mean:.3f}&nbsp;±&nbsp;{error:.3f}"


def _page() -> Iterator[str]:
    yield "# All results\n"
    yield (
        "Every script in `benchmarks/`, with its command, its results and the day they were committed. Scripts that "
        "read recorded trainings find them in `$TAURANK_DATA`.\n"
    )
    area = ""
    for one in benchmarks():
        if one.area != area:
            area = one.area
            yield f"## {area}\n"
        yield f"### {one.name} {{ #{one.anchor} }}\n"
        yield _COMMAND.sub(r"```text\n\1\n```", one.text).replace("```\n```text\n", "") + "\n"
        for file in one.results:
            yield from _result(file)


def _result(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", newline="") as opened:
        header, *rows = list(csv.reader(opened))
    date = date_of(file)
    about = f"`{file.relative_to(ROOT)}`, {len(rows):,} rows" + (f", {date}" if date else "")
    if len(rows) > MOST_ROWS or len(header) > MOST_COLUMNS:
        yield f"Results: {about}\n"
        return
    yield f'??? note "Results: {about}"\n'
    for cells in (header, ["---"] * len(header), *rows):
        yield "    | " + " | ".join(_short(cell) for cell in cells) + " |"
    yield ""


def _short(cell: str) -> str:
    try:
        return cell if cell.isdigit() else f"{float(cell):.4g}"
    except ValueError:
        return cell.replace("|", "\\|").replace("~", "\\~")
