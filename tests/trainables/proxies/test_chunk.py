from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import taurank.trainables.proxies.chunk
from taurank.spaces import Architecture, SpaceError, get_space
from taurank.trainables.data import ImageData
from taurank.trainables.proxies import ProxyBatch, ProxyError, ProxyScore, draw_batch, score_initialisations
from taurank.trainables.proxies.chunk import ProxyScoring, score_architecture, score_rows
from taurank.trainables.proxies.config import ProxyConfig, score_cost

SPACE = get_space("nasbench201", width=4, cells_per_stage=1)
CELLS = [
    architecture.code for architecture in (SPACE.parse("3-s3-ns3"), SPACE.parse("s-s3-1s3"), SPACE.parse("1-31-13s"))
]
CONFIG = ProxyConfig(("jacob_cov", "nwot"), seeds=(3, 4))


@pytest.fixture
def batch(digits: ImageData) -> ProxyBatch:
    return draw_batch(digits, images=12, seed=0)


def drained(work: ProxyScoring) -> dict[str, dict[str, ProxyScore]]:
    found = {}
    while not work.finished:
        code, scores = work.score_next()
        found[code] = scores
    return found


def values(found: dict[str, dict[str, ProxyScore]]) -> dict[str, list[float]]:
    return {code: [score.value for score in scores.values()] for code, scores in found.items()}


class TestCost:
    def test_training_steps_on_the_batch_over_training_images(self):
        # 1.5 steps on 64 images, three times, of 50,000.
        assert score_cost("jacob_cov", images=64, initialisations=3, train_images=50_000) == pytest.approx(0.00576)

    def test_of_a_proxy_that_there_is_not(self):
        with pytest.raises(ProxyError, match="unknown proxy 'jacobcov'; did you mean 'jacob_cov'"):
            score_cost("jacobcov", images=64, initialisations=1, train_images=1)


class TestScoring:
    def test_is_what_scoring_a_network_gives(self, batch):
        cell = SPACE.parse(CELLS[0])
        alone = score_initialisations(
            lambda: SPACE.build(cell, input_shape=(1, 8, 8), classes=10), batch, CONFIG.names, seeds=CONFIG.seeds
        )
        found = score_architecture(SPACE, cell, batch, CONFIG)
        assert {name: (score.value, score.sd) for name, score in found.items()} == {
            name: (score.value, score.sd) for name, score in alone.items()
        }

    def test_the_order_of_architectures_does_not_matter(self, batch):
        assert values(drained(ProxyScoring(SPACE, CELLS, batch, CONFIG))) == values(
            drained(ProxyScoring(SPACE, CELLS[::-1], batch, CONFIG))
        )

    def test_goes_on_where_it_was_saved(self, batch):
        whole = ProxyScoring(SPACE, CELLS, batch, CONFIG)
        first = dict([whole.score_next()])
        again = ProxyScoring(SPACE, CELLS, batch, CONFIG)
        again.load_state_dict(whole.state_dict())
        rest = drained(again)
        assert list(rest) == CELLS[1:]
        assert values(first | rest) == values(drained(ProxyScoring(SPACE, CELLS, batch, CONFIG)))

    def test_one_that_cannot_be_built_is_void_and_harms_no_other(self, batch, monkeypatch):
        build = SPACE.build

        def fail(architecture: Architecture, **task: object) -> nn.Module:
            if architecture.code == CELLS[1]:
                raise SpaceError("images are too small")
            return build(architecture, **task)

        monkeypatch.setattr(SPACE, "build", fail)
        found = drained(ProxyScoring(SPACE, CELLS, batch, CONFIG))
        broken = found.pop(CELLS[1])
        assert {score.reason for score in broken.values()} == {"could not be built: SpaceError: images are too small"}
        assert all(math.isnan(score.value) for score in broken.values())
        assert all(score.reason == "" for scores in found.values() for score in scores.values())

    @pytest.mark.parametrize(
        ("codes", "names", "error"),
        [(["x"], ("nwot",), SpaceError), (CELLS, ("nwto",), ProxyError)],
    )
    def test_mistakes_are_found_before_anything_is_scored(self, batch, codes, names, error):
        with pytest.raises(error):
            ProxyScoring(SPACE, codes, batch, ProxyConfig(names))


class _NeedsThin(taurank.trainables.proxies.Proxy):
    """Says what thin network it was given."""

    name = "needs_thin"
    source = "here"
    needs = frozenset({"thin network"})

    def score(self, probe: taurank.trainables.proxies.Probe) -> taurank.trainables.proxies.Measured:
        if probe.thin is None:
            raise taurank.trainables.proxies.VoidScoreError("no thin network")
        images = torch.zeros(2, 1, 3, 3)
        made: Tensor = probe.thin()(images)
        return taurank.trainables.proxies.Measured(float(made.shape[1]))


@pytest.fixture
def thin_proxy(monkeypatch):
    monkeypatch.setitem(taurank.trainables.proxies.proxy.PROXIES._classes, "needs_thin", _NeedsThin)
    return ProxyConfig(("needs_thin",))


class TestThinNetwork:
    def test_is_the_space_s(self, batch, thin_proxy):
        scores = score_architecture(SPACE, SPACE.parse(CELLS[0]), batch, thin_proxy)
        assert scores["needs_thin"].value == 10

    def test_of_a_space_without(self, digits, thin_proxy):
        blocks = get_space("mnist_blocks")
        batch = draw_batch(digits, images=8, seed=0)
        scores = score_architecture(blocks, blocks.parse("2,1"), batch, thin_proxy)
        assert scores["needs_thin"].reason == "no thin network"


def test_rows_add_up_to_the_seconds_that_all_of_it_took():
    scores = {
        "a": ProxyScore("a", 1.0, 0.5, "", 0.75, 2.0),
        "b": ProxyScore("b", math.nan, math.nan, "no labels", 0.0, 1.0),
    }
    rows = score_rows("code", scores, seconds=4.0)
    assert rows[0] == ("code", "a", 1.0, 0.5, 0.75, 2.5, "")
    assert rows[1][:2] + rows[1][4:] == ("code", "b", 0.0, 1.5, "no labels")
    # A clock that ran less than its parts takes nothing away.
    assert [row[5] for row in score_rows("code", scores, seconds=1.0)] == [2.0, 1.0]
