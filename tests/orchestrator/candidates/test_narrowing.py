"""Candidates that are drawn with the options that suit a device."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from taurank.orchestrator.candidates.candidates import choose_candidates
from taurank.orchestrator.candidates.narrowing import book_narrowing, narrowed_space, narrowing_line
from taurank.orchestrator.evidence import NARROWED
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.report import hardware_lines
from taurank.spaces import Architecture, RestrictedSpace, get_space
from taurank.trainables.data import ImageData, load_dataset, make_splits
from taurank.trainables.latency.parts import parts_of
from taurank.trainables.latency.table import Conditions, LatencyTable

BASE = "name: t\nspace: {name: proxyless, options: {variant: mini}}\ndata: digits\nbudget: 2x\n"
SPACE = get_space("proxyless", variant="mini")


@pytest.fixture(scope="module")
def images() -> ImageData:
    return make_splits(load_dataset("digits"), seed=0, validation=0.2, test=0.2)


class SlowAt:
    """Meters a device on which one kernel takes forty times as long as its area says."""

    def __init__(self, images: ImageData, kernel: int) -> None:
        self.images, self.kernel = images, kernel

    def table_of(self, architectures: Sequence[Architecture]) -> LatencyTable:
        milliseconds = {}
        for one in architectures:
            for part in parts_of(SPACE, one, input_shape=self.images.input_shape, classes=10):
                found = [kernel for kernel in (3, 5, 7) if f"({kernel}x{kernel}:" in part.key]
                slow = [kernel * kernel * (40.0 if kernel == self.kernel else 1.0) for kernel in found]
                milliseconds[part.key] = sum(slow)
        return LatencyTable(milliseconds, Conditions("fake", "float32", 1, 1, "2.6.0"))


def parse(more: str) -> Experiment:
    return parse_experiment(BASE + more, where="t")


def narrowed(images: ImageData, kernel: int, more: str) -> tuple[Experiment, RestrictedSpace]:
    experiment = parse(more)
    return experiment, narrowed_space(experiment, images, SlowAt(images, kernel), say=lambda text: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kernel", [3, 7])
def test_candidates_never_leave_the_narrowed_space(images: ImageData, kernel: int) -> None:
    experiment, space = narrowed(images, kernel, "candidates: 40\nnarrow: {keep: 4, capacity: parameters}\n")
    chosen = choose_candidates(experiment, images, within=space)
    assert len(set(chosen.codes)) == 40
    assert all(f"k{kernel}" not in code for code in chosen.codes)
    assert all(SPACE.parse(code) in space for code in chosen.codes)
    assert choose_candidates(experiment, images, within=space).codes == chosen.codes


def test_constraints_are_kept_besides(images: ImageData) -> None:
    more = "candidates: 12\nnarrow: {keep: 4, capacity: parameters}\nconstraints: params <= 22k\n"
    experiment, space = narrowed(images, 7, more)
    chosen = choose_candidates(experiment, images, within=space)
    assert len(set(chosen.codes)) == 12
    assert all("k7" not in code for code in chosen.codes)
    assert max(found.size.parameters for found in chosen.sizes.values()) <= 22_000
    assert chosen.drawn_again > 0


def test_what_was_kept_is_in_the_log_and_told_from_there(images: ImageData, tmp_path: Path) -> None:
    experiment, space = narrowed(images, 7, "candidates: 8\nnarrow: {keep: 2, capacity: parameters}\n")
    log = EvidenceLog(tmp_path / "log.sqlite")
    assert narrowing_line(log) is None
    book_narrowing(log, experiment, space)
    log.close()
    again = EvidenceLog(tmp_path / "log.sqlite")
    assert json.loads(again.noted(NARROWED) or "")["options"] == [list(options) for options in space.decisions]
    text = (
        "narrowed to the 2 options of each decision with the most parameters a millisecond (108 of 12,348 codes): "
        "1 k3e6 k5e6; 2 k3e3 k3e6 id; 3 k3e3 k3e6; 4-5 k3e3 k3e6 id"
    )
    assert narrowing_line(again) == text
    assert hardware_lines(experiment, again, [])[0] == text


def test_more_candidates_than_are_left(images: ImageData) -> None:
    with pytest.raises(ExperimentError) as caught:
        narrowed(images, 7, "candidates: 200\nnarrow: {keep: 2}\n")
    assert str(caught.value) == (
        "narrow: 200 requested, but there are only 84 architectures that differ as functions; ask for fewer "
        "candidates, or raise keep above 2"
    )


def test_defaults_and_that_latency_is_asked_for() -> None:
    experiment = parse("candidates: 8\nnarrow: {}\n")
    assert experiment.narrow is not None
    assert (experiment.narrow.keep, experiment.narrow.capacity) == (4, "flops")
    assert experiment.measured_latency is not None
    assert parse("candidates: 8\n").measured_latency is None
    assert parse_experiment(experiment.to_yaml(), where="t") == experiment


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("narrow: {}\n", "narrow: it needs drawn candidates; write candidates: 50, or omit narrow"),
        ("candidates: 8\nnarrow: {keep: 0}\n", "narrow.keep: has to be at least 1, not 0"),
        ("candidates: 8\nnarrow: {capacity: size}\n", "narrow.capacity: has to be 'flops' or 'parameters'"),
    ],
)
def test_mistakes(more: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        parse(more)


def test_other_peoples_models_have_no_decisions() -> None:
    text = "name: t\nspace: zoo\ndata: {name: digits, size: 32}\ncandidates: 5\nnarrow: {}\n"
    with pytest.raises(ExperimentError, match="narrow: zoo has no decisions with options to remove"):
        parse_experiment(text, where="t")
