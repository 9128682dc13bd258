"""The examples in the documentation of the policies."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import taurank.schedulers.policies

MODULES = sorted(
    path.stem for path in Path(taurank.schedulers.policies.__path__[0]).glob("*.py") if path.stem != "__init__"
)


@pytest.mark.parametrize("module", [f"taurank.schedulers.policies.{name}" for name in MODULES])
def test_examples_hold(module):
    assert doctest.testmod(import_module(module)).failed == 0


def test_every_policy_has_one():
    for name in taurank.schedulers.policies.list_policies():
        policy = type(taurank.schedulers.policies.make_policy(name))
        assert ">>>" in (policy.__doc__ or ""), name
