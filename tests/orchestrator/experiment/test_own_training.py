"""Experiments with training code of the user's own: what the file means, and what it may not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from taurank.orchestrator.experiment import (
    Experiment,
    ExperimentError,
    load_experiment,
    parse_experiment,
    with_baseline,
)
from taurank.orchestrator.text import write_yaml

FILE: dict[str, Any] = {
    "name": "t",
    "trainable": "my_pkg.my_mod:train",
    "metric": "val_loss",
    "candidates": ["ridge", {"trees": 10, "name": "small"}, {"trees": 30}],
    "recipe": {"epochs": 5},
}


def read(**changes: Any) -> Experiment:
    content = {key: value for key, value in (FILE | changes).items() if value is not ...}
    return parse_experiment(write_yaml(content), where="x.yaml")


def problems(**changes: Any) -> list[str]:
    with pytest.raises(ExperimentError) as caught:
        read(**changes)
    lines = str(caught.value).splitlines()
    assert all(line.startswith("x.yaml: ") for line in lines)
    return [line.removeprefix("x.yaml: ") for line in lines]


def test_needs_neither_space_nor_data():
    found = read()
    assert found.space.name == "own"
    assert found.candidates == ["ridge", '{"name": "small", "trees": 10}', '{"trees": 30}']
    assert found.listed() == (found.candidates, [])
    assert (found.proxies, found.knowledge, found.share_results) == (None, None, False)
    assert (found.ranked_metric.name, found.ranked_metric.mode) == ("val_loss", "min")


def test_comes_back_from_its_own_yaml():
    found = with_baseline(read(), where="x.yaml")
    again = parse_experiment(found.to_yaml(), where="again.yaml")
    assert again == found
    assert again.to_yaml() == found.to_yaml()
    assert "trainable" not in load_experiment("quickstart").to_yaml()


@pytest.mark.parametrize(
    ("metric", "mode"), [("val_iou", "max"), ({"name": "val_iou", "mode": "min"}, "min"), ("error", "min")]
)
def test_the_name_of_a_metric_says_its_direction_unless_the_file_does(metric, mode):
    assert read(metric=metric).ranked_metric.mode == mode


def test_paths_are_those_of_the_folder_of_the_file(tmp_path, monkeypatch):
    (tmp_path / "x.yaml").write_text(write_yaml(FILE | {"features": "f.csv"}))
    assert load_experiment(tmp_path / "x.yaml").features == str(tmp_path / "f.csv")
    monkeypatch.chdir(tmp_path)
    assert load_experiment(FILE | {"features": "f.csv"}).features == str(Path.cwd() / "f.csv")


def test_training_code_may_be_given_beside_the_file():
    content = {key: value for key, value in FILE.items() if key != "trainable"}
    assert load_experiment(content, trainable="m:f").trainable == "m:f"
    assert load_experiment(load_experiment(FILE), trainable="m:f").trainable == "m:f"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"candidates": ["a", 3]}, "candidates.1: 3 is neither a name nor a mapping of options; "),
        ({"candidates": ["a", None]}, "candidates.1: None is neither a name nor a mapping"),
        ({"candidates": [["a"], "b"]}, "candidates.0: ['a'] is neither a name nor a mapping"),
        ({"candidates": ["a", "a"]}, "candidates: 'a' is listed twice"),
        ({"candidates": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]}, "candidates: 'a=1, b=2' is listed twice"),
        ({"candidates": ["a"]}, "candidates: lists 1; an order needs at least 2"),
        ({"candidates": 5}, "candidates: list what the trainable takes"),
        ({"candidates": ...}, "candidates: list what the trainable takes"),
        ({"space": "nasbench201"}, "space: own training code takes candidates as they are; omit space"),
        ({"data": "digits"}, "data: own training code reads its data itself; omit data"),
        ({"metric": ...}, "metric is missing: name the number to rank by"),
        ({"metric": "thing"}, "metric: the name 'thing' does not say which end is better"),
        ({"metric": {"name": "epoch", "mode": "min"}}, "metric.name: 'epoch' has another meaning"),
        ({"metric": {"name": "a", "mode": "least"}}, "metric.mode: "),
        ({"recipe": {"epochs": 5, "learning_rate": 0.5}}, "recipe: own training code has its own"),
        ({"proxies": ["synflow"]}, "proxies: they score networks that taurank builds"),
        ({"supernets": ["uniform"]}, "supernets: "),
        ({"search": {"method": "random", "evaluations": 3}}, "search: it needs networks"),
        ({"constraints": ["params <= 5"]}, "constraints: they need networks"),
        ({"latency": {}}, "latency: it needs networks"),
        ({"share_results": True}, "share_results: own training code may have changed"),
        ({"trainings": [{"epochs": 2, "subset": 0.5}]}, "trainings.0: own training code trains on its own data"),
        ({"trainings": [{"epochs": 2, "task": "rotation"}]}, "trainings.0: own training code"),
        (
            {"trainable": ..., "space": "nasbench201", "data": "digits", "candidates": 3},
            "metric: it is for own training",
        ),
        (
            {"trainable": ..., "metric": ..., "space": "own", "data": "digits", "candidates": ["a", "b"]},
            "space: such candidates need own training",
        ),
        ({"trainable": ..., "metric": ..., "space": "nasbench201", "data": "none", "candidates": 3}, "data: only own"),
    ],
)
def test_what_does_not_fit_is_one_line(changes, line):
    assert [found for found in problems(**changes) if found.startswith(line)]


def test_a_trial_may_have_several_gpus():
    """Own code may use them all; a training of taurank's would leave all but one idle."""
    assert load_experiment(FILE | {"resources": {"gpus_per_trial": 2.0}}).resources.gpus_per_trial == 2
