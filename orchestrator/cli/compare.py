"""The command `taurank compare`.

Imports are inside the function: pandas and torch take seconds to import, and --help should not.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from taurank.orchestrator.cli.completion import complete_run
from taurank.orchestrator.cli.terminal import Document, make_console


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN...", help="Folders of runs.", autocompletion=complete_run, show_default=False),
    ],
) -> Document:
    """Compare runs: agreement of their orders on shared candidates, and their costs; nothing is trained."""
    from taurank.orchestrator.report import compare_runs, print_comparison

    found = compare_runs(runs)
    print_comparison(make_console(), found)
    return asdict(found)
