"""Every command of README and docs/, as a user types it, in one session."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from taurank.spaces import get_space
from tests.readme.documented import OWN_TRAINING, PAGES, ROOT, commands, snippets
from tests.readme.typed import NOT_TYPED, SESSION, Typed

MY_NETS = """
from torch import nn


def make(num_classes):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes)
    )
"""
CELLS = """
name: cells
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 4
data: {name: digits, train: 128, validation: 64, test: 64}
recipe: {epochs: 2, batch_size: 64}
budget: 2x
resources: {cpus_per_trial: 1}
"""
MINE = """
name: found
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
search: {evaluations: 4}
data: {name: digits, train: 128, validation: 64, test: 64}
recipe: {epochs: 1, batch_size: 64}
resources: {cpus_per_trial: 1}
"""
MORE = "trainings:\n  - {epochs: 2, until: 1, seed: 5}\n"
TRUTH = """architecture,value
timm:test_resnet,0.7
timm:test_vit,0.5
torchvision:squeezenet1_1,0.6
my_nets:make,0.4
"""


def write_results(folder: Path) -> None:
    """Losses of 12 trainings, of which 3 ran to the end, and the depth of each network."""
    rows, sizes = ["net,epoch,val_loss"], ["net,depth"]
    for net in range(12):
        sizes.append(f"net-{net},{net % 6}")
        end = 0.5 + 0.1 * (net % 6) + 0.01 * net
        rows += [f"net-{net},{e},{end + 1 / e:.4f}" for e in range(1, 21 if net < 3 else 6)]
    (folder / "results.csv").write_text("\n".join(rows) + "\n")
    (folder / "sizes.csv").write_text("\n".join(sizes) + "\n")


class Desk:
    """A working directory with what a user has: images, own code, files; and the runs that commands leave there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, list[str]()
        for name, text in (("my_nets.py", MY_NETS), ("cells.yaml", CELLS), ("mine.yaml", MINE)):
            (folder / name).write_text(text)
        (folder / "more.yaml").write_text(MORE)
        (folder / "truth.csv").write_text(TRUTH)
        cells = get_space("nasbench201").enumerate()
        (folder / "old.csv").write_text("arch,top1\n" + "".join(f"{c.code},{n % 97}\n" for n, c in enumerate(cells)))
        generator = np.random.default_rng(0)
        rows = ["net,epoch,acc,time"]
        for net in range(40):
            end = 60 + 30 * generator.random()
            curve = (f"{end * (1 - np.exp(-epoch / 3)) + generator.normal(0, 1):.2f}" for epoch in range(1, 11))
            rows += [f"net-{net},{epoch},{value},30" for epoch, value in enumerate(curve, start=1)]
        (folder / "curves.csv").write_text("\n".join(rows) + "\n")
        write_results(folder)
        (folder / "my_models.py").write_text(snippets(OWN_TRAINING, "python")[0])
        (folder / "models.yaml").write_text(snippets(OWN_TRAINING, "yaml")[0])
        for number, name in enumerate(("circles", "squares", "stripes")):
            (folder / "photos" / name).mkdir(parents=True)
            for index in range(20):
                image = generator.integers(0, 80, (32, 32, 3)).astype(np.uint8)
                x, y = (int(value) for value in generator.integers(9, 23, 2))
                if number == 0:
                    cv2.circle(image, (x, y), 7, (255, 200, 150), -1)
                elif number == 1:
                    cv2.rectangle(image, (x - 6, y - 6), (x + 6, y + 6), (150, 255, 200), -1)
                else:
                    image[::4] = (200, 150, 255)
                cv2.imwrite(str(folder / "photos" / name / f"{index}.png"), image)

    def type(self, command: str) -> tuple[int, str]:
        """Exit status and output of a command, with RUN and FIRST filled in."""
        for word, run in (("RUN", self.runs[-1:]), ("FIRST", self.runs[:1])):
            if run:
                command = re.sub(rf"\b{word}\b", run[0], command)
        words = shlex.split(command)
        assert words[0] == "taurank"
        environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "COLUMNS": "120",
        }
        environment.pop("TAURANK_DATA", None)
        earlier = self._folders()
        done = subprocess.run(
            [sys.executable, "-m", "taurank", *words[1:]],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=600,
        )
        self.runs += [str(folder.relative_to(self.folder)) for folder in self._folders() - earlier]
        return done.returncode, done.stdout

    def _folders(self) -> set[Path]:
        return set((self.folder / "runs").glob("[!.]*"))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


def check(step: Typed, desk: Desk) -> None:
    code, output = desk.type(step.typed)
    assert "Traceback" not in output, output
    assert code == step.code, output
    lines = output.rstrip().splitlines()
    assert lines, "nothing was printed"
    # A closing sentence may be folded over several lines.
    ends = [" ".join(map(str.strip, lines[-count:])) for count in (1, 2, 3, 4)]
    assert any(re.fullmatch(step.shows, end) for end in ends), output
    for text in step.prints:
        assert re.search(text, output), output


@pytest.mark.ray
@pytest.mark.smoke
def test_the_short_session(desk: Desk) -> None:
    for step in SESSION:
        if step.small:
            check(step, desk)


LONG = [step for step in SESSION if not step.small or step.typed.startswith("taurank run ")]
"""All but the commands of the short session; what later commands go on with is made again."""


@pytest.mark.ray
@pytest.mark.parametrize("step", LONG, ids=[step.typed[:60] for step in LONG])
def test_the_long_session(step: Typed, long_desk: Desk) -> None:
    check(step, long_desk)


@pytest.fixture(scope="module")
def long_desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tmp_path_factory.mktemp("desk"))


def test_every_documented_command_is_typed() -> None:
    typed = {step.typed for step in SESSION} | {name for step in SESSION for name in step.stands_for}
    shown = {command: page for page in PAGES for command in commands(page)}
    ours = {command: page for command, page in shown.items() if command.split()[0] in ("taurank", "make")}
    missing = [f"{page}: {command}" for command, page in ours.items() if command not in typed | set(NOT_TYPED)]
    assert not missing, "\n".join(missing)
    listed = {name for step in SESSION for name in step.stands_for} | set(NOT_TYPED)
    assert not listed - set(shown), "no page shows these any more"


def test_commands_are_found_where_they_stand() -> None:
    assert "taurank run quickstart" in set(commands("README.md"))
    assert any(command.startswith("taurank run --models") for command in commands("docs/how-to/models.md"))
