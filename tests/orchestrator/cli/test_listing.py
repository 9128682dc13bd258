"""Listings answer at once: none of them imports torch, whose import alone takes more than a second."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COMMAND = """
import sys
from taurank.orchestrator.cli import app
sys.argv[1:] = {arguments}
try:
    app()
except SystemExit:
    pass
heavy = [name for name in ("torch", "torchvision", "ray", "sklearn") if name in sys.modules]
print(heavy, file=sys.stderr)
"""
NAMES = """
import sys
from taurank.schedulers.policies import list_policies
from taurank.spaces import get_space, list_spaces
from taurank.trainables.supernet import list_samplers, list_supernets
assert all((list_policies(), list_samplers(), list_supernets()))
for name in list_spaces():
    get_space(name)
print([name for name in ("torch", "torchvision", "ray") if name in sys.modules], file=sys.stderr)
"""


def imports_of(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [["spaces"], ["spaces", "nas*"], ["experiments"], ["--help"], ["search", "--help"], ["models"]]
)
def test_a_listing_imports_no_torch(arguments: list[str]) -> None:
    assert imports_of(COMMAND.format(arguments=arguments)) == "[]"


def test_names_are_listed_and_spaces_made_without_torch() -> None:
    assert imports_of(NAMES) == "[]"


def test_a_space_is_made_without_the_modules_of_others() -> None:
    program = """
import sys
from taurank.spaces import get_space
get_space("mnist_blocks")
others = ("taurank.spaces.mobile", "taurank.spaces.zoo", "taurank.spaces.nasbench201")
print([name for name in sys.modules if name.startswith(others)], file=sys.stderr)
"""
    assert imports_of(program) == "[]"
