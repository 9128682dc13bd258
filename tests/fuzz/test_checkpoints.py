"""Checkpoints that are damaged or a stranger's: what was written, or starting over; never code, never other numbers."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from taurank.trainables.trials.checkpoint_file import Saved, drop_state, read_checkpoint, write_checkpoint
from tests.fuzz.fuzzing import Payload, answer, damaged, hostile_pickle

ROWS: list[dict[str, Any]] = [
    {"trial": "t", "epoch": 1, "outcome": "", "reason": "", "evidence": [("a", 1, "loss", 1.0, 0.1, 1.0)]}
]
STATE = {"epoch": 1, "model": {"weight": torch.arange(64, dtype=torch.float32), "bias": torch.ones(3)}, "generator": 5}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "trial.pt"
    assert write_checkpoint(path, "mine", Saved(ROWS, STATE)) == ""
    return path


def same(saved: Saved) -> bool:
    assert saved.state is not None
    model = saved.state["model"]
    return saved.rows == ROWS and all(torch.equal(model[name], tensor) for name, tensor in STATE["model"].items())


def test_what_is_written_is_read_again(file):
    saved = read_checkpoint(file, "mine")
    assert saved is not None
    assert same(saved)
    assert read_checkpoint(file, "another's") is None


@given(st.data())
def test_a_damaged_one_is_none_or_the_one_that_was_written(file, data):
    write_checkpoint(file, "mine", Saved(ROWS, STATE))
    file.write_bytes(data.draw(damaged(file.read_bytes())))
    saved = answer(lambda: read_checkpoint(file, "mine"))
    assert saved is None or same(saved)


@given(st.binary(max_size=400))
def test_any_bytes_are_none(file, content):
    file.write_bytes(content)
    assert answer(lambda: read_checkpoint(file, "mine")) is None


CONTENT = st.recursive(
    st.none() | st.integers(-5, 5) | st.text(max_size=3) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


NAMED = st.fixed_dictionaries({}, optional={"fingerprint": st.just("mine"), "state": CONTENT, "rows": CONTENT})


@given(NAMED | CONTENT)
def test_any_other_content_is_none_or_of_the_right_types(file, content):
    torch.save(content, file)
    saved = answer(lambda: read_checkpoint(file, "mine"))
    if saved is not None:
        assert isinstance(saved.rows, list)
        assert saved.state is None or isinstance(saved.state, dict)


@pytest.mark.parametrize("form", ["pickle", "torch", "old torch", "inside the state", "other pickle in the zip"])
def test_a_hostile_pickle_is_not_loaded(file, tmp_path, form):
    marker = tmp_path / "ran"
    content = {"fingerprint": "mine", "rows": ROWS, "state": {"payload": Payload(marker)}}
    if form == "pickle":
        file.write_bytes(hostile_pickle(marker))
    elif form == "torch":
        torch.save(Payload(marker), file)
    elif form == "old torch":
        torch.save(content, file, _use_new_zipfile_serialization=False)
    elif form == "inside the state":
        torch.save(content, file)
    else:
        with zipfile.ZipFile(file) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(file, "w") as archive:
            for name, member in members.items():
                archive.writestr(name, pickle.dumps(content) if name.endswith("data.pkl") else member)
    assert answer(lambda: read_checkpoint(file, "mine")) is None
    drop_state(file)
    assert not marker.exists()


def test_without_its_state_a_file_is_small_and_keeps_its_rows(file):
    state = {"model": torch.from_numpy(np.zeros(100_000, np.float32))}
    write_checkpoint(file, "mine", Saved(ROWS, state))
    assert file.stat().st_size > 400_000
    drop_state(file)
    assert file.stat().st_size < 4_000
    assert read_checkpoint(file, "mine") == Saved(ROWS, None)
    drop_state(file.with_name("gone.pt"))


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    reason = write_checkpoint(tmp_path / "gone" / "trial.pt", "mine", Saved(ROWS, STATE))
    assert reason == f"{tmp_path / 'gone'}: No such file or directory"
