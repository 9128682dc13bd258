"""Constraints, latency and objective in the experiment file."""

from __future__ import annotations

import pytest

from taurank.orchestrator.experiment.experiment import ExperimentError
from taurank.orchestrator.experiment.file import load_experiment, parse_experiment
from taurank.orchestrator.experiment.hardware import LatencySpec

BASE = "name: t\nspace: nasbench201\ndata: digits\ncandidates: 4\n"


def parse(more: str):
    return parse_experiment(BASE + more, where="t")


@pytest.mark.parametrize(
    "more",
    [
        "",
        "constraints: ['params <= 5e6', 'flops >= 1M', latency <= 20ms]",
        "latency: {batch: 8, threads: 2, precision: bfloat16, device: cuda}",
        "latency: {table: /somewhere/latency.json}",
        "objective: {kind: additive-linear, target: 600e6, of: flops}",
        "objective: {kind: mnasnet-soft, target: 20ms}",
    ],
)
def test_it_runs_again_as_it_is_written(more):
    found = parse(more)
    assert parse_experiment(found.to_yaml(), where="again") == found


def test_one_constraint_needs_no_list():
    assert parse("constraints: params <= 5M").bounds == parse("constraints: [params <= 5M]").bounds


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", None),
        ("constraints: [params <= 5M]", None),
        ("objective: {kind: ratio, target: 5M, of: parameters}", None),
        ("constraints: [latency <= 5ms]", LatencySpec()),
        ("objective: {kind: ratio, target: 5ms}", LatencySpec()),
        ("latency: {}", LatencySpec()),
        ("latency: {batch: 4}\nconstraints: [latency <= 5ms]", LatencySpec(batch=4)),
    ],
)
def test_latency_is_measured_where_somebody_asks_for_it(more, expected):
    assert parse(more).measured_latency == expected


def test_a_table_is_looked_for_beside_the_file(tmp_path, monkeypatch):
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "t.yaml").write_text(BASE + "latency: {table: phone.json}\n")
    monkeypatch.chdir(tmp_path)
    assert load_experiment("here/t.yaml").latency == LatencySpec(table=str(folder / "phone.json"))


def test_targets_are_amounts():
    assert parse("objective: {kind: ratio, target: 300e6, of: flops}").objective.amount == 3e8
    assert parse("objective: {kind: ratio, target: 300, of: flops}").objective.amount == 300
    assert parse("objective: {kind: ratio, target: 1.5s}").objective.amount == 1500


@pytest.mark.parametrize(
    ("more", "lines"),
    [
        (
            "constraints: [params <= 5m, latency <= 20, size <= 3]",
            [
                "constraints.0: 'params <= 5m': m is not a unit of a count; write k, M or G, such as 5M",
                "constraints.1: 'latency <= 20': the unit is missing; write us, ms or s, such as 20ms",
                "constraints.2: 'size <= 3': size cannot be constrained; use parameters (params), flops or latency",
            ],
        ),
        ("constraints: [3]", ["constraints.0: has to be text, not 3"]),
        (
            "latency: {batch: 0, precision: int8, tabel: x}",
            [
                "latency.batch: has to be at least 1, not 0",
                "latency.precision: has to be 'float32', 'bfloat16' or 'float16', not \"int8\"",
                "latency.tabel: unknown key; did you mean 'table'?",
            ],
        ),
        (
            "latency: {batch: 8, threads: 2, table: x.json}",
            ["latency.batch: the table defines its own conditions; omit batch, threads, or the table"],
        ),
        (
            "objective: {kind: ratio, target: 20}",
            ["objective.target: '20': the unit is missing; write us, ms or s, such as 20ms"],
        ),
        ("objective: {kind: ratio}", ["objective.target: is missing; it has no default"]),
        (
            "objective: {kind: multiplicative-log, target: 900us}",
            ["objective.target: 900us is not above 1ms, where the logarithm is not a cost; use mnasnet-soft"],
        ),
        (
            "objective: {kind: multiplicative-log, target: 5M, of: flops}",
            ["objective.of: multiplicative-log is defined for latencies only; use mnasnet-soft or additive-linear"],
        ),
        (
            "objective: {kind: mnasnet, target: 20ms}",
            [
                "objective.kind: has to be 'mnasnet-soft', 'mnasnet-hard', 'multiplicative-log', 'additive-linear' or "
                "'ratio', not \"mnasnet\"; did you mean 'mnasnet-soft'?"
            ],
        ),
    ],
)
def test_mistakes_name_the_field_and_the_way_out(more, lines):
    with pytest.raises(ExperimentError) as caught:
        parse(more)
    assert sorted(str(caught.value).splitlines()) == sorted(f"t: {line}" for line in lines)
