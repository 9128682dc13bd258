"""What all commands have in common: JSON, how much is printed, how wide it is, completion, exit codes."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import typer
from rich.console import Console
from rich.table import Table

from taurank.orchestrator.cli import app
from taurank.orchestrator.cli.completion import complete_experiment, complete_plan, complete_run, complete_space
from taurank.orchestrator.cli.terminal import Output
from taurank.orchestrator.report import report_run
from taurank.orchestrator.text import MiddleElided, as_json, make_console
from taurank.orchestrator.text.console import PIPED_WIDTH
from taurank.trainables.table import RecordedTable, write_table

Taurank = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[3]
CSV = "net,ep,acc\na,1,50\na,2,60\nb,1,55\nb,2,65.5\n"
STARTS_RAY = {"run", "search", "resume", "extend"}
SERVES = {"serve"}
"""Ends with Ctrl-C; tests/orchestrator/report/test_serving.py has its document."""


@pytest.fixture
def arguments(
    run_folder: Path, codes: tuple[str, ...], table: RecordedTable, tmp_path: Path
) -> dict[str, list[object]]:
    """What each command is given that does not start Ray."""
    recorded, curves = tmp_path / "recorded.parquet", tmp_path / "curves.csv"
    write_table(table, recorded)
    curves.write_text(CSV)
    photos = tmp_path / "photos"
    for name in ("ant", "bee"):
        (photos / name).mkdir(parents=True)
        cv2.imwrite(str(photos / name / "0.png"), np.zeros((9, 9, 3), np.uint8))
    columns = ["--map", "architecture=net,value=acc,epoch=ep", "--set", "metric=validation_accuracy,schedule_epochs=2"]
    return {
        "spaces": ["mnist*"],
        "experiments": [],
        "proxies": [],
        "models": ["torchvision:squeezenet1_1", "--size", 64],
        "plan": ["quickstart"],
        "rank": [run_folder],
        "next": [curves, "--metric", "acc", "--full-epochs", 4, "--epochs", 4, "--columns", "epoch=ep"],
        "score": [run_folder],
        "front": [run_folder],
        "status": [run_folder],
        "compare": [run_folder, shutil.copytree(run_folder, tmp_path / "other")],
        "why": [codes[0], "--run", run_folder],
        "replay": ["--table", recorded, "--candidates", 12, "--budget", "3x", "--truth", "seeds 1,2", "--draws", 1],
        "table show": [recorded],
        "data pack": [f"folder:{photos}", "--out", tmp_path / "f.pack"],
        "data check": [tmp_path / "f.pack"],
        "table import": [curves, "--out", tmp_path / "t.parquet", *columns, "--percent"],
    }


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def commands() -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        yield from (f"{name} {below}" for below in command.commands) if hasattr(command, "commands") else [name]


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def test_every_command_prints_one_json_document(arguments: dict[str, list[object]], taurank: Taurank) -> None:
    assert set(commands()) == set(arguments) | STARTS_RAY | SERVES
    for name, given in arguments.items():
        code, out, err = taurank(*name.split(), *given, "--json")
        assert code == 0, (name, err)
        document = json.loads(out, parse_constant=refuse)
        assert isinstance(document, dict), name
        assert document, name


def test_options_stand_before_or_after_the_command(taurank: Taurank) -> None:
    before, after = taurank("--json", "experiments"), taurank("experiments", "--json")
    assert before == after
    assert [one["name"] for one in json.loads(before[1])["experiments"]][-1] == "quickstart"
    assert taurank("-q", "experiments") == taurank("experiments", "--quiet")


def test_the_document_of_a_run(run_folder: Path, taurank: Taurank) -> None:
    _, out, err = taurank("score", run_folder, "--json")
    document = json.loads(out)
    assert document["folder"] == str(run_folder)
    assert [row["rank"] for row in document["ranking"]] == list(range(1, 25))
    assert {"name", "architecture", "tier", "rank_low", "predicted_accuracy"} <= set(document["ranking"][0])
    assert document["score"]["n"] == 24
    assert document["score"]["low"] <= document["score"]["tau"] <= document["score"]["high"]
    # 24 short trainings of 2 epochs and 3 full ones of 40.
    assert document["cost"]["epochs"] == 168
    assert "against full training" in err


def test_a_run_ends_with_its_document_and_the_progress_is_apart(
    run_folder: Path, taurank: Taurank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Ray would do is left out: the run is over, and its images are not read."""

    def run_campaign(run: Any, data: Any, *, console: Console, **_: Any) -> Any:
        console.print("stage one")
        print("a module of the user's own prints this")
        return report_run(run, console)

    monkeypatch.setattr("taurank.orchestrator.campaigns.campaign.run_campaign", run_campaign)
    monkeypatch.setattr("taurank.orchestrator.campaigns.starting.experiment_images", lambda *_, **__: None)
    code, out, err = taurank("resume", run_folder, "--json")
    assert code == 0
    assert json.loads(out)["ranking"][0]["rank"] == 1
    assert "stage one" in err
    assert "a module of the user's own prints this" in err
    code, out, err = taurank("resume", run_folder, "--quiet")
    assert code == 0
    assert out.splitlines()[0] == "a module of the user's own prints this"
    assert out.splitlines()[1:] == [
        f"written: ranking.csv, ranking.parquet, front.csv, report.html, evidence.sqlite in {run_folder}"
    ]
    assert err == ""


