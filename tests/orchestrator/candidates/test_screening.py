"""Who is ranked under constraints, before anything is spent."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from taurank.orchestrator.candidates.candidates import book_sizes, choose_candidates
from taurank.orchestrator.candidates.screening import DRAWS, Measured, Screen, endless_draws, screened
from taurank.orchestrator.evidence import CONSTRAINTS, DRAWN_AGAIN, SET_ASIDE, EvidenceLog
from taurank.orchestrator.experiment.experiment import ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.report import hardware_lines, print_hardware
from taurank.orchestrator.runs.creation import create_run
from taurank.spaces import Architecture, Size, get_space, measure_size
from taurank.trainables.data import load_dataset, make_splits
from taurank.trainables.latency.candidates import CandidateLatency

OPTIONS = {"width": 2, "cells_per_stage": 1}
SPACE = get_space("nasbench201", **OPTIONS)
BASE = "name: t\nspace: {name: nasbench201, options: {width: 2, cells_per_stage: 1}}\ndata: digits\nbudget: 2x\n"


@pytest.fixture(scope="module")
def images():
    return make_splits(load_dataset("digits"), seed=0, validation=0.2, test=0.2)


def size_of(code, images):
    return measure_size(SPACE, Architecture("nasbench201", code), input_shape=images.input_shape, classes=10)


@pytest.fixture(scope="module")
def drawn():
    return [one.code for one in SPACE.sample(8, np.random.default_rng([0, 0]))]


@pytest.fixture(scope="module")
def middle(drawn, images):
    """A number of parameters that some of the eight exceed and some do not."""
    return sorted(size_of(code, images).parameters for code in drawn)[4]


def parse(candidates, constraints, more=""):
    listed = f"candidates: {candidates}\nconstraints: {constraints}\n{more}"
    return parse_experiment(BASE + listed, where="t")


class Clock:
    """Latencies by a rule; remembers who was measured."""

    def __init__(self, rule):
        self.rule, self.asked = rule, []

    def measure(self, codes):
        self.asked += codes
        return {code: self.rule(code) for code in codes}


class TestLists:
    def test_who_violates_is_set_aside_with_the_value(self, drawn, middle, images):
        found = choose_candidates(parse(drawn, f"[params <= {middle}]"), images)
        sizes = {code: size_of(code, images).parameters for code in drawn}
        assert list(found.codes) == [code for code in drawn if sizes[code] <= middle]
        assert found.set_aside == {
            code: f"parameters {sizes[code]:,}, not params <= {middle}" for code in drawn if sizes[code] > middle
        }
        assert set(found.set_aside) | set(found.codes) == set(drawn)
        assert 5 <= len(found.codes) < 8
        assert found.drawn_again == 0
        assert {code: one.size.parameters for code, one in found.sizes.items()} == {c: sizes[c] for c in found.codes}

    def test_all_bounds_are_kept_and_all_broken_ones_told(self, drawn, middle, images):
        sizes = {code: size_of(code, images).parameters for code in drawn}
        least = min(sizes.values())
        found = choose_candidates(parse(drawn, f"[params >= {least + 1}, params <= {middle}]"), images)
        assert list(found.codes) == [code for code in drawn if least < sizes[code] <= middle]
        flops = sorted(size_of(code, images).flops for code in drawn)[4]
        reasons = choose_candidates(parse(drawn, f"[params <= {middle}, flops <= {flops}]"), images).set_aside.values()
        assert any("; flops" in reason for reason in reasons)

    def test_without_constraints_nobody_is_sized(self, drawn, images):
        found = choose_candidates(parse(drawn, "[]"), images)
        assert (list(found.codes), found.sizes, found.set_aside) == (drawn, {}, {})

    def test_too_few_are_left(self, drawn, images):
        with pytest.raises(ExperimentError) as caught:
            choose_candidates(parse(drawn, "[params <= 5]"), images)
        smallest = min(drawn, key=lambda code: size_of(code, images).parameters)
        assert str(caught.value) == (
            "constraints: 0 of 8 candidates keep them, and an order needs 2; nearest: "
            f"{SPACE.short(Architecture('nasbench201', smallest))}: parameters "
            f"{size_of(smallest, images).parameters:,}, not params <= 5; loosen them"
        )

    def test_other_peoples_models_too_and_those_named(self, images):
        models = "[torchvision:squeezenet1_1, torchvision:shufflenet_v2_x0_5, 'torchvision:mnasnet0*']"
        text = f"name: t\nspace: zoo\ndata: {{name: digits, size: 32}}\ncandidates: {models}\n"
        larger = make_splits(load_dataset("digits"), seed=0, validation=0.2, test=0.2, size=32)
        found = choose_candidates(parse_experiment(f"{text}constraints: params <= 900k\n", where="t"), larger)
        assert found.codes == ("torchvision:squeezenet1_1", "torchvision:shufflenet_v2_x0_5")
        assert found.set_aside == {
            "torchvision:mnasnet0_5": "parameters 950,322, not params <= 900k",
            "torchvision:mnasnet0_75": "parameters 1,902,018, not params <= 900k",
        }


class TestDraws:
    def test_others_are_drawn_in_their_place(self, drawn, middle, images):
        found = choose_candidates(parse(8, f"[params <= {middle}]"), images)
        assert len(set(found.codes)) == 8
        assert all(size_of(code, images).parameters <= middle for code in found.codes)
        # Those of a run without constraints come first, as far as they fit.
        kept = [code for code in drawn if size_of(code, images).parameters <= middle]
        assert list(found.codes[: len(kept)]) == kept
        assert found.set_aside == {}
        assert found.drawn_again >= 8 - len(kept)
        assert choose_candidates(parse(8, f"[params <= {middle}]"), images).codes == found.codes

    def test_a_bound_that_all_keep_changes_nobody(self, drawn, images):
        assert list(choose_candidates(parse(8, "[params <= 1G]"), images).codes) == drawn

    def test_nothing_fits(self, images, monkeypatch):
        monkeypatch.setattr("taurank.orchestrator.candidates.screening.DRAWS", 24)
        with pytest.raises(ExperimentError, match=r"^constraints: none of 24 random candidates keeps them; nearest: "):
            choose_candidates(parse(8, "[params <= 5]"), images)

    def test_not_enough_fit(self, images):
        space = get_space("mnist_blocks")
        sizes = sorted(
            measure_size(space, one, input_shape=images.input_shape, classes=10).parameters for one in space.enumerate()
        )
        text = f"name: t\nspace: mnist_blocks\ndata: digits\ncandidates: 8\nconstraints: params <= {sizes[4]}\n"
        fitting = sum(size <= sizes[4] for size in sizes)
        message = (
            f"^constraints: only {fitting} of 9 random candidates keep them, and 8 are asked for; ask for fewer, or"
        )
        with pytest.raises(ExperimentError, match=message):
            choose_candidates(parse_experiment(text, where="t"), images)

    def test_draws_never_repeat_and_end_when_the_space_does(self):
        space = get_space("mnist_blocks")
        found = list(endless_draws(space, 4, seed=0))
        assert sorted(found) == sorted(one.code for one in space.enumerate())

    def test_it_stops_after_so_many_in_vain(self, images):
        screen = Screen(SPACE, parse(4, "[params <= 5]").bounds, images)
        screen._has_size = lambda code: True  # sizes of a thousand take a minute
        screen._size_values = lambda code: {"parameters": 9.0, "flops": 9.0}
        assert screened(screen, (one.code for one in SPACE.enumerate()), 7) == []
        assert DRAWS <= len(screen.violations) < DRAWS + 7


class TestLatency:
    def test_only_those_of_a_fitting_size_are_measured(self, drawn, middle, images):
        clock = Clock(lambda code: CandidateLatency(1.0 + drawn.index(code)))
        found = choose_candidates(parse(drawn, f"[latency <= 5.5ms, params <= {middle}]"), images, clock)
        small = [code for code in drawn if size_of(code, images).parameters <= middle]
        assert clock.asked == small
        assert list(found.codes) == [code for code in small if drawn.index(code) < 5]
        slow = next(code for code in small if drawn.index(code) >= 5)
        assert found.set_aside[slow] == f"latency {1 + drawn.index(slow)} ms, not latency <= 5.5ms"

    def test_who_cannot_be_measured_is_set_aside_with_the_reason(self, drawn, images):
        reason = "RuntimeError: out of memory"
        clock = Clock(
            lambda code: CandidateLatency(1.0) if code != drawn[3] else CandidateLatency(np.nan, reason=reason)
        )
        found = choose_candidates(parse(drawn, "[latency <= 2ms]"), images, clock)
        assert found.set_aside == {drawn[3]: f"its latency cannot be measured: {reason}"}


class TestRun:
    def test_it_is_named_in_log_plan_and_report(self, drawn, middle, images, tmp_path):
        run = create_run(parse(drawn, f"[params <= {middle}]"), tmp_path, images)
        assert parse_experiment((run.folder / "experiment.yaml").read_text(), where="t").candidates == list(
            run.candidates
        )
        events = run.log.events()
        aside = events[events["event"] == SET_ASIDE]
        assert set(aside["trial"]) == set(drawn) - set(run.candidates)
        assert (aside["stage"] == CONSTRAINTS).all()
        lines = hardware_lines(run.experiment, run.log, run.candidates)
        assert lines[0] == f"constraints: params <= {middle}; {len(aside)} candidates excluded"
        assert len(aside) > 1
        assert len(lines) == 1 + len(aside)
        for code, reason in zip(aside["trial"], aside["reason"], strict=True):
            assert f"excluded: {SPACE.short(Architecture('nasbench201', code))}: {reason}" in lines
        written = io.StringIO()
        print_hardware(Console(file=written, width=60), lines)
        assert written.getvalue().splitlines() == lines

    def test_sizes_are_not_measured_again(self, drawn, middle, images, tmp_path):
        run = create_run(parse(drawn, f"[params <= {middle}]"), tmp_path, images)
        rows = run.log.evidence()
        assert set(rows["architecture"]) == set(run.candidates)
        assert set(rows["metric"]) == {"parameters", "flops", "depth"}

    @pytest.mark.parametrize(
        ("depth", "metrics"), [(3, ["parameters", "flops", "depth"]), (None, ["parameters", "flops"])]
    )
    def test_an_unknown_depth_is_no_row(self, depth, metrics, drawn):
        log = EvidenceLog(Path(":memory:"))
        book_sizes(log, parse(drawn, "[]"), {drawn[0]: Measured(Size(10, 20, depth), 0.5)})
        assert list(log.evidence()["metric"]) == metrics
        assert log.has_ended("size")

    def test_how_many_were_drawn_again(self, middle, images, tmp_path):
        run = create_run(parse(6, f"[params <= {middle}]"), tmp_path, images)
        events = run.log.events()
        (count,) = events.loc[events["event"] == DRAWN_AGAIN, "reason"]
        (line,) = hardware_lines(run.experiment, run.log, run.candidates)
        counted = f"{count} candidate{'s' * (count != '1')} violated them and were replaced by other draws"
        assert line == f"constraints: params <= {middle}; {counted}"
        assert (run.log.evidence()["value"] > 0).all()

    def test_a_long_list_is_cut_on_the_terminal(self):
        written = io.StringIO()
        lines = ["constraints: params <= 5", *(f"excluded: c{number}: parameters 7" for number in range(50))]
        print_hardware(Console(file=written, width=100), [*lines, "latency: 1 ms"])
        shown = written.getvalue().splitlines()
        assert shown == [*lines[:21], "latency: 1 ms", "... and 30 more excluded, in the log and in report.html"]

    def test_nothing_is_written_where_nobody_is_left(self, drawn, images, tmp_path):
        with pytest.raises(ExperimentError):
            create_run(parse(drawn, "[params <= 5]"), tmp_path / "runs", images)
        assert not (tmp_path / "runs").exists()


class TestCommand:
    def test_models_with_a_constraint(self, taurank, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        models = ("--models", "torchvision:mnasnet*", "--data", "digits", "--size", 32)
        file = tmp_path / "m.yaml"
        bounds = ("--constraint", "params <= 2M", "--constraint", "flops >= 1k")
        code, _, err = taurank("run", *models, *bounds, "--save-yaml", file)
        assert (code, err) == (0, "")
        assert parse_experiment(file.read_text(), where="m").constraints == ["params <= 2M", "flops >= 1k"]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--models", "torchvision:mnasnet*", "--data", "digits", "--constraint", "params < 2M"), "--constraint: "),
            (("quickstart", "--constraint", "params <= 2M"), "--constraint: quickstart defines it already"),
        ],
    )
    def test_mistakes(self, taurank, arguments, message):
        code, _, err = taurank("run", *arguments)
        assert code == 2
        assert err.startswith(f"taurank: {message}")
        assert err.count("\n") == 1

    def test_a_plan_says_that_fewer_may_be_ranked(self, taurank, tmp_path):
        file = tmp_path / "t.yaml"
        file.write_text(BASE + "candidates: all\nconstraints: params <= 5M\n")
        code, out, _ = taurank("plan", file, "--budget", "10x")
        assert code == 0
        assert "note: constraints are applied when the run starts" in " ".join(out.split())
