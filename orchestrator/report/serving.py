"""Serves the page of a run on loopback, made again as its log grows. It takes nothing in and writes nothing."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

from taurank.orchestrator.report.page import render_page
from taurank.orchestrator.report.run_page import run_content
from taurank.orchestrator.runs import LOG_FILE, Run, RunError
from taurank.orchestrator.scoring import ScoringError

ADDRESS = "127.0.0.1"
HOSTS = ("127.0.0.1", "localhost", "::1")
"""Names under which the page is asked for, on any port: a tunnel may have another. Others may be a rebound name."""
ASK_SECONDS = 5.0
"""Interval at which an open page asks for a newer one."""
PAUSE_SECONDS, PAUSE_SHARE = 5.0, 5.0
"""Minimal pause between two pages, and the same in times that the last one took to make."""
TIMEOUT_SECONDS = 10.0
_log = logging.getLogger(__name__)


class ServeError(RuntimeError):
    """The page cannot be served; one line with the way out."""


class LivePage:
    """The page of a run, made again when its log has grown.

    Args:
        folder: of the run.
        notes: lines on how the run stands.
    """

    def __init__(self, folder: Path, notes: Callable[[], Sequence[str]]) -> None:
        self._folder, self._notes = folder, notes
        self._lock = Lock()
        self._stamp: tuple[object, ...] = ()
        self._next = 0.0
        self._body, self._tag = b"", ""

    def current(self) -> tuple[bytes, str]:
        """The page and its tag; the last page where the log cannot be read at the moment.

        Raises:
            RunError, EvidenceError: there is no page yet, and the folder is not that of a run.
        """
        with self._lock:
            stamp = self._read_stamp()
            if not self._body or (stamp != self._stamp and time.monotonic() >= self._next):
                began = time.monotonic()
                try:
                    self._body = self._make()
                except (RuntimeError, ValueError, OSError) as error:
                    if not self._body:
                        raise
                    _log.warning("the page stays as it is: %s", error)
                else:
                    self._stamp, self._tag = stamp, f'"{hashlib.sha256(self._body).hexdigest()[:32]}"'
                took = time.monotonic() - began
                self._next = time.monotonic() + max(PAUSE_SECONDS, PAUSE_SHARE * took)
            return self._body, self._tag

    def _read_stamp(self) -> tuple[object, ...]:
        """Changes with the log and with what is known of the run's state."""
        files = [self._folder / f"{LOG_FILE}{end}" for end in ("", "-wal")]
        known = [file.stat() for file in files if file.exists()]
        return *((found.st_size, found.st_mtime_ns) for found in known), self._notes()[:1]

    def _make(self) -> bytes:
        with Run.snapshot(self._folder) as run:
            ranking = score = None
            try:
                ranking = run.rank()
                score = run.score(ranking)
            except (RunError, ScoringError):  # no ranking yet, or no baseline to score it by
                pass
            content = run_content(run, ranking, score, notes=self._notes(), refresh=ASK_SECONDS)
            return render_page(content).encode()


def make_server(page: LivePage, port: int) -> ThreadingHTTPServer:
    """A server of this page on loopback; ``serve_forever`` runs it.

    Args:
        page: the page.
        port: 0 for any that is free.

    Raises:
        ServeError: the port is taken or not allowed.
    """

    class Handler(_Handler):
        served = page

    try:
        server = ThreadingHTTPServer((ADDRESS, port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ServeError(f"--port: {port} cannot be used ({reason}); give another one, or 0 for any") from None
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; the base class refuses every other method."""

    served: LivePage
    timeout = TIMEOUT_SECONDS
    server_version, sys_version = "taurank", ""

    def do_GET(self) -> None:
        """Answers with the page, or with 304 if the asker has it."""
        if urlsplit(f"//{self.headers.get('Host', '')}").hostname not in HOSTS:
            self._end(HTTPStatus.FORBIDDEN, b"this server answers requests for localhost only\n")
        elif self.path.partition("?")[0] != "/":
            self._end(HTTPStatus.NOT_FOUND, b"there is only /\n")
        else:
            body, tag = self.served.current()
            if self.headers.get("If-None-Match") == tag:
                self._end(HTTPStatus.NOT_MODIFIED, b"", tag=tag)
            else:
                self._end(HTTPStatus.OK, body, kind="text/html", tag=tag)

    def do_HEAD(self) -> None:
        """Answers with the headers alone."""
        self.do_GET()

    def _end(self, status: HTTPStatus, body: bytes, *, kind: str = "text/plain", tag: str = "") -> None:
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
        }
        headers |= {"ETag": tag} if tag else {}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not printed."""
        _log.info(format, *args)
