"""The command `taurank serve`.

Imports are inside the functions: pandas and torch take seconds to import, and --help should not.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated

import typer

from taurank.orchestrator.cli.runs import Folder
from taurank.orchestrator.cli.status import headline, status_lines
from taurank.orchestrator.cli.terminal import Document, make_console
from taurank.orchestrator.text import print_line

PORT = 8765


def serve(
    folder: Folder,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Of the page; 0 for any free one.")] = PORT,
) -> Document:
    """Show the report of a run in a browser, refreshed while the run works; on loopback only, until Ctrl-C."""
    from taurank.orchestrator.report import ADDRESS, LivePage, make_server
    from taurank.orchestrator.session import run_status

    def notes() -> list[str]:
        found, now = run_status(folder), time.time()
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        return [headline(found), *status_lines(found, now), f"this page: from the log as it was at {at}"]

    page = LivePage(folder, notes)
    page.current()
    with make_server(page, port) as server:
        url = f"http://{ADDRESS}:{server.server_port}/"
        print_line(make_console(), f"{url} shows {folder}; Ctrl-C ends it")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return {"folder": folder, "url": url}
