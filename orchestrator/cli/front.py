"""The command `taurank front`.

Imports are inside the function: torch and Ray take seconds to import, and --help should not.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from taurank.orchestrator.cli.runs import Folder
from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console
from taurank.orchestrator.text import print_line


def front(
    folder: Folder,
    against: Annotated[
        Literal["latency", "flops", "parameters"] | None,
        typer.Option(
            "--against", help="The cost. Default: latency where it was measured, else flops.", show_default=False
        ),
    ] = None,
) -> Document:
    """Show the Pareto front of accuracy and cost, with probabilities; writes front.csv."""
    from taurank.orchestrator.evidence import BASELINE
    from taurank.orchestrator.report import print_front
    from taurank.orchestrator.runs import Run
    from taurank.orchestrator.scoring import FRONT_FILE, known_cost, make_front

    opened = Run.open(folder)
    rows = opened.log.evidence()
    evidence = rows[rows["stage"] != BASELINE]
    found = make_front(opened.rank(), evidence, against or known_cost(evidence) or "flops")
    console = make_console()
    print_front(console, found, opened.names, metric=opened.experiment.ranked_metric)
    found.write(opened.folder)
    print_line(make_progress_console(), f"written: {FRONT_FILE} in {opened.folder}")
    return {"folder": opened.folder, "against": found.against, "front": found.table.to_dict("records")}
