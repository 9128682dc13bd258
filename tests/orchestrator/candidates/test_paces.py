"""An epoch of each candidate, timed by workers that are called in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import WorkerCrashedError

from taurank.orchestrator.candidates import paces
from taurank.orchestrator.candidates.paces import (
    FEWEST,
    MOST_OF_BUDGET,
    SAMPLE,
    MeasuredPace,
    flops_of,
    predicted_seconds,
    spread,
    time_candidates,
)
from taurank.orchestrator.cluster import Cluster, Slot
from taurank.orchestrator.experiment.experiment import Experiment
from taurank.orchestrator.experiment.file import parse_experiment
from taurank.orchestrator.runs.image_loading import load_images
from taurank.spaces import candidate_of
from taurank.trainables.data import ImageData, no_images
from taurank.trainables.training import EpochTime, measured_share

CELLS = """
name: timed
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 100
data: {name: digits, validation: 200, test: 200}
recipe: {epochs: 20, batch_size: 64}
budget: 2x
"""
OWN = """
name: own
trainable: tests.orchestrator.campaigns.own_runs:train
metric: {name: val_loss, mode: min}
candidates: [{width: 1}, {width: 2}, {width: 3}, {width: 4}, {width: 5}, {width: 6}, {width: 7}, {width: 8}]
recipe: {epochs: 10}
"""
TWO = Cluster((Slot(2.0),))


class Workers:
    """Stands for ray: calls end at once, in their order, but those of ``hangs`` never do and ``dies`` is lost."""

    ObjectRef = str

    def __init__(self, hangs: str = "", dies: str = "") -> None:
        self.hangs, self.dies, self.cancelled, self.most = hangs, dies, list[str](), 0
        self.results: dict[str, Any] = {}

    def remote(self, **_: Any) -> Callable[[Callable[..., Any]], Any]:
        def of(function: Callable[..., Any]) -> Any:
            def call(code: str, *rest: Any) -> str:
                self.results[code] = None if code in (self.hangs, self.dies) else function(code, *rest)
                return code

            return SimpleNamespace(remote=call)

        return of

    def put(self, value: Any) -> Any:
        return value

    def wait(self, calls: Sequence[str], timeout: float) -> tuple[list[str], list[str]]:
        self.most = max(self.most, len(calls))
        done = [call for call in calls if call != self.hangs][:1]
        return done, [call for call in calls if call not in done]

    def get(self, call: str) -> Any:
        if call == self.dies:
            raise WorkerCrashedError
        return self.results[call]

    def cancel(self, call: str, force: bool) -> None:
        self.cancelled.append(call)


@pytest.fixture(scope="module")
def data() -> ImageData:
    return load_images(parse_experiment(CELLS, where="test").data, root=None, download=False)


@pytest.fixture(scope="module")
def cells() -> Experiment:
    return parse_experiment(CELLS, where="test")


@pytest.fixture
def codes(cells: Experiment) -> list[str]:
    space = cells.space.make()
    return [architecture.code for architecture, _ in zip(space.enumerate(), range(100), strict=False)]


def timed(
    monkeypatch: pytest.MonkeyPatch,
    experiment: Experiment,
    codes: Sequence[str],
    data: ImageData,
    workers: Workers | None = None,
    **settings: Any,
) -> MeasuredPace:
    monkeypatch.setattr(paces, "ray", workers or Workers())
    settings = {"flops": {}, "progress": lambda done, count: None, **settings}
    return time_candidates(experiment, codes, data, TWO, Slot(1.0), **settings)


@pytest.fixture
def of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paces, "measure_epoch", lambda *_, **__: EpochTime(2.0, 0.5, 0.25))


class TestPrediction:
    def test_of_flops_is_a_line(self) -> None:
        found = predicted_seconds({"a": 3.0, "b": 5.0}, {"a": 10.0, "b": 20.0, "c": 40.0}, ["c"])
        assert found == {"c": pytest.approx(9.0)}  # 1 + 0.2 FLOPs

    def test_never_falls_with_flops(self) -> None:
        found = predicted_seconds({"a": 3.0, "b": 2.0}, {"a": 10.0, "b": 20.0, "c": 4000.0}, ["c"])
        assert 2.0 <= found["c"] <= 3.0

    def test_without_flops_it_is_the_mean(self) -> None:
        assert predicted_seconds({"a": 3.0, "b": 5.0}, {}, ["c"]) == {"c": 4.0}

    @pytest.mark.parametrize("count", [1, 2, 3, 8, 21])
    def test_each_beginning_is_spread(self, count: int) -> None:
        letters = [f"{place:02d}" for place in range(count)]
        found = spread(letters)
        assert sorted(found) == letters
        assert found[:2] == [letters[0], letters[-1]][:count]
        if count == 21:
            assert found[2] == letters[10]


@pytest.mark.usefixtures("of_networks")
class TestNetworks:
    def test_each_of_a_short_list(
        self, monkeypatch: pytest.MonkeyPatch, cells: Experiment, codes: list[str], data: ImageData
    ) -> None:
        workers, seen = Workers(), list[tuple[int, int]]()
        progress = {"progress": lambda done, count: seen.append((done, count))}
        found = timed(monkeypatch, cells, codes[:8], data, workers, **progress)
        assert found.pace.epoch_seconds == dict.fromkeys(codes[:8], 2.0)
        assert (found.pace.predicted, found.workers, workers.most) == (0, 2, 2)
        assert seen == [(done, 8) for done in range(1, 9)]

    def test_a_sample_of_a_long_one(
        self, monkeypatch: pytest.MonkeyPatch, cells: Experiment, codes: list[str], data: ImageData
    ) -> None:
        flops = {code: 1e6 * (1 + place) for place, code in enumerate(codes)}
        found = timed(monkeypatch, cells, codes, data, flops=flops)
        assert len(found.found) == SAMPLE
        assert {codes[0], codes[-1]} <= found.found.keys()
        assert found.pace.predicted == 100 - SAMPLE
        assert f"{SAMPLE} of 100 candidates are timed, the others predicted" in found.pace.in_words(20, 2)

    def test_flops_that_are_not_known_are_measured(self, cells: Experiment, codes: list[str], data: ImageData) -> None:
        found = flops_of(cells, {}, codes[:3], data)
        assert list(found) == codes[:3]
        assert min(found.values()) > 0

    @pytest.mark.parametrize("budget", ["2x", "2x seconds", "200 core-minutes", "100m"])
    @pytest.mark.parametrize(("minutes", "count"), [(2.0, 8), (7.0, 3), (1e4, FEWEST)])
    def test_no_more_than_a_share_of_the_budget(
        self,
        monkeypatch: pytest.MonkeyPatch,
        cells: Experiment,
        codes: list[str],
        data: ImageData,
        budget: str,
        minutes: float,
        count: int,
    ) -> None:
        """Full training of the eight takes 400 minutes of two cores: a tenth of the budget is 20 of them."""
        monkeypatch.setattr(paces, "measure_epoch", lambda *_, **__: EpochTime(60 * 400 / 160, 60 * minutes, 0.1))
        found = timed(monkeypatch, cells.model_copy(update={"budget": budget}), codes[:8], data)
        # Where it is taken, another one is under way on the second worker.
        assert len(found.found) == min(count + 1, 8)

    def test_no_more_than_a_share_of_the_epochs(
        self, monkeypatch: pytest.MonkeyPatch, cells: Experiment, codes: list[str], data: ImageData
    ) -> None:
        each = measured_share(cells.recipe, data)
        monkeypatch.setattr(paces, "measured_share", lambda *_: 5 * each)
        found = timed(monkeypatch, cells, codes[:8], data)
        assert len(found.found) == max(FEWEST, int(MOST_OF_BUDGET * 8 * 20 / 2 / (5 * each)))

    def test_a_single_one_is_that_in_the_middle(
        self, monkeypatch: pytest.MonkeyPatch, cells: Experiment, codes: list[str], data: ImageData
    ) -> None:
        flops = {code: 1e6 * (1 + place) for place, code in enumerate(codes[:5])}
        each = measured_share(cells.recipe, data)
        found = timed(monkeypatch, cells, codes[:5], data, flops=flops, most_epochs=1.5 * each)
        assert list(found.found) == [codes[2]]

    def test_no_more_than_the_epochs_that_it_may_cost(
        self, monkeypatch: pytest.MonkeyPatch, cells: Experiment, codes: list[str], data: ImageData
    ) -> None:
        each = measured_share(cells.recipe, data)
        found = timed(monkeypatch, cells, codes[:8], data, most_epochs=3.5 * each)
        assert len(found.found) == 3
        none = timed(monkeypatch, cells, codes[:8], data, most_epochs=0.5 * each)
        assert not none.has_any

    def test_one_that_hangs_and_one_that_kills_its_worker(
        self, monkeypatch: pytest.MonkeyPatch, cells: Experiment, codes: list[str], data: ImageData
    ) -> None:
        few = codes[:4]
        workers = Workers(hangs=few[-1], dies=few[0])
        found = timed(monkeypatch, cells, few, data, workers, silence=7.0)
        assert workers.cancelled == [few[-1]]
        assert str(found.found[few[-1]]) == "no answer within 7 seconds"
        assert str(found.found[few[0]]).startswith("its worker was lost")
        assert found.pace.epoch_seconds == dict.fromkeys(few, 2.0)


class TestOwnCode:
    def test_each_for_two_epochs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        experiment = parse_experiment(OWN + "budget: 2h\n", where="test")
        codes = list(experiment.candidates)  # type: ignore[arg-type]
        found = timed(monkeypatch, experiment, codes, no_images())
        assert [one.spent_epochs for one in found.found.values() if isinstance(one, EpochTime)] == [2.0] * 8

    def test_a_failing_one_is_named_and_predicted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        experiment = parse_experiment(OWN.replace("width: 8", "width: 13") + "budget: 2h\n", where="test")
        codes = list(experiment.candidates)  # type: ignore[arg-type]
        found = timed(monkeypatch, experiment, codes, no_images())
        assert str(found.found[codes[-1]]) == "could not be trained: ValueError: thirteen"
        assert len(found.pace.epoch_seconds) == 8

    def test_a_share_of_a_factor(self, monkeypatch: pytest.MonkeyPatch) -> None:
        experiment = parse_experiment(OWN + "budget: 2x seconds\n", where="test")
        codes = list(experiment.candidates)  # type: ignore[arg-type]
        found = timed(monkeypatch, experiment, codes, no_images())
        assert list(found.found) == [codes[0], codes[-1]]  # 4 of 40 epochs
        assert found.pace.predicted == 6

    def test_a_share_of_an_amount(self, monkeypatch: pytest.MonkeyPatch) -> None:
        experiment = parse_experiment(OWN + "budget: 100 core-minutes\n", where="test")
        codes = list(experiment.candidates)  # type: ignore[arg-type]
        each = 60 * 100 * MOST_OF_BUDGET / 2.5
        monkeypatch.setattr(paces, "measure_own_epoch", lambda *_, **__: EpochTime(10.0, each, 2.0))
        found = timed(monkeypatch, experiment, codes, no_images())
        assert len(found.found) == 4  # the third takes the share, when the fourth is under way
        assert all(candidate_of(code) for code in found.others)
