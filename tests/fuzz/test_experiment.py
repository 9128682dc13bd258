"""Experiment files, constraints and patterns of models that nobody meant: an experiment, or lines that say why not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.experiment.from_options import ModelsError, experiment_of_models
from taurank.orchestrator.experiment.listing import NAMED, list_experiments
from taurank.orchestrator.hardware.constraints import Constraint, ConstraintError, read_constraint
from taurank.orchestrator.text.yaml import LONGEST_NUMBER, YamlError, read_yaml, write_yaml
from tests.fuzz.fuzzing import answer, damaged

VALID = """
name: fuzz
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 24
constraints: [params <= 5e6]
data: {name: digits, validation: 400, test: 600}
recipe: {epochs: 40, augmentation: {crop: 1}}
proxies: {names: [nwot, snip], images: 16}
trainings:
  - {epochs: 2, subset: {share: 0.25, by: k-center}}
  - {epochs: 40, candidates: 2, scheduler: {name: rungs, options: {}}}
supernets: [{sampler: uniform, epochs: 3, contenders: {epochs: 1}}]
baseline: {seeds: [1, 2]}
resources: {cpus_per_trial: auto}
"""
MOST_LINES = 400
"""A line for each problem: random structures have many."""


def read(text: str) -> Experiment | None:
    return answer(lambda: parse_experiment(text, where="fuzz.yaml"), ExperimentError, lines=MOST_LINES)


@given(st.text(max_size=400))
def test_any_text(text):
    read(text)


WORDS = """
&a *a <<: --- ... !!python/object/apply:os.system !!binary !!set !!omap !!float 2001-01-01 1e999 .nan .inf 0o7 1_0 yes
null 1:30 name: space: data: digits - ? : [ ] { } , | > % @ ` ' " # ! * & ~ = \\
"""
YAML_SIGNS = st.sampled_from([*WORDS.split(), " ", "  ", "\n", "\n- ", "\n  ", ": ", "\t", "0x" + "f" * 400])


@given(st.lists(YAML_SIGNS | st.text(max_size=5), max_size=60).map("".join))
def test_any_yaml_signs(text):
    read(text)


def mutated_text(valid: str) -> st.SearchStrategy[str]:
    return damaged(valid.encode()).map(lambda content: content.decode(errors="replace"))


FILES = [VALID, *((NAMED / f"{name}.yaml").read_text() for name in list_experiments())]


@given(st.sampled_from(FILES).flatmap(mutated_text))
def test_a_file_with_a_few_other_characters(text):
    read(text)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.integers(-3, 100)
    | st.floats()
    | st.text(max_size=12)
    | st.dates()
    | st.sampled_from(["all", "auto", "10x", "digits", "nasbench201", "zoo", "timm:*", "folder:/", "npz:", "uniform"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | SCALARS, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(Experiment.model_fields)), VALUES, max_size=8))
def test_any_values_under_known_keys(content):
    read(write_yaml({"name": "fuzz", "space": "mnist_blocks", "data": "digits"} | content))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [found for key, inner in below for found in places(inner, (*path, key))]


@given(st.sampled_from(places(read_yaml(VALID))), VALUES)
def test_one_other_value_in_a_valid_file(path, value):
    content = read_yaml(VALID)
    inner = content
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = value
    read(write_yaml(content))


@given(VALUES.filter(lambda value: len(write_yaml(value)) < LONGEST_NUMBER))
def test_what_is_written_is_read_again(value):
    found = answer(lambda: read_yaml(write_yaml([value])), YamlError)
    assert found is not None
    assert repr(found) == repr([value])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}, *{a}]\n"
                     for a, b in zip("abcdefghijklmno", "bcdefghijklmnop", strict=True)), id="billion laughs"),
        pytest.param("[" * 100_000, id="deep, open"),
        pytest.param("a: " + "[" * 5_000 + "]" * 5_000, id="deep, closed"),
        pytest.param("{a: " * 5_000 + "}" * 5_000, id="deep mappings"),
        pytest.param("- " * 20_000 + "1", id="deep lists in one line"),
        pytest.param("seed: " + "9" * 1_000_000, id="huge number"),
        pytest.param("seed: 0x" + "f" * 1_000_000, id="huge hexadecimal number"),
        pytest.param("seed: " + ":".join(["59"] * 50_000), id="huge number of base 60"),
        pytest.param("a: &a\n  b: *a", id="contains itself"),
        pytest.param("a: &a {<<: *a}", id="merges itself"),
        pytest.param("&a a: *a", id="key of itself"),
        pytest.param("? [a, b]\n: c", id="list as a key"),
        pytest.param("? {a: b}\n: c", id="mapping as a key"),
        pytest.param("a: 2001-99-99", id="no date"),
        pytest.param("a: !!timestamp x", id="no time"),
        pytest.param("a: !!int x", id="no number"),
        pytest.param("a: !!float [x]", id="list as a number"),
        pytest.param("a: !!binary '&&'", id="no base 64"),
        pytest.param("a: !!python/object/apply:os.system ['true']", id="object"),
        pytest.param("a: !!python/name:os.system", id="name"),
        pytest.param("a: !x y", id="own tag"),
        pytest.param("name: a\nname: b", id="twice"),
        pytest.param("a: \x00", id="zero byte"),
        pytest.param("a: \ud800", id="half a surrogate pair"),
        pytest.param("a: \x1b[31m", id="escape sequence"),
        pytest.param("%YAML 9.9\n---\na: 1", id="other version"),
        pytest.param("--- a\n--- b", id="two documents"),
        pytest.param("a: " + "x" * 1_000_000, id="a megabyte"),
        pytest.param("x" * 1_000_000, id="a megabyte of one word"),
        pytest.param("a: '" + "\n" * 200_000 + "'", id="many lines"),
    ],
)  # fmt: skip
def test_hostile_yaml_gets_lines(text):
    assert read(text) is None


CONSTRAINT_PARTS = st.sampled_from(["params", "flops", "latency", "<=", ">=", "==", " ", "5e6", "5M", "20ms", "1e999",
                                    "0", "-1", "nan", "5e-400", "us", "µs", "١٢"]) | st.text(max_size=4)  # fmt: skip


@given(st.lists(CONSTRAINT_PARTS, max_size=8).map("".join))
def test_any_constraint(text):
    found = answer(lambda: read_constraint(text), ConstraintError)
    if found is not None:
        assert isinstance(found, Constraint)
        assert 0 < found.bound < float("inf")


MODEL_PARTS = st.sampled_from(["timm:", "torchvision:", "resnet18", "*", "?", "[", "]", "[!a-", "[z-a]", ",", ".", "..",
                               "os:system", "builtins:eval", "/etc/passwd", ":", "hf-hub:x/y", "local-dir:/x", "@", " ",
                               "sys:exit", "*" * 50 + "b"]) | st.text(max_size=4)  # fmt: skip


@given(st.lists(MODEL_PARTS, max_size=6).map("".join))
def test_any_models(text):
    answer(lambda: experiment_of_models([text], "digits"), ExperimentError, ModelsError, lines=MOST_LINES)


OUTSIDE = ["../escaped", "/tmp/escaped", "a/b", "..", ".", "", ".hidden", "a\x00b", "a\nb", "-rf", "a" * 1000]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_cannot_leave_the_folder_of_the_runs(name):
    assert read(write_yaml({"name": name, "space": "mnist_blocks", "data": "digits"})) is None


def test_a_message_does_not_steer_the_terminal(taurank):
    code, _, said = taurank("run", "\x1b[31mred.yaml")
    assert code == 2
    assert said.startswith("taurank: \\x1b[31mred.yaml cannot be read: ")
    assert "\x1b" not in said
