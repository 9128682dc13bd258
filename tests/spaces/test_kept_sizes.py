"""Sizes of models that are kept on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from taurank.spaces import KeptSizes, Size, Zoo
from taurank.spaces.zoo import kept_sizes

NAME, SHAPE = "torchvision:squeezenet1_1", (3, 64, 64)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Calls that measure; networks are not built."""
    calls: list[tuple[Any, ...]] = []

    def measure(space: Zoo, architecture: Any, *, input_shape: tuple[int, ...], classes: int) -> Size:
        calls.append((architecture.code, input_shape, classes))
        return Size(len(calls), 10 * len(calls), depth=len(calls) + 1 if len(calls) < 3 else None)

    monkeypatch.setattr(kept_sizes, "measure_size", measure)
    monkeypatch.setattr(Zoo, "family", lambda *_: "cnn")
    return calls


def size(folder: Path, shape: tuple[int, int, int] = SHAPE, classes: int = 10, name: str = NAME) -> tuple[Size, str]:
    space = Zoo(models=[NAME])
    architecture = space.parse(NAME)
    with KeptSizes(folder) as sizes:
        return sizes.measure(space, type(architecture)("zoo", name), input_shape=shape, classes=classes)


def test_a_second_time_nothing_is_measured(measured: list[Any], tmp_path: Path) -> None:
    assert size(tmp_path) == size(tmp_path) == (Size(1, 10, 2), "cnn")
    assert len(measured) == 1
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == ["torchvision"]


def test_another_task_is_another_size(measured: list[Any], tmp_path: Path) -> None:
    size(tmp_path)
    size(tmp_path, shape=(3, 96, 96))
    size(tmp_path, classes=11)
    assert [call[1:] for call in measured] == [(SHAPE, 10), ((3, 96, 96), 10), (SHAPE, 11)]
    size(tmp_path, classes=11)
    assert len(measured) == 3


def test_an_unknown_depth_is_kept(measured: list[Any], tmp_path: Path) -> None:
    for classes in (2, 3, 4, 4):
        found = size(tmp_path, classes=classes)
    assert found == (Size(3, 30, None), "cnn")
    assert len(measured) == 3


@pytest.mark.parametrize("of", ["torchvision", "torch"])
def test_another_version_is_measured_again(
    of: str, measured: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size(tmp_path)
    known = kept_sizes.version
    monkeypatch.setattr(kept_sizes, "version", lambda name: "99" if name == of else known(name))
    size(tmp_path)
    monkeypatch.undo()
    assert len(measured) == 2


def test_another_way_to_count_is_measured_again(
    measured: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size(tmp_path)
    monkeypatch.setattr(kept_sizes, "_code_version", lambda: "other")
    size(tmp_path)
    assert len(measured) == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[1]",
        "null",
        '{"KEY": 3}',
        '{"KEY": [1, 2]}',
        '{"KEY": [1, 2, "cnn"]}',
        '{"KEY": [-1, 2, 3, "cnn"]}',
        '{"KEY": [1, 2, -3, "cnn"]}',
        '{"KEY": [1, 2, "3", "cnn"]}',
        '{"KEY": [1, 2, 3, "x"]}',
    ],
)
def test_a_damaged_file_is_none(content: str, measured: list[Any], tmp_path: Path) -> None:
    size(tmp_path)
    (file,) = tmp_path.iterdir()
    (key,) = json.loads(file.read_text())
    file.write_text(content.replace("KEY", key))
    assert size(tmp_path) == (Size(2, 20, 3), "cnn")
    assert json.loads(file.read_text())[key] == [2, 20, 3, "cnn"]


def test_a_folder_that_cannot_be_written_is_none(measured: list[Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert size(tmp_path / "file" / "sizes")[0] == Size(1, 10, 2)
    assert size(tmp_path / "file" / "sizes")[0] == Size(2, 20, 3)


def test_own_models_are_measured_each_time(measured: list[Any], tmp_path: Path) -> None:
    size(tmp_path, name="my_nets:make")
    size(tmp_path, name="my_nets:make")
    assert len(measured) == 2
    assert not list(tmp_path.iterdir())


def test_what_was_measured_before_an_interruption_is_kept(measured: list[Any], tmp_path: Path) -> None:
    space = Zoo(models=[NAME])

    def interrupted() -> None:
        with KeptSizes(tmp_path) as sizes:
            sizes.measure(space, space.parse(NAME), input_shape=SHAPE, classes=10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert size(tmp_path) == (Size(1, 10, 2), "cnn")
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]
