from __future__ import annotations

import subprocess
import sys

import pytest

from taurank.schedulers.policies import list_policies, make_policy
from taurank.schedulers.policies.registry import choices

NAMES = [
    "full",
    "uniform",
    "successive-halving",
    "hyperband",
    "asha",
    "pasha",
    "median",
    "penguin",
    "beating",
    "order-settling",
]


def test_policies_and_scipy_are_imported_only_when_asked_for():
    script = (
        "import sys; from taurank.schedulers.policies import list_policies, make_policy; list_policies();"
        'eager = [f\'taurank.schedulers.policies.{name.replace("-", "_")}\' for name in list_policies()];'
        "found = sys.modules.keys() & {*eager, 'scipy', 'sklearn'}; assert not found, found;"
        "make_policy('order-settling')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_names():
    assert list_policies() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_makes_its_policy(name):
    policy = make_policy(name)
    assert type(policy).__name__.lower().startswith(name.replace("-", ""))
    assert policy.judges_running == (name in ("median", "penguin", "beating"))


def test_an_unknown_name():
    with pytest.raises(ValueError) as caught:
        make_policy("ahsa")
    assert str(caught.value) == f"unknown policy 'ahsa'; allowed: {', '.join(NAMES)}; did you mean 'asha'?"


def test_an_unknown_option():
    with pytest.raises(ValueError) as caught:
        make_policy("asha", reduction=4)
    assert str(caught.value) == (
        "unknown option 'reduction' of policy 'asha'; allowed: reduction_factor, first_rung, seed; "
        "did you mean 'reduction_factor'?"
    )


def test_memory_is_no_option():
    with pytest.raises(ValueError, match="unknown option '_memory'"):
        make_policy("penguin", _memory={})


def test_choices():
    assert choices("x", []) == "allowed: none"
    assert choices("zzz", ["a", "b"]) == "allowed: a, b"


@pytest.mark.parametrize(
    ("name", "option", "value", "message"),
    [
        ("uniform", "epochs", 0, "epochs must be a whole number of at least 1, got 0"),
        ("uniform", "epochs", "5", "epochs must be a whole number of at least 1, got '5'"),
        ("uniform", "epochs", True, "epochs must be a whole number of at least 1, got True"),
        ("successive-halving", "reduction_factor", 1, "reduction_factor must be a finite number above 1, got 1"),
        ("successive-halving", "first_rung", 1.5, "first_rung must be a whole number of at least 1, got 1.5"),
        ("hyperband", "reduction_factor", "3", "reduction_factor must be a finite number above 1, got '3'"),
        ("asha", "reduction_factor", float("inf"), "reduction_factor must be a finite number above 1, got inf"),
        ("asha", "first_rung", 0, "first_rung must be a whole number of at least 1, got 0"),
        ("pasha", "reduction_factor", float("nan"), "reduction_factor must be a finite number above 1, got nan"),
        ("pasha", "first_rung", -1, "first_rung must be a whole number of at least 1, got -1"),
        ("median", "first_epoch", 0, "first_epoch must be a whole number of at least 1, got 0"),
        ("median", "minimum_others", 0, "minimum_others must be a whole number of at least 1, got 0"),
        ("penguin", "window", 0, "window must be a whole number of at least 1, got 0"),
        ("penguin", "tolerance_points", 0.0, "tolerance_points must be a finite number above 0, got 0.0"),
        ("penguin", "minimum_points", 2, "minimum_points must be a whole number of at least 3, got 2"),
        ("beating", "probability", 1.0, "probability must be a finite number above 0 and below 1, got 1.0"),
        ("beating", "first_check", 0, "first_check must be a finite number above 0 and below 1, got 0"),
        ("beating", "interval", None, "interval must be a finite number above 0 and below 1, got None"),
        (
            "beating",
            "extrapolator",
            "ensembel",
            "extrapolator must be one of ensemble, freeze-thaw, or a curve model, got 'ensembel'",
        ),
        ("beating", "extrapolator", 3, "extrapolator must be one of ensemble, freeze-thaw, or a curve model, got 3"),
    ],
)
def test_a_value_out_of_range_is_named(name, option, value, message):
    with pytest.raises(ValueError) as caught:
        make_policy(name, **{option: value})
    assert str(caught.value) == message
