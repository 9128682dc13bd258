"""What the states of trainings may take on disk, over all stages."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.stages.checkpoints import CheckpointStore
from taurank.orchestrator.stages.recording import Recorder
from taurank.trainables.trials.checkpoint_file import Saved, read_checkpoint, write_checkpoint

ROW = {"trial": "a", "epoch": 1, "outcome": "", "reason": "", "evidence": []}
STATE_BYTES = 40_000


def write(file: Path, *, state: bool = True) -> int:
    weights = {"model": torch.zeros(STATE_BYTES // 4)} if state else None
    assert write_checkpoint(file, "mine", Saved([ROW], weights)) == ""
    return file.stat().st_size


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Trainings a to d of the stage that runs, and two files of others."""
    for name in ("a", "b", "c", "d", "earlier", "supernet"):
        write(tmp_path / f"{name}.pt")
    return tmp_path


STAGE = ("a", "b", "c", "d")
IDLE = ["d", "b", "a"]  # c runs


def with_state(folder: Path) -> str:
    found = {file.stem: read_checkpoint(file, "mine") for file in folder.glob("*.pt")}
    assert all(saved is not None and saved.rows == [ROW] for saved in found.values())
    return " ".join(sorted(name for name, saved in found.items() if saved is not None and saved.state is not None))


@pytest.mark.parametrize(
    ("states", "dropped", "left"),
    [
        (6, [], "a b c d earlier supernet"),
        (5, [], "a b c d supernet"),
        (4, ["d"], "a b c supernet"),
        (3, ["d", "b"], "a c supernet"),
        (2, ["d", "b", "a"], "c supernet"),
        (0, ["d", "b", "a"], "c supernet"),
    ],
)
def test_settled_ones_of_other_stages_go_first_then_idle_ones_in_their_order(folder, states, dropped, left):
    size, bare = (folder / "a.pt").stat().st_size, write(folder.parent / "bare.pt", state=False)
    room = states * size + (6 - states) * bare if states else 0
    store = CheckpointStore(folder, room, [folder / "supernet.pt"])
    store.tidy()
    assert store.bytes == 6 * size
    files = {name: folder / f"{name}.pt" for name in STAGE}
    assert store.trim(files, IDLE) == dropped
    assert with_state(folder) == left
    # Nobody loses a state twice, however little room there is.
    assert store.trim(files, IDLE) == []


def test_what_is_written_again_counts_again(folder):
    store = CheckpointStore(folder, 0, [folder / "supernet.pt"])
    store.tidy()
    files = {name: folder / f"{name}.pt" for name in STAGE}
    assert store.trim(files, IDLE) == IDLE
    before = store.bytes
    write(files["b"])
    store.written(files["b"])
    assert store.bytes > before + STATE_BYTES
    assert store.trim(files, ["d", "a", "b"]) == ["b"]
    assert store.bytes == before


def test_what_dead_workers_left_half_written_is_removed(folder):
    (folder / "a.123.partial").write_bytes(b"x" * 1000)
    store = CheckpointStore(folder)
    store.tidy()
    assert not list(folder.glob("*.partial"))
    assert store.bytes == sum(file.stat().st_size for file in folder.iterdir())


def test_a_damaged_file_makes_room_as_a_whole(folder):
    (folder / "d.pt").write_bytes(b"x" * STATE_BYTES)
    store = CheckpointStore(folder, 0)
    store.tidy()
    assert store.trim({"d": folder / "d.pt"}, ["d"]) == ["d"]
    assert not (folder / "d.pt").exists()


def test_a_folder_that_is_gone_takes_no_room(tmp_path):
    store = CheckpointStore(tmp_path / "gone", 0)
    store.tidy()
    store.written(tmp_path / "gone" / "a.pt")
    assert store.bytes == 0
    assert store.trim({"a": tmp_path / "gone" / "a.pt"}, ["a"]) == []


# --- what a stage makes of it


@pytest.fixture
def report(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    """Reports results of the trials of a stage; said is what people were told."""
    said: list[str] = []
    display: Any = SimpleNamespace(advance=lambda *_: None, update=lambda *_: None, say=said.append)
    usual = {"seed": 0, "epoch_share": 1.0, "until": None}
    specs: Any = [
        SimpleNamespace(trial=name, label=name, checkpoint=str(folder / f"{name}.pt"), **usual) for name in STAGE
    ]
    log = EvidenceLog(tmp_path_factory.mktemp("log") / "evidence.sqlite")
    size = (folder / "a.pt").stat().st_size
    store = CheckpointStore(folder, 5.5 * size, [folder / "supernet.pt"])
    store.tidy()
    recorder = Recorder(
        log,
        stage="training",
        source="training",
        specs=specs,
        schedule_epochs=3,
        share=1.0,
        scheduler=None,
        display=display,
        checkpoints=store,
    )

    def report(name: str, **result: Any) -> EvidenceLog:
        trial: Any = SimpleNamespace(config={"trial": name}, num_failures=0)
        usual = {"epoch": 1, "evidence": [], "outcome": "", "reason": "", "done": False}
        recorder.on_trial_result(1, [trial], trial, usual | result)
        return log

    report.said = said  # type: ignore[attr-defined]
    return report


def test_after_a_result_the_states_fit_again(report, folder):
    report("c")
    assert with_state(folder) == "a b c d supernet"


def test_those_that_have_ended_lose_their_states_and_it_is_noted(report, folder):
    for name in ("a", "b"):
        report(name, outcome="failed", reason="non-finite loss", done=True)
    write_checkpoint(folder / "c.pt", "mine", Saved([ROW], {"model": torch.zeros(3 * STATE_BYTES // 4)}))
    events = report("c").events()
    assert [tuple(row) for row in events[["trial", "event"]].itertuples(index=False)] == [
        ("a", "failed"),
        ("b", "failed"),
        ("a", "checkpoint-dropped"),
        ("b", "checkpoint-dropped"),
    ]


def test_a_failed_trial_gets_a_line(report):
    for _ in range(2):
        report("a", outcome="failed", reason="non-finite loss", done=True)
    assert report.said == ["  failed: a: non-finite loss"]


def test_a_state_that_could_not_be_written_is_noted_once(report):
    for name in ("a", "b"):
        log = report(name, unsaved="/runs/checkpoints: No space left on device")
    events = log.events()
    assert list(events["event"]) == ["checkpoint-not-written"]
    assert events["reason"].iloc[0].startswith("/runs/checkpoints: No space left on device; ")
    assert len(report.said) == 1
