"""How a run stands, from made-up logs and folders: every state, and why nothing runs."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from rich.console import Console

from taurank.orchestrator.cli.status import _trial_table
from taurank.orchestrator.evidence import BASELINE, EXTENDED, TAKEN
from taurank.orchestrator.evidence.log import Evidence, EvidenceLog
from taurank.orchestrator.evidence.summary import TrialSummary, opened_to_read, summarize
from taurank.orchestrator.session.lock import RunHeldError, hold_run, holder_of
from taurank.orchestrator.session.standstill import standstill
from taurank.orchestrator.session.state import Counts, RunState, StagePlan, StatusFile, Waiting, read_state
from taurank.orchestrator.session.status import StatusError, run_status, run_trials

PLAN = (StagePlan("training-4", 4, 16.0), StagePlan(BASELINE, 4, 32.0))


def book(log: EvidenceLog, stage: str, trial: str, epochs: int, *, schedule: int = 4) -> None:
    log.append_event(stage, f"{stage}/{trial}", "started")
    log.append(
        Evidence(stage, f"{stage}/{trial}", trial, "training", epoch, schedule, 0, "train_loss", 1.0, 2.0, 1.0)
        for epoch in range(1, epochs + 1)
    )


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple[Path, EvidenceLog]]:
    """A run that was cut off: of four trainings one is complete, one stopped, one begun, one not."""
    (tmp_path / "experiment.yaml").write_text("baseline: {seeds: [1]}\n")
    log = EvidenceLog(tmp_path / "evidence.sqlite")
    log.append_event("size", "", "started")
    log.append([Evidence("size", "size/a", "a", "size", 0, 0, 0, "parameters", 10.0)])
    log.append_event("size", "", "ended")
    log.append_event("training-4", "", "started")
    book(log, "training-4", "a/seed 0", 4)
    log.append_event("training-4", "training-4/a/seed 0", "completed")
    book(log, "training-4", "b/seed 0", 1)
    log.append_event("training-4", "training-4/b/seed 0", "stopped", "place 3 of 4")
    book(log, "training-4", "c/seed 0", 2)
    StatusFile(tmp_path).tell(RunState(stages=PLAN, budget_epochs=16.0))
    yield tmp_path, log
    log.close()


def end(log: EvidenceLog, stage: str) -> None:
    log.append_event(stage, "", "ended")


def hold(folder: Path, held: Event, over: Event) -> None:
    with hold_run(folder):
        held.set()
        over.wait(60)


@contextmanager
def held_by_another(folder: Path) -> Iterator[int]:
    """A process of its own holds the run."""
    context = multiprocessing.get_context("spawn")
    held, over = context.Event(), context.Event()
    process = context.Process(target=hold, args=(folder, held, over))
    process.start()
    assert held.wait(60)
    try:
        yield process.pid or 0
    finally:
        over.set()
        process.join(60)


class TestStates:
    def test_interrupted(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, _ = run
        found = run_status(folder)
        assert (found.state, found.holder, found.stage, found.number) == ("interrupted", None, "training-4", 1)
        stage, baseline = found.stages
        # The one that was cut off waits like the one that has not begun.
        assert stage.counts == Counts(stopped=1, done=1, waiting=2)
        assert (stage.trials, stage.epochs, stage.most_epochs, stage.seconds) == (4, 7.0, 16.0, 14.0)
        assert stage.saved_epochs == 3.0
        assert not stage.is_over
        assert baseline.counts == Counts(waiting=4)
        assert (found.spent_epochs, found.budget_epochs, found.baseline_epochs) == (7.0, 16.0, 0.0)
        assert found.rows == 8
        assert found.standstill == f"no process works on it; continue with: taurank resume {folder}"

    @pytest.mark.parametrize("begun", ["", "training-12"])
    def test_interrupted_before_the_first_row_of_a_stage(self, begun: str, tmp_path: Path) -> None:
        (tmp_path / "experiment.yaml").write_text("baseline: null\n")
        log = EvidenceLog(tmp_path / "evidence.sqlite")
        log.append_event("proxies", "", "started")
        book(log, "proxies", "a/seed 0", 1)
        log.append_event("proxies", "proxies/a/seed 0", "completed")
        end(log, "proxies")
        if begun:
            log.append_event(begun, "", "started")
            log.append_event(begun, f"{begun}/a/seed 0", "started")
        log.close()
        plan = tuple(StagePlan(title, 1, 1.0) for title in ("proxies", "training-12", BASELINE))
        StatusFile(tmp_path).tell(RunState(stages=plan))
        found = run_status(tmp_path)
        assert (found.state, found.stage, found.number) == ("interrupted", "training-12", 2)

    def test_finished(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, log = run
        for trial in ("c/seed 0", "d/seed 0"):
            log.append_event("training-4", f"training-4/{trial}", "failed", "out of memory")
        for stage in ("training-4", "ranking"):
            end(log, stage)
        assert run_status(folder).state == "interrupted"  # without its baseline
        for code in "abcd":
            book(log, BASELINE, f"{code}/seed 1", 8, schedule=8)
            log.append_event(BASELINE, f"{BASELINE}/{code}/seed 1", "completed")
        end(log, BASELINE)
        found = run_status(folder)
        assert (found.stage, found.number) == (BASELINE, 2)
        assert (found.state, found.standstill, found.left) == ("finished", "the run is complete", None)
        assert all(stage.is_over for stage in found.stages)
        assert (found.spent_epochs, found.baseline_epochs) == (7.0, 32.0)
        log.append_event("", "", EXTENDED, "from made-up")
        assert run_status(folder).state == "interrupted"

    def test_without_a_baseline_the_ranking_is_the_end(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, log = run
        StatusFile(folder).tell(RunState(stages=PLAN[:1]))
        end(log, "ranking")
        assert run_status(folder).state == "finished"

    def test_a_run_of_before_there_were_status_files(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, log = run
        (folder / "status.json").unlink()
        assert run_status(folder).state == "interrupted"
        end(log, "ranking")
        assert run_status(folder).state == "interrupted"  # experiment.yaml has a baseline
        (folder / "experiment.yaml").write_text("baseline: null\n")
        assert run_status(folder).state == "finished"

    def test_not_begun(self, tmp_path: Path) -> None:
        (tmp_path / "experiment.yaml").write_text("baseline: null\n")
        log = EvidenceLog(tmp_path / "evidence.sqlite")
        log.append_event("size", "", "started")
        log.close()
        found = run_status(tmp_path)
        assert (found.state, found.number, found.stages, found.last_row) == ("not begun", 0, (), 0.0)

    def test_running_elsewhere_in_this_machine(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, _ = run
        now = Counts(running=2, done=1, stopped=1)
        StatusFile(folder).tell(RunState(stage="training-4", stages=PLAN, counts=now))
        with held_by_another(folder) as pid:
            found = run_status(folder)
            assert found.holder is not None
            assert (found.holder.pid, found.holder.host) == (pid, socket.gethostname())
            assert (found.state, found.stage, found.standstill) == ("running", "training-4", "")
            assert found.stages[0].counts == now
            with pytest.raises(RunHeldError, match=f"process {pid} on {socket.gethostname()}"), hold_run(folder):
                pass
        assert run_status(folder).state == "interrupted"
        with hold_run(folder):
            assert str(holder_of(folder)) == f"process {os.getpid()} on {socket.gethostname()}"

    def test_stages_of_a_supernet_are_told_apart(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, log = run
        net = "supernet:uniform"
        for title in (net, f"{net} scores", f"{net} contenders"):
            log.append([Evidence(net, f"{title}/x/seed 0", "a", net, 3, 3, 0, "validation_accuracy", 0.5, 1.0, 3.0)])
            log.append_event(net, f"{title}/x/seed 0", "completed")
        titles = [stage.title for stage in run_status(folder).stages]
        assert titles == [net, f"{net} scores", f"{net} contenders", "training-4", BASELINE]

    def test_what_was_taken_over(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, log = run
        log.append_event("training-4", "training-4/a/seed 0", TAKEN, "trained by another")
        found = run_status(folder)
        assert (found.taken, found.taken_epochs) == (1, 4.0)


class TestWhyNothingRuns:
    def why(
        self, folder: Path, state: RunState | None, *, free: int = 10**9, ago: float = 0.0, quiet: float = 0.0
    ) -> str:
        now = time.time()
        if state is not None:
            StatusFile(folder).tell(state)
        saved = read_state(folder)
        with hold_run(folder):
            holder = holder_of(folder)
        return standstill(folder, "running", holder, saved, last_row=now, free=10**9, now=now + quiet)

    def test_workers_run(self, tmp_path: Path) -> None:
        assert self.why(tmp_path, RunState(stage="s", counts=Counts(running=1, waiting=3))) == ""

    def test_between_stages(self, tmp_path: Path) -> None:
        said = self.why(tmp_path, RunState(doing="the ranker selects candidates"), quiet=95)
        assert said == "the ranker selects candidates, since 1:35 min"

    def test_it_has_told_nothing(self, tmp_path: Path) -> None:
        assert "has not written its state yet" in self.why(tmp_path, None)

    @pytest.mark.parametrize(
        ("starting", "free", "total", "says"),
        [
            (False, 0.25, 1.0, "asks for 2 CPU, 0.5 GPU, free: 4 of 8 CPU, 0.25 of 1 GPU; other jobs use the rest"),
            (False, 1.0, 1.0, "1 of 1 GPU; Ray starts them next, unless no single node has as much free"),
            (False, 0.0, 0.0, "0 of 0 GPU; no remaining node is large enough, so the run waits for one"),
            (True, 0.0, 1.0, "workers are starting, since 0:20 min"),
        ],
    )
    def test_trials_wait_for_ray(self, tmp_path: Path, starting: bool, free: float, total: float, says: str) -> None:
        asked = {"CPU": 2.0, "GPU": 0.5}
        waiting = Waiting(time.time() - 20, starting, asked, {"CPU": 4.0, "GPU": free}, {"CPU": 8.0, "GPU": total})
        said = self.why(tmp_path, RunState(stage="s", counts=Counts(waiting=3), waiting=waiting))
        assert said.endswith(says)
        assert starting or said.startswith("3 waiting for Ray since 0:20 min: each ")

    def test_all_are_silent(self, tmp_path: Path) -> None:
        state = RunState(stage="s", counts=Counts(running=2), patience=600.0)
        StatusFile(tmp_path).tell(state)
        saved = read_state(tmp_path)
        assert saved is not None

        def after(seconds: float) -> str:
            now = saved.began + seconds
            fresh = type(saved)(saved.state, saved.began, now)
            with hold_run(tmp_path):
                return standstill(tmp_path, "running", holder_of(tmp_path), fresh, last_row=0.0, free=10**9, now=now)

        assert after(149) == ""
        assert after(151) == (
            "the 2 running have reported nothing for 2:31 min; a worker that is silent for 10:00 min is ended "
            "(resources.hang_minutes)"
        )

    def test_the_driver_is_silent(self, tmp_path: Path) -> None:
        said = self.why(tmp_path, RunState(stage="s", counts=Counts(running=2)), quiet=61)
        assert "has written nothing for 1:01 min" in said
        assert said.endswith(f"taurank resume {tmp_path}")

    def test_a_full_disk(self, tmp_path: Path) -> None:
        said = standstill(tmp_path, "interrupted", None, None, last_row=0.0, free=1000, now=0.0)
        assert said == (
            f"no process works on it, and the disk is full (1,000 bytes are free); free some space, then: "
            f"taurank resume {tmp_path}"
        )


class TestTheLogIsOnlyRead:
    def test_a_copy_of_a_log_that_another_machine_writes_to(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, log = run
        assert (folder / "evidence.sqlite-wal").stat().st_size > 0
        before = {file: file.read_bytes() for file in folder.iterdir()}
        with opened_to_read(log.path, elsewhere=True) as copy, opened_to_read(log.path, elsewhere=False) as here:
            assert summarize(copy) == summarize(here)
            assert summarize(copy).stages["training-4"].epochs == 7.0
        assert {file: file.read_bytes() for file in folder.iterdir()}.keys() == before.keys()
        assert log.path.read_bytes() == before[log.path]

    def test_a_folder_that_cannot_be_written_to(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, log = run
        log.close()
        files = sorted(file.name for file in folder.iterdir())
        assert run_status(folder).rows == 8
        assert sorted(file.name for file in folder.iterdir()) == files

    def test_a_damaged_status_file_is_none(self, run: tuple[Path, EvidenceLog]) -> None:
        folder, _ = run
        for text in ("", "{", "[]", "{}", '{"began": 1, "written": 2}', '{"began": "x"}'):
            (folder / "status.json").write_text(text)
            assert read_state(folder) is None
            assert run_status(folder).state == "interrupted"


class TestTheCommand:
    def test_as_text(self, run: tuple[Path, EvidenceLog], taurank: Callable[..., tuple[int, str, str]]) -> None:
        folder, _ = run
        (folder / "run.log").write_text("first\nlast\n")
        code, out, _ = taurank("status", folder)
        assert code == 0
        lines = out.splitlines()
        assert lines[0] == f"{folder.name}: interrupted, stage 1 of 2: training-4"
        assert lines[1].split()[:5] == ["stage", "trials", "waiting", "done", "stopped"]  # no trial has another state
        assert lines[2].split() == ["training-4", "4", "2", "1", "1", "7.0", "16.0", "3.0", "14.0"]
        assert "evidence: 7.0 epochs of 16.0 (44% of the budget), 14.0 device seconds" in out
        assert f"taurank resume {folder}" in "".join(lines)
        assert lines[-1] == "last line of run.log: last"

    def test_as_json(self, run: tuple[Path, EvidenceLog], taurank: Callable[..., tuple[int, str, str]]) -> None:
        code, out, _ = taurank("status", run[0], "--json")
        found = json.loads(out)
        assert (code, found["state"], found["stages"][0]["counts"]["waiting"]) == (0, "interrupted", 2)

    def test_watching_ends_with_the_run(
        self, run: tuple[Path, EvidenceLog], taurank: Callable[..., tuple[int, str, str]]
    ) -> None:
        code, out, _ = taurank("status", run[0], "--watch")
        assert code == 0
        assert "interrupted" in out

    def test_watching_shows_the_trials_of_the_stage(
        self, run: tuple[Path, EvidenceLog], taurank: Callable[..., tuple[int, str, str]]
    ) -> None:
        folder, log = run
        trial = "training-4/c/seed 0"
        log.append([Evidence("training-4", trial, "c", "training", 2, 4, 0, "validation_accuracy", 0.25)])
        code, out, err = taurank("status", folder, "--watch", columns=100)
        assert (code, err) == (0, "")
        lines = [" ".join(line.split()) for line in out.splitlines()]
        assert any(line.startswith("c seed 0 running 2 of 4 25.0% 4.0 ") for line in lines)
        assert any(
            line.startswith("b seed 0 stopped 1 of 4 - 2.0 ") and line.endswith("place 3 of 4") for line in lines
        )
        assert any(line.startswith("a seed 0 done 4 of 4 - 8.0 ") for line in lines)
        assert run_trials(folder, "training-4")[0].trial == trial

    def test_a_low_terminal_shows_the_trials_at_work_first(self) -> None:
        found = [TrialSummary(f"s/t{n}/seed 0", "done", "", 4, 4, 0.5, 1.0, 100.0 - n) for n in range(30)]
        found[20] = replace(found[20], state="begun")
        console = Console(file=io.StringIO(), width=100, height=20)
        console.print(_trial_table(found, 100.0, 5))
        lines = console.file.getvalue().splitlines()
        assert lines[1].startswith("t20 seed 0")
        assert lines[2].startswith("t0 seed 0")
        assert lines[-1] == "... and 25 more"

    def test_mistakes_are_one_line(self, tmp_path: Path, taurank: Callable[..., tuple[int, str, str]]) -> None:
        code, _, err = taurank("status", tmp_path)
        assert code == 2
        assert (
            err == f"taurank: {tmp_path} is not the folder of a run: it has no experiment.yaml; give runs/NAME-TIME\n"
        )
        (tmp_path / "experiment.yaml").write_text("name: x\n")
        (tmp_path / "evidence.sqlite").write_text("no database at all, just some text of more than sixteen bytes")
        code, _, err = taurank("status", tmp_path)
        assert code == 2
        assert err.count("\n") == 1
        assert "cannot be read as an evidence log" in err
        with pytest.raises(StatusError):
            run_status(tmp_path / "nowhere")

    def test_it_needs_neither_torch_nor_ray(self, run: tuple[Path, EvidenceLog]) -> None:
        code = """
import sys, pathlib, taurank.orchestrator.session.status
taurank.orchestrator.session.status.run_status(pathlib.Path(sys.argv[1]))
print({"torch", "ray"} & set(sys.modules))
"""
        asked = subprocess.run([sys.executable, "-c", code, run[0]], capture_output=True, text=True, check=True)
        assert asked.stdout.strip() == "set()"
