from __future__ import annotations

import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from taurank.orchestrator.evidence import PROXIES
from taurank.orchestrator.evidence.log import EvidenceLog
from taurank.orchestrator.experiment.experiment import Experiment, ExperimentError
from taurank.orchestrator.experiment.file import load_experiment, parse_experiment
from taurank.orchestrator.experiment.parts import ProxySpec
from taurank.orchestrator.planning.stages import (
    ASSUMED_IMAGES,
    cheap_proxies,
    default_proxies,
    default_stages,
)
from taurank.orchestrator.stages.stage import CHUNK, MOST_CHUNKS, Stage, proxy_stage
from taurank.trainables.proxies.chunk import ProxyConfig
from tests.orchestrator.processes import start

ROOT = Path(__file__).parents[3]


def experiment(**settings: object) -> Experiment:
    lines = {"name": "t", "space": "mnist_blocks", "data": "digits", "recipe": "{epochs: 40}"} | settings
    return parse_experiment("".join(f"{key}: {value}\n" for key, value in lines.items()), where="t.yaml")


class TestFile:
    def test_left_out_is_for_the_split_to_say(self):
        assert experiment().proxies == experiment(proxies="auto").proxies == "auto"

    @pytest.mark.parametrize("text", ["null", "[]", ""])
    def test_none(self, text):
        assert experiment(proxies=text).proxies is None

    def test_names_or_all_of_it(self):
        assert experiment(proxies="[nwot, jacob_cov]").proxies == ProxySpec(names=["nwot", "jacob_cov"])
        spec = experiment(proxies="{names: [nwot], images: 16, initialisations: 3, seed: 7}").proxies
        assert isinstance(spec, ProxySpec)
        assert spec.config == ProxyConfig(("nwot",), (7, 8, 9))
        # 1.5 steps on 16 images, three times, of 100.
        assert spec.epochs(100) == pytest.approx(0.72)

    @pytest.mark.parametrize("text", ["auto", "null", "[nwot]", "{names: [nwot, snip], images: 16, seed: 2}"])
    def test_runs_again_as_it_is_written(self, text):
        asked = experiment(proxies=text)
        assert parse_experiment(asked.to_yaml(), where="again.yaml") == asked

    @pytest.mark.parametrize(
        ("text", "line"),
        [
            ("[nwto]", "t.yaml: proxies: unknown proxy 'nwto'; did you mean 'nwot'?"),
            ("[nwot, nwot]", "t.yaml: proxies: nwot is listed twice; a proxy may be listed once"),
            ("{names: []}", "t.yaml: proxies.names: names no proxy; write `proxies: null` for none"),
            ("{images: 16}", "t.yaml: proxies.names: is missing; it has no default"),
            ("{names: [nwot], images: 1}", "t.yaml: proxies.images: has to be at least 2, not 1"),
            ("{names: [nwot], image: 8}", "t.yaml: proxies.image: unknown key; did you mean 'images'?"),
            ("some", "t.yaml: proxies: has to be "),
        ],
    )
    def test_a_mistake_gets_one_line(self, text, line):
        with pytest.raises(ExperimentError) as caught:
            experiment(proxies=text)
        assert str(caught.value).startswith(line)
        assert "\n" not in str(caught.value)


class TestDefault:
    @pytest.mark.parametrize(
        ("images", "names"), [(960, ["jacob_cov", "nwot"]), (959, ["jacob_cov"]), (480, ["jacob_cov"])]
    )
    def test_as_many_as_are_cheap(self, images, names):
        # 1.5 steps on 64 images cost 96 / train_images each; a twentieth of a tenth of 40 epochs is .2.
        assert default_proxies(experiment(), train_images=images) == ProxySpec(names=names)
        assert default_proxies(experiment(), train_images=479) is None

    def test_not_where_the_stages_are_named(self):
        assert default_proxies(experiment(trainings="[{epochs: 2}]"), train_images=50_000) is None

    def test_own_ones_in_any_case(self):
        asked = experiment(proxies="[nwot]", trainings="[{epochs: 2}]")
        assert default_proxies(asked, train_images=10) == asked.proxies
        assert default_proxies(experiment(proxies="null"), train_images=50_000) is None

    def test_not_where_all_are_trained_to_the_end_or_images_are_too_few(self):
        assert cheap_proxies(40, speed_up=1.0, train_images=50_000) is None
        assert cheap_proxies(10_000, speed_up=10.0, train_images=63) is None

    def test_trainings_get_what_is_left(self):
        # 96 epochs are 24 x 4; one less spares a candidate, and no full training of 40 fits in the rest.
        trainings, _ = default_stages(experiment(proxies="null"), 24, images=ASSUMED_IMAGES, proxy_epochs=1.0)
        assert [(spec.epochs, spec.candidates) for spec in trainings] == [(4, 23)]
        assert default_stages(experiment(), 24, images=ASSUMED_IMAGES, proxy_epochs=1000.0) == ([], [])

    def test_small_images_make_small_batches(self):
        spec = default_proxies(experiment(), train_images=50_000, values=3 * 32 * 32)
        assert spec is not None
        assert (spec.names, spec.images) == (["jacob_cov", "nwot"], 64)
        spec = default_proxies(experiment(), train_images=50_000, values=6 * 6)
        assert spec == ProxySpec(names=["jacob_cov", "nwot"], images=18)
        own = experiment(proxies="[jacob_cov, nwot]")
        spec = default_proxies(own, train_images=50_000, values=6 * 6)
        assert spec == ProxySpec(names=["jacob_cov", "nwot"], images=18)
        own = experiment(proxies="{names: [nwot], images: 40}")
        assert default_proxies(own, train_images=50_000, values=6 * 6) == own.proxies

    def test_of_the_demo(self):
        quickstart = load_experiment("quickstart")
        spec = default_proxies(quickstart, train_images=400, values=64)
        assert spec == ProxySpec(names=["jacob_cov", "nwot"], images=32)
        # 48 x 2 x 1.5 steps on 32 of 400 images, of 576 epochs, which leaves 12 epochs for 47.
        assert 48 * spec.epochs(400) == pytest.approx(11.52)
        trainings, _ = default_stages(quickstart, 48, images=ASSUMED_IMAGES, proxy_epochs=11.52)
        assert [(spec.epochs, spec.candidates) for spec in trainings] == [(12, 47)]


