"""Training code of the user's own, without Ray: how it is called, checked, kept and gone on with."""

from __future__ import annotations

import functools
import io
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from taurank.trainables.own import OwnCodeError, OwnTraining, check_metrics, find_own_code, give_own_code

LOSS = "val_loss"


def train(candidate: Any, *, epochs: int, seed: int, device: str, checkpoint: Path) -> Iterator[dict[str, Any]]:
    """Counts its epochs, and those that it has trained in this process, in a file for each kind of state."""
    file = checkpoint / "deep" / "state"
    done = int(file.read_text()) if file.exists() else 0
    for epoch in range(done + 1, epochs + 1):
        if epoch % 2 == 0 or candidate != "saves every other epoch":
            file.parent.mkdir(exist_ok=True)
            file.write_text(str(epoch))
        yield {LOSS: 1 / epoch + seed, "epoch": epoch, "device": device, "began": done, "length": epochs}


def forgets(candidate: Any, *, epochs: int, seed: int, device: str, checkpoint: Path) -> Iterator[dict[str, float]]:
    for epoch in range(1, epochs + 1):
        yield {LOSS: 1 / epoch}


class Counter:
    def __init__(self, candidate: Any, *, epochs: int, seed: int, device: str) -> None:
        self.done = torch.zeros(())
        self.candidate = candidate

    def step(self) -> dict[str, float]:
        self.done += 1
        return {LOSS: float(self.done)}

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done, "text": "t", "bytes": b"abc", "list": [1, {"a": None}]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.done = state["done"]


class Unsafe(Counter):
    def state_dict(self) -> dict[str, Any]:
        return {"done": Path(".")}


