"""`taurank data pack` and `data check` as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from taurank.orchestrator.text import progress_bar
from taurank.orchestrator.text.console import Console
from taurank.trainables.data import load_dataset
from taurank.trainables.data.pack_file import read_index

Taurank = Callable[..., tuple[int, str, str]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for place in range(8):
        folder = tmp_path / "photos" / ("ant", "bee")[place % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(place).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{place}.jpg"), pixels)
    (tmp_path / "photos" / "bee" / "7.jpg").write_bytes(b"no image")
    return tmp_path / "photos"


def test_packs_says_what_it_left_out_and_how_to_use_it(taurank: Taurank, photos: Path) -> None:
    file = photos.parent / "f.pack"
    code, out, err = taurank("data", "pack", f"folder:{photos}", "--out", file)
    assert (code, err) == (0, "")
    left_out, last = out.splitlines()
    megabytes = file.stat().st_size / 1e6
    assert left_out.startswith(f"folder:{photos}: 1 of 8 images are left out: bee/7.jpg: cut short, or not an image")
    assert last.startswith(
        f"{file}: 7 images of 2 classes, {megabytes:.2f} MB; use it with --data packed:{file}, or data: "
    )
    assert set(read_index(file).rows["height"].tolist()) == {256}


def test_packing_again_says_that_the_file_was_there(
    taurank: Taurank, photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, command = photos.parent / "f.pack", ("data", "pack", f"folder:{photos}", "--out", photos.parent / "f.pack")
    first, again = taurank(*command)[1], taurank(*command)[1]
    assert again == first.replace(f"{file}: 7 images", f"{file}: was there already: 7 images")
    assert json.loads(taurank(*command, "--json")[1])["was_there"]
    # Files that were left out are named by the packing, and only counted whenever the file is used.
    load_dataset(f"packed:{file}", root=None, download=False, size=8)
    assert [record.message for record in caplog.records] == [f"folder:{photos}: 1 of 8 images are left out"]


@pytest.mark.parametrize(("options", "height"), [(["--as-is"], 300), (["--short-side", "100", "--quality", "50"], 100)])
def test_the_options_say_how(taurank: Taurank, photos: Path, options: list[str], height: int) -> None:
    assert taurank("data", "pack", f"folder:{photos}", "--out", photos.parent / "f.pack", *options)[0] == 0
    assert set(read_index(photos.parent / "f.pack").rows["height"].tolist()) == {height}


def test_an_interruption_says_how_to_go_on(taurank: Taurank, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("taurank.trainables.data.packing.Packing.pack", interrupt)
    code, out, _ = taurank("data", "pack", f"folder:{photos}", "--out", photos.parent / "f.pack")
    assert (code, out) == (130, "interrupted; the same command continues\n")


def test_the_check_names_damaged_images(taurank: Taurank, photos: Path) -> None:
    file = photos.parent / "f.pack"
    taurank("data", "pack", f"folder:{photos}", "--out", file)
    assert taurank("data", "check", file) == (0, f"{file}: 7 images, all as they were packed\n", "")
    content = bytearray(file.read_bytes())
    content[int(read_index(file).rows["offset"][1])] ^= 1
    file.write_bytes(content)
    code, out, _ = taurank("data", "check", file)
    assert (code, len(out.splitlines())) == (1, 2)
    assert "the bytes of ant/2.jpg have changed" in out
    assert f"{file}: 1 of 7 images are damaged; pack the images again" in out
    code, out, _ = taurank("data", "check", file, "--json")
    assert (code, json.loads(out)["images"], len(json.loads(out)["damaged"])) == (1, 7, 1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data", "pack", "folder:{photos}", "--out", "{photos}/f", "--as-is", "--quality", "80"], "omit --quality"),
        (["data", "pack", "cifar10", "--out", "{photos}/f"], "'cifar10' is none of folder:PATH, imagenet:PATH"),
        (["data", "pack", "folder:{photos}/gone", "--out", "{photos}/f"], "there is no {photos}/gone"),
        (["data", "pack", "folder:{photos}#3", "--out", "{photos}/f"], "3 classes are asked for; it has 2"),
        (["data", "pack", "{photos}", "--out", "{photos}/f"], "; did you mean 'folder:{photos}'?"),
        (["data", "check", "{photos}/gone"], "{photos}/gone: cannot be read (No such file or directory)"),
        (["data", "check", "{photos}/ant/0.jpg"], "is no file of packed images; make one with taurank data pack"),
    ],
)
def test_mistakes_are_one_line(taurank: Taurank, photos: Path, arguments: list[str], said: str) -> None:
    code, _, err = taurank(*(word.format(photos=photos) for word in arguments))
    assert code == 2
    assert len(err.splitlines()) == 1
    assert said.format(photos=photos) in err


def test_the_progress_has_a_speed_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr("taurank.orchestrator.text.console.time.monotonic", lambda: clock[0])
    with progress_bar("packing images", console=Console(), rate="images/s") as progress:
        progress(100, 2100)
        clock[0] = 10.0
        progress(1100, 2100)
    assert capsys.readouterr().out == "packing images: 1,100 of 2,100 (100 images/s, 0:10 min left)\n"