class TestStage:
    def stage(self, count: int, tmp_path: Path) -> tuple[list[str], Stage]:
        asked = experiment(space="nasbench201")
        codes = [
            architecture.code for architecture, _ in zip(asked.space.make().enumerate(), range(count), strict=False)
        ]
        spec = ProxySpec(names=["jacob_cov", "nwot"], initialisations=2)
        return codes, proxy_stage(asked, spec, codes, tmp_path, train_images=6400)

    def test_chunks_hold_everybody_once_in_order(self, tmp_path):
        codes, stage = self.stage(2 * CHUNK + 1, tmp_path)
        assert [len(spec.architectures) for spec in stage.specs] == [CHUNK, CHUNK, 1]
        assert [code for spec in stage.specs for code in spec.architectures] == codes
        assert len({spec.trial for spec in stage.specs}) == len({spec.checkpoint for spec in stage.specs}) == 3

    def test_the_same_again(self, tmp_path):
        assert self.stage(20, tmp_path)[1].specs == self.stage(20, tmp_path)[1].specs

    def test_thousands_are_no_more_trials_than_tune_can_look_at(self, tmp_path):
        codes, stage = self.stage(MOST_CHUNKS * CHUNK + 1, tmp_path)
        assert len(stage.specs) <= MOST_CHUNKS
        assert sum(len(spec.architectures) for spec in stage.specs) == len(codes)

    def test_cost(self, tmp_path):
        # 20 candidates, 2 proxies, 2 initialisations, 1.5 steps on 64 of 6,400 images.
        _, stage = self.stage(20, tmp_path)
        assert stage.cost == pytest.approx(1.2)
        assert stage.booking is not None
        assert stage.booking.epochs == {name: pytest.approx(0.03) for name in ("jacob_cov", "nwot")}
        assert (stage.name, stage.source) == (PROXIES, PROXIES)


RUN = """
name: proxied
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 40
data: {name: digits, validation: 200, test: 200, train: 300}
recipe: {epochs: 20, batch_size: 64, learning_rate: 0.05}
budget: 4x
proxies: {names: [jacob_cov, nwot], images: 32, initialisations: 2}
trainings: [{epochs: 2, candidates: 4}]
supernets: []
baseline: null
resources: {cpus_per_trial: 1}
"""


def scores(log: EvidenceLog) -> pd.DataFrame:
    rows = log.evidence()
    return rows[rows["metric"] == "score"]


@pytest.mark.ray
def test_an_interrupted_run_scores_the_rest_and_ranks(tmp_path: Path) -> None:
    (tmp_path / "proxied.yaml").write_text(RUN)
    first = start(tmp_path, "run", "proxied.yaml")
    end = time.monotonic() + 240
    while time.monotonic() < end and first.poll() is None:
        files = list((tmp_path / "runs").glob("*/evidence.sqlite"))
        if files and len(scores(EvidenceLog(files[0]))) >= 8:
            first.send_signal(signal.SIGINT)
            break
        time.sleep(0.05)
    said, _ = first.communicate(timeout=120)
    assert first.returncode == 130, said
    assert "Go on with: taurank resume" in said
    (folder,) = (tmp_path / "runs").glob("[!.]*")
    log = EvidenceLog(folder / "evidence.sqlite")
    before = scores(log)
    assert 8 <= len(before) < 80

    again = start(tmp_path, "resume", folder)
    said, _ = again.communicate(timeout=400)
    assert again.returncode == 0, said
    found = scores(log)
    # Everybody once by each, those of before untouched.
    assert len(found) == 80
    assert not found.duplicated(["architecture", "source"]).any()
    assert found["value"].notna().all()
    assert found.head(len(before))["time"].tolist() == before["time"].tolist()
    # 40 candidates, 2 proxies, 2 initialisations, 1.5 steps on 32 of 300 images.
    assert log.spent_in(PROXIES)[1] == pytest.approx(40 * 2 * 2 * 1.5 * 32 / 300)
    assert log.evidence().query("metric == 'score_sd'")["value"].gt(0).sum() == 80
    # They came first, and the ranking rests on one of them.
    rows = log.evidence()
    assert rows.loc[rows["stage"] == PROXIES, "time"].max() <= rows.loc[rows["stage"] == "training-2", "time"].min()
    assert "proxy:jacob_cov" in said
    assert not list((folder / "checkpoints").glob("*.partial"))
