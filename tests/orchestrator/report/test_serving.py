"""`taurank serve`: the page of a run over loopback, as its log grows; nothing else is answered."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.report import LivePage, ServeError, make_server
from taurank.orchestrator.report import serving as module
from taurank.orchestrator.runs import RunError


@pytest.fixture
def served(run_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A server of a run, and how to ask it."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(module, "PAUSE_SHARE", 0.0)
    notes = ["run: running"]
    server = make_server(LivePage(run_folder, lambda: notes), 0)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()

    def ask(method: str = "GET", path: str = "/", **headers: str) -> tuple[HTTPResponse, bytes]:
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=120)
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    yield SimpleNamespace(folder=run_folder, server=server, ask=ask, notes=notes)
    server.shutdown()
    thread.join(60)
    server.server_close()


def test_it_shows_the_run_and_what_was_added_since(served: SimpleNamespace, codes: tuple[str, ...]) -> None:
    def files() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in served.folder.iterdir()}

    before = files()
    answer, body = served.ask()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    page, tag = body.decode(), answer.headers["ETag"]
    assert "run: running" in page
    assert '"refresh":5.0' in page
    assert files() == before  # nothing was written
    answer, body = served.ask(If_None_Match=tag)
    assert (answer.status, body) == (304, b"")
    log = EvidenceLog(served.folder / "evidence.sqlite")
    trial = f"training-40/{codes[0]}/seed 0"
    log.append([Evidence("training-40", trial, codes[0], "training", 1, 40, 0, "validation_accuracy", 0.5, 9.0, 1.0)])
    log.append_event("training-40", trial, "started")
    answer, body = served.ask(If_None_Match=tag)
    assert answer.status == 200
    assert '"words":"training-40: unfinished at 1 of 40 epochs"' in body.decode()
    log.close()


def test_head_has_the_headers_alone(served: SimpleNamespace) -> None:
    answer, body = served.ask("HEAD")
    assert (answer.status, body) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 10_000


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "localhost.:1"])
def test_names_that_may_be_rebound_are_refused(served: SimpleNamespace, host: str) -> None:
    answer, body = served.ask(Host=host)
    assert answer.status == 403
    assert b"Take" not in body


def test_a_tunnel_may_have_another_port(served: SimpleNamespace) -> None:
    assert served.ask("HEAD", Host="localhost:1234")[0].status == 200
    assert served.ask("HEAD", Host="[::1]:1234")[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_nothing_can_be_sent_to_it(served: SimpleNamespace, method: str) -> None:
    assert served.ask(method)[0].status == 501


@pytest.mark.parametrize("path", ["/evidence.sqlite", "/../../etc/passwd", "//etc/passwd", "/%2e%2e/experiment.yaml"])
def test_there_are_no_files(served: SimpleNamespace, path: str) -> None:
    assert served.ask(path=path)[0].status == 404


def test_it_listens_on_loopback_only(served: SimpleNamespace) -> None:
    assert served.server.server_address[0] == "127.0.0.1"


def test_the_last_page_stays_where_the_log_cannot_be_read(served: SimpleNamespace) -> None:
    tag = served.ask("HEAD")[0].headers["ETag"]
    served.notes[0] = "run: interrupted"
    (served.folder / "experiment.yaml").write_text("space: [", encoding="utf-8")
    assert served.ask(If_None_Match=tag)[0].status == 304


def test_a_run_without_a_ranking_has_a_page(run_folder: Path, codes: tuple[str, ...]) -> None:
    (run_folder / "evidence.sqlite").unlink()
    EvidenceLog(run_folder / "evidence.sqlite").append_event("size", "", "started")
    body, _ = LivePage(run_folder, lambda: ["run: running"]).current()
    assert b"No ranking yet" in body
    assert b"run: running" in body


def test_what_is_no_run_is_refused(tmp_path: Path, taurank: Callable[..., tuple[int, str, str]]) -> None:
    with pytest.raises(RunError, match="is not the folder of a run"):
        LivePage(tmp_path, list).current()
    code, _, err = taurank("serve", tmp_path)
    assert code == 2
    assert err.startswith("taurank: ")
    assert err.count("\n") == 1


def test_a_port_that_is_taken(run_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeError, match=f"--port: {port} cannot be used .*; give another one, or 0 for any"):
            make_server(LivePage(run_folder, list), port)


def test_the_command_ends_with_ctrl_c(
    run_folder: Path, taurank: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(server: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("http.server.ThreadingHTTPServer.serve_forever", interrupted)
    code, out, err = taurank("serve", run_folder, "--port", 0, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["url"].startswith("http://127.0.0.1:")