def training(code: Any, candidate: Any = "a", epochs: int = 4) -> OwnTraining:
    return OwnTraining(code, candidate, epochs=epochs, seed=3, device="cpu", metric=LOSS)


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """As a checkpoint keeps it: without pickles of classes."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)  # type: ignore[no-any-return]


def test_a_generator_is_stepped_to_its_end_and_no_further():
    work = training(train)
    assert [work.step_epoch() for _ in range(4)][-1] == {LOSS: 3.25, "began": 0.0, "length": 4.0}
    assert (work.epoch, work.spent, work.trained, work.unsaved) == (4, 1.0, True, "")


@pytest.mark.parametrize(
    ("code", "candidate", "began", "spent"),
    [
        (train, "saves every epoch", 3, 1.0),
        (train, "saves every other epoch", 2, 2.0),  # epoch 3 is trained again
        (forgets, "a", None, 4.0),
        (Counter, "a", None, 1.0),
        (Unsafe, "a", None, 4.0),
    ],
)
def test_continues_after_the_last_state_and_counts_what_it_repeats(code, candidate, began, spent):
    first = training(code, candidate)
    values = [first.step_epoch()[LOSS] for _ in range(3)]
    state = through_a_file(first.state_dict())
    first.close()
    again = training(code, candidate)
    again.load_state_dict(state)
    assert again.epoch == 3
    assert again.state_dict()["saved"] == state["saved"]
    last = again.step_epoch()
    assert (again.epoch, again.spent, last.get("began")) == (4, spent, began)
    whole = training(code, candidate)
    assert [whole.step_epoch()[LOSS] for _ in range(4)] == [*values, last[LOSS]]


@pytest.mark.parametrize(("code", "reason"), [(forgets, "checkpoint folder"), (Unsafe, r"state_dict\(\)")])
def test_says_what_cannot_be_kept(code, reason):
    work = training(code)
    work.step_epoch()
    work.state_dict()
    assert re.search(reason, work.unsaved)
    assert "starts over" in work.unsaved


def test_the_folder_of_a_generator_goes_with_it_and_its_cleanup_runs(tmp_path):
    def holds(candidate, *, epochs, seed, device, checkpoint):
        (checkpoint / "a").write_bytes(b"")
        (tmp_path / "folder").write_text(str(checkpoint))
        try:
            yield {LOSS: 1.0}
        finally:
            (tmp_path / "closed").touch()

    work = training(holds)
    work.step_epoch()
    folder = Path((tmp_path / "folder").read_text())
    assert folder.is_dir()
    assert through_a_file(work.state_dict())["code"]["files"]["a"].numel() == 0
    work.close()
    assert not folder.exists()
    assert (tmp_path / "closed").exists()


def test_random_generators_begin_with_the_seed():
    def draws(candidate, *, epochs, seed, device, checkpoint):
        import random

        yield {LOSS: random.random() + np.random.random() + float(torch.rand(()))}  # noqa: NPY002

    assert training(draws).step_epoch() == training(draws).step_epoch()


def yields(*metrics: Any) -> Any:
    def code(candidate: Any, *, epochs: int, seed: int, device: str, checkpoint: Path) -> Iterator[Any]:
        yield from metrics

    return code


def returns(what: Any) -> Any:
    return lambda candidate, *, epochs, seed, device, checkpoint: what


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (yields(), "yields nothing"),
        (yields({LOSS: 1.0}), "ends after epoch 1 of 4"),
        (yields({LOSS: 1.0}, {"loss": 2.0, "acc": 1}), r"epoch 2 has no 'val_loss'.*it has loss, acc"),
        (yields({}), "epoch 1 has no 'val_loss'.*it has nothing"),
        (yields(1.0), "epoch 1 gives float, not a dict"),
        (yields({LOSS: "low"}), "val_loss is 'low' after epoch 1, which is not a number"),
        (yields({LOSS: True}), "val_loss is True"),
        (yields({LOSS: None}), "val_loss is None"),
        (yields({LOSS: np.zeros(2)}), "not a number"),
        (yields({LOSS: float("nan")}), "val_loss is nan after epoch 1"),
        (yields({LOSS: torch.tensor(float("inf"))}), "val_loss is inf"),
        (yields({LOSS: 1.0, "epoch": 1}, {LOSS: 1.0, "epoch": 100}), "epoch is 100 in the metrics of epoch 2"),
        (yields({LOSS: 1.0, "epoch": 32}), "epoch is 32 in the metrics of epoch 1"),
        (returns({LOSS: 1.0}), "returns dict, not an iterator"),
        (returns([{LOSS: 1.0}]), "returns list, not an iterator"),
    ],
)
def test_code_that_breaks_its_interface_fails_in_one_line(code, message):
    work = training(code)
    with pytest.raises(OwnCodeError, match=message) as caught:
        [work.step_epoch() for _ in range(4)]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("numbers", [(0, 1, 2, 3), (1, 2, 3, 4), (None, 2, None, 4)])
def test_epochs_may_be_numbered_from_0_or_1(numbers):
    found = [{LOSS: 1.0} | ({} if number is None else {"epoch": number}) for number in numbers]
    work = training(yields(*found))
    assert [work.step_epoch() for _ in found][-1] == {LOSS: 1.0}


def test_a_training_that_ignores_its_checkpoint_though_it_writes_one_is_caught_by_its_epochs():
    def ignores(candidate, *, epochs, seed, device, checkpoint):
        for epoch in range(1, epochs + 1):
            (checkpoint / "epoch").write_text(str(epoch))
            yield {LOSS: 1.0, "epoch": epoch}

    first = training(ignores)
    first.step_epoch()
    first.step_epoch()
    again = training(ignores)
    again.load_state_dict(first.state_dict())
    with pytest.raises(OwnCodeError, match="epoch is 1 in the metrics of epoch 3"):
        again.step_epoch()


def test_numbers_of_numpy_and_torch_are_numbers_and_text_is_left_out():
    found = check_metrics({LOSS: np.float32(0.5), "t": torch.ones(1), "text": "a", "flag": True}, LOSS, epoch=1)
    assert found == {LOSS: 0.5, "t": 1.0}


def unfitting(candidate: Any, epochs: int, device: str) -> Iterator[dict[str, float]]:
    yield {}


async def asynchronous(candidate: Any, **rest: Any) -> Any:
    yield {}


class Half:
    def __init__(self, candidate: Any, **rest: Any) -> None: ...
    def step(self) -> None: ...


NOT_CODE = 3


class TestFound:
    @pytest.mark.parametrize(
        ("code", "message"),
        [
            (unfitting, r"is called as unfitting\(candidate, \*, epochs, seed, device, checkpoint\), and cannot be"),
            (asynchronous, "is asynchronous"),
            (Half, "lacks state_dict, load_state_dict"),
            (NOT_CODE, "is int, not a function"),
        ],
    )
    def test_refuses_what_cannot_be_called(self, code, message):
        with pytest.raises(OwnCodeError, match=message) as caught:
            give_own_code(code)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("no_such_module_here:train", "there is no module 'no_such_module_here'"),
            ("json:no_such_name", "json has no 'no_such_name'"),
            ("json", "the form is package.module:name"),
            ("__main__:lost", r"run.resume\(trainable=...\)"),
            ("os:getcwd", "is called as getcwd"),
        ],
    )
    def test_refuses_a_name_that_is_none(self, name, message):
        with pytest.raises(OwnCodeError, match=message) as caught:
            find_own_code(name)
        assert str(caught.value).startswith("trainable: ")
        assert "\n" not in str(caught.value)

    def test_a_function_of_a_module_goes_to_workers_by_its_name(self, tmp_path, monkeypatch):
        lines = "def go(candidate, *, epochs, seed, device, checkpoint):\n    yield {}\n"
        (tmp_path / "my_own_code_for_a_test.py").write_text(lines)
        monkeypatch.chdir(tmp_path)
        code = find_own_code("my_own_code_for_a_test:go")
        assert code.given is None
        given = give_own_code(code.load())
        assert given == "my_own_code_for_a_test:go"
        assert pickle.loads(pickle.dumps(find_own_code(given))) == code

    def test_one_that_no_module_has_goes_as_it_is(self):
        def nested(candidate, *, epochs, seed, device, checkpoint):
            yield {}

        assert find_own_code(give_own_code(nested)).given is nested
        partial = functools.partial(train)
        assert find_own_code(give_own_code(partial)).load() is partial
