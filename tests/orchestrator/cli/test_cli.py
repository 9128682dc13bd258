"""The command line as a user meets it; Ray is never started here."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from taurank.orchestrator import cli

COMMANDS = (
    "run",
    "plan",
    "resume",
    "rank",
    "score",
    "front",
    "why",
    "replay",
    "proxies",
    "spaces",
    "models",
    "experiments",
)


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    @pytest.mark.parametrize("flag", ["--help", "-h"])
    def test_every_command_has_it(self, taurank, command, flag):
        code, out, err = taurank(command, flag)
        assert (code, err) == (0, "")
        assert f"Usage: taurank {command}" in out

    def test_lists_every_command(self, taurank):
        code, out, _ = taurank("--help")
        assert code == 0
        assert all(command in out for command in COMMANDS)

    def test_without_a_command(self, taurank):
        _, out, err = taurank()
        assert "Usage: taurank" in out + err

    @pytest.mark.parametrize(
        "arguments", [("frobnicate",), ("run",), ("run", "a", "b"), ("run", "quickstart", "--ot", "x"), ("rank",)]
    )
    def test_of_a_command_that_is_used_wrongly(self, taurank, arguments):
        code, _, err = taurank(*arguments)
        assert code == 2
        assert "Usage: taurank" in err
        assert "Traceback" not in err


class TestMistakes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("run", "quickstrat"), "did you mean 'quickstart'?"),
            (("run", "nope.yaml"), "nope.yaml cannot be read: No such file or directory"),
            (("run", "quickstart", "--out", "/dev/null"), "cannot write to /dev/null"),
            (("spaces", "nope*"), "no space matches 'nope*'; known: darts, "),
            (("resume", "/nowhere"), "/nowhere is not the folder of a run"),
            (("rank", "/nowhere"), "/nowhere is not the folder of a run"),
            (("score", "/nowhere"), "/nowhere is not the folder of a run"),
            (("why", "x", "--run", "/nowhere"), "/nowhere is not the folder of a run"),
        ],
    )
    def test_one_line_and_exit_code_2(self, taurank, arguments, message):
        code, out, err = taurank(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith("taurank: ")
        assert err.count("\n") == 1
        assert message in err

    def test_a_line_for_each_problem_of_a_file(self, taurank, tmp_path):
        file = tmp_path / "mine.yaml"
        file.write_text("name: t\nspace: nasbench21\ndata: {name: digits, size: big}\nbudget: ten\n")
        code, _, err = taurank("run", str(file), "--out", str(tmp_path / "runs"))
        assert code == 2
        assert [line.removeprefix(f"taurank: {file}: ").split(":")[0] for line in err.splitlines()] == [
            "space",
            "data.size",
            "budget",
        ]
        assert not (tmp_path / "runs").exists()

    def test_a_log_that_is_none(self, taurank, run_folder):
        (run_folder / "evidence.sqlite").write_text("not a log" * 1000)
        code, _, err = taurank("rank", str(run_folder))
        assert code == 2
        assert "cannot be used as an evidence log" in err
        assert err.count("\n") == 1

    @pytest.mark.parametrize("baseline", ["missing.csv", "bad.csv", "."])
    def test_a_bad_baseline(self, taurank, run_folder, tmp_path, baseline):
        (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
        code, _, err = taurank("score", str(run_folder), "--baseline", str(tmp_path / baseline))
        assert code == 2
        assert err.startswith(f"taurank: {tmp_path}")
        assert err.count("\n") == 1

    def test_a_mistake_of_ours_is_not_hidden(self, monkeypatch):
        def broken(**_: object) -> None:
            raise ValueError("a bug")

        monkeypatch.setattr("taurank.orchestrator.cli.entry.app", broken)
        with pytest.raises(ValueError, match="a bug"):
            cli.main()


class TestCommands:
    def test_rank_again(self, taurank, run_folder):
        code, out, err = taurank("rank", str(run_folder))
        assert (code, err) == (0, "")
        assert "ranking, best first" in out
        for name in ("ranking.csv", "ranking.parquet", "report.html"):
            assert (run_folder / name).is_file()
        first = (run_folder / "ranking.csv").read_bytes()
        taurank("rank", str(run_folder))
        assert (run_folder / "ranking.csv").read_bytes() == first
        pd.testing.assert_frame_equal(
            pd.read_parquet(run_folder / "ranking.parquet"),
            pd.read_csv(io.BytesIO(first)).fillna({"problem": ""}),
            check_dtype=False,
        )

    def test_score_against_its_own_baseline(self, taurank, run_folder):
        code, out, _ = taurank("score", str(run_folder))
        assert code == 0
        assert "against full training: test accuracy of 24 architectures, 2 seeds" in out

    def test_score_against_another_run(self, taurank, run_folder, tmp_path):
        other = tmp_path / "other"
        shutil.copytree(run_folder, other)
        _, own, _ = taurank("score", str(run_folder))
        _, from_other, _ = taurank("score", str(run_folder), "--baseline", str(other))
        assert own.split("against")[1].split("written")[0] == from_other.split("against")[1].split("written")[0]

    def test_score_against_a_table_with_short_names(self, taurank, run_folder, codes, tmp_path):
        from taurank.spaces import Architecture, get_space

        space = get_space("nasbench201")
        short = [space.short(Architecture("nasbench201", code)) for code in codes]
        file = tmp_path / "truth.csv"
        file.write_text("architecture,value\n" + "".join(f"{name},{i}\n" for i, name in enumerate(short)))
        code, out, _ = taurank("score", str(run_folder), "--baseline", str(file))
        assert code == 0
        assert "against full training: value of 24 architectures, 1 seed\n" in out

    def test_score_without_a_baseline(self, taurank, make_log, codes, experiment):
        log = make_log(seeds=())
        resolved = experiment.model_copy(update={"candidates": list(codes)})
        (log.path.parent / "experiment.yaml").write_text(resolved.to_yaml(), encoding="utf-8")
        code, _, err = taurank("score", str(log.path.parent))
        assert code == 2
        assert "has no finished baseline trainings; run them, or give --baseline" in err

    def test_spaces(self, taurank):
        code, out, _ = taurank("spaces", "mnist*")
        assert code == 0
        assert "mnist_blocks" in out
        assert "nasbench201" not in out

    def test_experiments(self, taurank):
        code, out, _ = taurank("experiments")
        assert code == 0
        assert all(name in out for name in ("quickstart", "nine-subnets", "nine-subnets-reference"))


def test_help_waits_for_neither_torch_nor_ray():
    program = (
        "import sys; from taurank.orchestrator import cli; sys.argv = ['taurank', '--help']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'ray', 'pandas', 'matplotlib') if name in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