def test_quiet_prints_results_alone(arguments: dict[str, list[object]], taurank: Taurank) -> None:
    _, loud, _ = taurank("replay", *arguments["replay"])
    code, out, err = taurank("replay", *arguments["replay"], "-q")
    assert (code, err) == (0, "")
    assert "draw 0" in loud
    assert "draw 0" not in out
    assert "tau" in out
    _, out, _ = taurank("rank", *arguments["rank"], "-q")
    assert len(out.splitlines()) == 1
    assert out.startswith("written: ranking.csv")


def test_verbose_says_what_is_read_and_shows_where_a_mistake_was_found(taurank: Taurank, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: [\n")
    code, _, err = taurank("-v", "run", file)
    assert code == 2
    assert f"the experiment is read from {file}" in err
    assert "Traceback" in err
    assert err.splitlines()[-1].startswith(f"taurank: {file}: line 2")
    _, _, plain = taurank("run", file)
    assert plain.splitlines() == [err.splitlines()[-1]]


def test_quiet_and_verbose_contradict(taurank: Taurank) -> None:
    code, _, err = taurank("experiments", "-q", "-v")
    assert code == 2
    assert "give one of the two" in err


def test_mistakes_are_no_json(taurank: Taurank) -> None:
    code, out, err = taurank("rank", "/nowhere", "--json")
    assert (code, out) == (2, "")
    assert err.startswith("taurank: /nowhere is not the folder of a run")


def test_ctrl_c_ends_a_command_with_130(taurank: Taurank, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("taurank.spaces.list_spaces", interrupted)
    code, out, err = taurank("spaces")
    assert (code, out, err) == (130, "", "interrupted\n")


def test_version(taurank: Taurank) -> None:
    code, out, err = taurank("--version")
    assert (code, err) == (0, "")
    assert out.startswith("taurank 0.1.0 (Python 3.")
    assert "torch 2." in out
    assert "ray 2." in out


def test_json_of_numbers_that_json_lacks() -> None:
    import numpy as np

    found = as_json({"a": [np.float64("nan"), np.int64(3), float("inf")], "b": (np.bool_(True),), "c": Output()})
    assert found == {"a": [None, 3, None], "b": [True], "c": {"level": "normal", "json": False}}
    assert as_json({"d": frozenset({"y", "x"}), "e": Path("runs") / "x", 2: np.arange(2)}) == {
        "d": ["x", "y"],
        "e": "runs/x",
        "2": [0, 1],
    }


class TestWidths:
    @pytest.mark.parametrize("width", [80, 120])
    def test_no_line_of_a_table_is_longer(
        self, width: int, arguments: dict[str, list[object]], taurank: Taurank, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Sentences are left to the terminal, which breaks them where it ends; rows of a table are not."""
        printed: list[Table] = []
        whole = Console.print

        def keep(console: Console, *things: Any, **options: Any) -> None:
            printed.extend(thing for thing in things if isinstance(thing, Table))
            whole(console, *things, **options)

        monkeypatch.setattr(Console, "print", keep)
        for name in ("spaces", "experiments", "models", "plan", "score", "front", "table show", "replay"):
            printed.clear()
            assert taurank(*name.split(), *arguments[name], columns=width)[0] == 0
            assert printed, name
            for table in printed:
                out = io.StringIO()
                whole(Console(file=out, width=width), table)
                lines = out.getvalue().splitlines()
                assert max(map(len, lines)) <= width, (name, lines)
                if name == "table show" and width == 80:  # nine columns: its headings may be broken
                    continue
                headings = {word for column in table.columns for word in str(column.header).split()}
                assert headings <= set(" ".join(lines).split()), (name, lines)

    def test_a_name_without_room_loses_its_middle(self) -> None:
        name = MiddleElided("|nor_conv_3x3~0|+|skip_connect~0|none~1|")
        assert name.shown(40) == name.name
        assert name.shown(15) == "|nor_c...one~1|" + ""
        assert all(len(name.shown(width)) == width for width in range(1, 40))

    def test_follows_columns_and_is_wide_without(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "95")
        assert make_console().width == 95
        monkeypatch.delenv("COLUMNS")
        assert make_console().width == PIPED_WIDTH

    @pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
    def test_no_escape_codes(self, variable: str, value: str) -> None:
        """On a terminal of 80 columns: help, a listing, a mistake."""
        environment = {key: text for key, text in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
        environment |= {"TERM": "xterm-256color", variable: value}
        program = (
            "import os, pty, sys, fcntl, termios, struct\n"
            "fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))\n"
            "from taurank.orchestrator import cli\n"
            "for words in (['--help'], ['spaces'], ['experiments', '--nope']):\n"
            "    sys.argv = ['taurank', *words]\n"
            "    try: cli.main()\n"
            "    except SystemExit: pass\n"
        )
        shell = "import pty, sys; sys.exit(pty.spawn([sys.executable, '-c', sys.argv[1]]))"
        done = subprocess.run(
            [sys.executable, "-c", shell, program], cwd=ROOT, env=environment, capture_output=True, timeout=60
        )
        text = done.stdout.decode()
        assert "nasbench201" in text
        assert "Usage" in text
        assert "\x1b" not in text
        assert max(map(len, text.replace("\r", "").splitlines())) <= 80


class TestCompletion:
    def test_words(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "mine.yaml").touch()
        for run in ("cells-1", "cells-2"):
            (tmp_path / "runs" / run).mkdir(parents=True)
            (tmp_path / "runs" / run / "evidence.sqlite").touch()
        assert complete_space("nas") == ["nasbench201", "nasbench_macro"]
        assert complete_experiment("qu") == ["quickstart"]
        assert complete_experiment("m") == ["mine.yaml"]
        assert complete_run("") == ["runs/"]
        assert complete_run("runs/c") == ["runs/cells-1", "runs/cells-2"]
        assert complete_plan("runs/cells-2") == ["runs/cells-2"]
        assert complete_run("nowhere/") == []

    def test_the_shell_asks_for_them(self, taurank: Taurank, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("_TAURANK_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "taurank plan --space nasb")
        monkeypatch.setenv("COMP_CWORD", "3")
        code, out, _ = taurank()
        assert code == 0
        assert out.split() == ["nasbench201", "nasbench_macro"]

    def test_the_name_of_a_log_is_that_of_a_run(self) -> None:
        from taurank.orchestrator.cli import completion
        from taurank.orchestrator.runs.run import LOG_FILE

        assert completion.LOG_FILE == LOG_FILE
