"""te_nas in a run: its prunings are trials of workers, and the log alone leads to its proposals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

import taurank.trainables.proxies.averaged_network as averaged_network
from taurank.orchestrator.campaigns import create_search
from taurank.orchestrator.campaigns.prunings import prune, pruning_stage
from taurank.orchestrator.evidence import Evidence
from taurank.orchestrator.experiment import Experiment, ExperimentError, parse_experiment
from taurank.orchestrator.runs import Run, load_images
from taurank.orchestrator.search import Problem, SearchError, TeNasSearcher, make_searcher
from taurank.orchestrator.stages import Stage
from taurank.spaces import get_space
from taurank.trainables.data import ImageData
from taurank.trainables.proxies import Active, ProxyBatch, prune_by_importance

SPACE = get_space("nasbench201")
TEXT = "name: found\nspace: nasbench201\ndata: {name: digits, validation: 0.3, test: 0.3}\nrecipe: {epochs: 4}\n"


def read(more: str) -> Experiment:
    return parse_experiment(TEXT + more, where="test")


def pretend(active: Active, seed: int) -> tuple[float, float]:
    """Few figures, so that prunings often end at the same cell."""
    generator = np.random.default_rng([seed % 4, crc32(repr(active).encode())])
    return float(1 + generator.random()), float(10 + generator.random())


class Workers:
    """Prunes as the workers do, and logs it; after ``most`` prunings the run is cut off."""

    def __init__(self, run: Run, most: int = 1_000) -> None:
        self.run, self.left = run, most
        self.done: list[str] = []
        self.batches: list[int] = []

    def __call__(self, stage: Stage, batch: ProxyBatch) -> None:
        log = self.run.log
        self.batches.append(len(batch.images))
        for spec in stage.specs:
            if spec.trial in log.outcomes():
                continue
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            assert spec.pruning is not None
            left = prune_by_importance(spec.pruning.active, pretend, seeds=spec.pruning.seeds).active
            log.append(
                Evidence(stage.name, spec.trial, "", stage.source, 1, 1, 0, f"kept_option:{place}", float(kept))
                for place, kept in enumerate(
                    names.index(name) for names, (name,) in zip(SPACE.decisions, left, strict=True)
                )
            )
            log.append_event(stage.name, spec.trial, "completed")
            self.done.append(spec.trial)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images(read("").data, root=None, download=False)


@pytest.fixture(autouse=True)
def driver_measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the driver has measured a network")

    monkeypatch.setattr(averaged_network.AveragedNetwork, "__init__", refuse)


class Refuses:
    """Constraints that only cells of some hash keep."""

    nearest = ""

    def fitting(self, codes: Sequence[str]) -> list[str]:
        return [code for code in codes if crc32(code.encode()) % 3]


@pytest.mark.parametrize("constraints", [None, Refuses()])
def test_proposals_are_those_of_a_searcher_that_prunes_by_itself(
    tmp_path: Path, data: ImageData, constraints: Refuses | None
) -> None:
    run = create_search(
        read("search: {method: te_nas, evaluations: 6, options: {images: 9, repeats: 2}}"), tmp_path, data
    )
    workers = Workers(run)
    found = prune(run, data, workers, constraints=constraints)
    assert set(workers.batches) == {9}
    problem = Problem(SPACE, 0, constraints)
    alone = TeNasSearcher(problem, measure=pretend, repeats=2)
    given = TeNasSearcher(problem, prunings=found, repeats=2)
    assert given.ask(6) == alone.ask(6)
    assert given.ended == alone.ended
    assert given.lacking is None


def test_a_search_that_was_cut_off_prunes_only_what_its_log_lacks(tmp_path: Path, data: ImageData) -> None:
    run = create_search(read("search: {method: te_nas, evaluations: 4}"), tmp_path, data)
    cut = Workers(run, most=3)
    with pytest.raises(KeyboardInterrupt):
        prune(run, data, cut, constraints=None)
    rest = Workers(run)
    found = prune(run, data, rest, constraints=None)
    assert len(cut.done) == 3
    assert not set(cut.done) & set(rest.done)
    assert set(found) == {int(trial.split("/")[1]) for trial in cut.done + rest.done}
    idle = Workers(run)
    assert prune(run, data, idle, constraints=None) == found
    assert idle.done == []


def test_the_first_prunings_are_one_stage_so_that_workers_share_them(tmp_path: Path, data: ImageData) -> None:
    run = create_search(read("search: {method: te_nas, evaluations: 5}"), tmp_path, data)
    stage = pruning_stage(run, data, range(5))
    assert len({spec.checkpoint for spec in stage.specs}) == len({spec.fingerprint for spec in stage.specs}) == 5
    seeds = [seed for spec in stage.specs if spec.pruning is not None for seed in spec.pruning.seeds]
    assert len(set(seeds)) == 15
    assert stage.schedule_epochs == 171
    assert stage.cost == pytest.approx(5 * 171 * stage.specs[0].epoch_share)


def test_a_failed_pruning_is_one_line_with_its_reason_whether_it_left_rows_or_not(
    tmp_path: Path, data: ImageData
) -> None:
    run = create_search(read("search: {method: te_nas, evaluations: 2}"), tmp_path, data)
    (spec,) = pruning_stage(run, data, [0]).specs
    run.log.append_event("pruning", spec.trial, "failed", "lost its worker too often")
    with pytest.raises(SearchError, match=r"^pruning/0/.*: the pruning has failed: lost its worker too often; begin"):
        prune(run, data, Workers(run), constraints=None)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ("{images: 1}", "search.options: images: 1 is not a whole number of at least 2"),
        ("{images: true}", "search.options: images: True is not a whole number of at least 2"),
        ("{prunings: {}}", "search.options: prunings is made from the images; omit it"),
        ("{measure: x}", "search.options: measure is made from the images; omit it"),
        ("{repeats: 0}", "search.options: repeats: 0 is not at least 1"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_spent(options: str, line: str) -> None:
    with pytest.raises(ExperimentError) as caught:
        read(f"search: {{method: te_nas, options: {options}}}")
    assert str(caught.value).startswith(f"test: {line}")


def test_a_pruning_that_is_not_given_is_named_and_nothing_ends() -> None:
    searcher = make_searcher("te_nas", SPACE, prunings={0: (1, 1, 1, 1, 1, 1)})
    assert isinstance(searcher, TeNasSearcher)
    assert len(searcher.ask(3)) == 1
    assert (searcher.lacking, searcher.ended) == (1, "")
