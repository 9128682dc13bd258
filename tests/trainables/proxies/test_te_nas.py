"""TE-NAS: condition number of the tangent kernel, linear regions, rank sum, pruning."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from taurank.spaces import get_space, import_torchvision
from taurank.spaces.nasbench201 import OPERATIONS, parse_code
from taurank.trainables.proxies import ProxyBatch, ProxyError, ProxyScore, VoidScoreError, score_network
from taurank.trainables.proxies.averaged_network import AveragedCell, AveragedNetwork
from taurank.trainables.proxies.linear_regions import CROPS, count_linear_regions, draw_crops
from taurank.trainables.proxies.ntk_condition import IMAGES, condition_number, tangent_kernel
from taurank.trainables.proxies.pruning import Active, Measure, PruningConfig, SteppedPruning, prune_by_importance
from taurank.trainables.proxies.te_nas import rank_sum


def batch_of(images: Tensor) -> ProxyBatch:
    return ProxyBatch(images, torch.arange(len(images)) % 10, classes=10)


def random_images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def score_of(name: str, network: nn.Module, images: Tensor, **options: object) -> ProxyScore:
    return score_network(network, batch_of(images), [name], **options)[name]  # type: ignore[arg-type]


def built(code: str, seed: int = 0) -> nn.Module:
    space = get_space("nasbench201", width=4, cells_per_stage=1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return space.build(space.parse(code), input_shape=(3, 16, 16), classes=10)


def thin(code: str) -> Callable[[], nn.Module]:
    space = get_space("nasbench201")
    return partial(space.thin, space.parse(code), classes=10)  # type: ignore[arg-type]


class TestNtkCondition:
    def test_kernel_of_a_linear_network_is_that_of_the_images_times_the_classes(self) -> None:
        images = random_images(6, 3, 4, 4)
        network = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
        kernel, reached = tangent_kernel(network, images)
        rows = images.flatten(1).double()
        torch.testing.assert_close(kernel, 10 * rows @ rows.T, rtol=1e-5, atol=1e-4)
        assert [tuple(parameter.shape) for parameter in reached] == [(10, 48)]  # without the bias
        spectrum = np.linalg.svd(rows.numpy(), compute_uv=False)
        expected = 2 * math.log(spectrum[0] / spectrum[-1])
        assert score_of("ntk_condition", network, images).value == pytest.approx(expected, abs=1e-4)

    def test_literal_kernel(self) -> None:
        # Images (1, 0) and (1, 1): kernel [[1, 1], [1, 2]], eigenvalues (3 +- sqrt 5) / 2.
        images = torch.tensor([[1.0, 0.0], [1.0, 1.0]])[:, :, None, None]
        network = nn.Sequential(nn.Flatten(), nn.Linear(2, 1))
        assert score_of("ntk_condition", network, images).value == pytest.approx(1.9248473002, abs=1e-5)

    def test_training_mode_couples_images_as_a_backward_pass_for_each_does(self) -> None:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))
        images = random_images(5, 3, 4, 4)
        rows = []
        for index in range(5):
            network.zero_grad()
            network(images)[index].sum().backward()
            weights = [value.grad for name, value in network.named_parameters() if "weight" in name]
            rows.append(torch.cat([gradient.flatten() for gradient in weights if gradient is not None]).double())
        jacobian = torch.stack(rows)
        torch.testing.assert_close(tangent_kernel(network, images)[0], jacobian @ jacobian.T)

    def test_looks_at_the_first_images_in_any_order(self) -> None:
        images = random_images(IMAGES + 4, 3, 16, 16)
        network = built("3-s3-ns3")
        value = score_of("ntk_condition", network, images).value
        assert value == pytest.approx(score_of("ntk_condition", network, images[:IMAGES].flip(0)).value, abs=1e-3)
        assert value != pytest.approx(score_of("ntk_condition", network, images[4:]).value, abs=1e-3)

    def test_repeats_and_leaves_the_network_alone(self) -> None:
        network, images = built("3-s3-ns3"), random_images(8, 3, 16, 16)
        before = {name: value.clone() for name, value in network.state_dict().items()}
        first = score_of("ntk_condition", network, images)
        again = score_network(network, batch_of(images), ["jacob_cov", "ntk_condition"])["ntk_condition"]
        assert first.value == again.value
        assert first.coverage == 1.0
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())

    def test_weights_of_dead_edges_are_not_covered(self) -> None:
        score = score_of("ntk_condition", built("3-nn-snn"), random_images(8, 3, 16, 16))  # no way on from node 1
        whole = sum(value.numel() for value in built("3-nn-snn").parameters() if value.dim() > 1)
        dead = 9 * (4**2 + 8**2 + 16**2)
        assert score.coverage == pytest.approx(1 - dead / whole)

    def test_any_network(self) -> None:
        images = random_images(6, 3, 32, 32)
        torch.manual_seed(0)
        attention = nn.Sequential(
            nn.Conv2d(3, 16, 8, stride=8),
            nn.Flatten(2),
            nn.TransformerEncoderLayer(16, 2, 32, activation="gelu", batch_first=True),
            nn.Flatten(),
            nn.Linear(256, 10),
        )
        for network in (import_torchvision().models.mobilenet_v3_small(num_classes=10), attention):
            score = score_of("ntk_condition", network, images)
            assert score.reason == ""
            assert score.value > 0
            assert score.coverage == 1.0

    def test_void_with_the_reason(self) -> None:
        images = random_images(4, 3, 16, 16)
        repeated = torch.cat([images, images[:1]])
        assert score_of("ntk_condition", built("3-s3-ns3"), repeated).reason == "images 0 and 4 of the batch are equal"
        assert score_of("ntk_condition", built("n-nn-nnn"), images).reason == "the output depends on no weight"
        assert score_of("ntk_condition", nn.Flatten(), images).reason == "the output depends on no weight"
        narrow = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))  # rank 3 for 4 images
        assert "singular" in score_of("ntk_condition", narrow, images).reason
        with pytest.raises(VoidScoreError, match="not finite"):
            condition_number(torch.full((2, 2), math.nan, dtype=torch.float64))


class TestLinearRegions:
    @pytest.mark.parametrize("seed", range(5))
    def test_one_hidden_layer_on_a_line_against_its_breakpoints(self, seed: int) -> None:
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Linear(1, 9), nn.ReLU(), nn.Linear(9, 1))
        inputs = torch.linspace(-3, 3, 20_001)[:, None]
        bends = (-network[0].bias / network[0].weight[:, 0]).detach().numpy()
        # An interval counts if an input lies in it.
        expected = len(np.unique(np.searchsorted(np.sort(bends), inputs.numpy().ravel())))
        assert 1 < expected <= 10
        assert count_linear_regions(network, inputs) == expected

    def test_literal_count_and_order_of_inputs(self) -> None:
        network = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Linear(3, 1))
        with torch.no_grad():
            network[0].weight.copy_(torch.tensor([[1.0], [-1.0], [2.0]]))
            network[0].bias.copy_(torch.tensor([0.5, 0.5, -3.0]))  # bends at -0.5, 0.5, 1.5
        inputs = torch.arange(-5.0, 6.0)[:, None]
        assert count_linear_regions(network, inputs) == 4
        assert count_linear_regions(network, inputs.flip(0)) == 4
        assert count_linear_regions(network, inputs.repeat(3, 1)) == 4
        assert count_linear_regions(network, inputs[:5]) == 1  # -5 ... -1

    def test_activations_called_as_functions_count_too(self) -> None:
        class Functional(nn.Linear):
            def forward(self, inputs: Tensor) -> Tensor:
                return nn.functional.gelu(super().forward(inputs))

        layer = Functional(1, 1)
        with torch.no_grad():
            layer.weight.fill_(1.0)
            layer.bias.fill_(0.5)
        assert count_linear_regions(layer, torch.arange(-5.0, 6.0)[:, None]) == 2

    def test_crops_are_squares_of_one_channel(self) -> None:
        images = torch.arange(2 * 3 * 5 * 7).float().view(2, 3, 5, 7)
        crops = draw_crops(images, 2000)
        assert crops.shape == (2000, 1, 3, 3)
        assert (crops[..., 1] - crops[..., 0] == 1).all()
        assert (crops[..., 1, :] - crops[..., 0, :] == 7).all()
        corners = {int(corner) for corner in crops[:, 0, 0, 0]}
        places = product(range(2), range(3), range(3), range(5))
        assert corners == {image * 105 + channel * 35 + row * 7 + column for image, channel, row, column in places}

    def test_repeats_whatever_else_is_scored(self) -> None:
        images, network = random_images(8, 3, 16, 16), built("3-s3-ns3")
        alone = score_of("linear_regions", network, images, thin=thin("3-s3-ns3"))
        names = ["jacob_cov", "ntk_condition", "linear_regions"]
        among = score_network(network, batch_of(images), names, thin=thin("3-s3-ns3"))["linear_regions"]
        other = score_of("linear_regions", network, images, thin=thin("3-s3-ns3"), seed=1)
        assert alone.value == among.value != other.value
        assert 1 < alone.value < CROPS

    def test_more_units_behind_each_other_see_more_regions(self) -> None:
        images = random_images(8, 3, 16, 16)
        few, many = (
            score_of("linear_regions", built(code), images, thin=thin(code)).value for code in ("n-nn-snn", "3-33-333")
        )
        assert few < many

    def test_void_with_the_reason(self) -> None:
        images, network = random_images(4, 3, 16, 16), built("3-s3-ns3")

        def reason(make: Callable[[], nn.Module] | None, images: Tensor = images) -> str:
            return score_of("linear_regions", network, images, thin=make).reason

        assert reason(None) == "there is no thin network whose regions could be counted"
        assert "no unit with a bend" in reason(lambda: nn.Sequential(nn.Flatten(), nn.Linear(9, 10)))
        assert "all inputs lie in one linear region" in reason(thin("n-nn-nnn"))
        wide = partial(nn.Sequential, nn.Flatten(), nn.Linear(9, 2000), nn.ReLU())
        assert "every input lies in a region of its own" in reason(wide)
        assert "2x9 pixels" in reason(thin("3-33-333"), random_images(4, 3, 2, 9))
        mobile = import_torchvision().models.mobilenet_v3_small(num_classes=10)
        assert score_of("linear_regions", mobile, images).reason == reason(None)


class TestRankSum:
    def test_hand_table_with_ties(self) -> None:
        condition = [40.0, 10.0, 10.0, 70.0, 25.0]  # ranks 3 1 1 4 2
        regions = [120, 90, 120, 300, 90]  # ranks 2 3 2 1 3
        np.testing.assert_array_equal(rank_sum(condition, regions), [5, 4, 3, 5, 5])

    def test_a_void_candidate_changes_nothing_for_the_others(self) -> None:
        sums = rank_sum([40.0, math.nan, 10.0, 1.0], [120, 999, 90, math.nan])
        np.testing.assert_array_equal(sums, [3, math.nan, 3, math.nan])

    def test_monotone_transforms_and_order_of_candidates(self) -> None:
        rng = np.random.default_rng(0)
        condition, regions = rng.uniform(1, 50, 30), rng.integers(5, 20, 30)
        sums = rank_sum(condition, regions)
        np.testing.assert_array_equal(sums, rank_sum(np.log(condition), regions**2))
        order = rng.permutation(30)
        np.testing.assert_array_equal(sums[order], rank_sum(condition[order], regions[order]))

    def test_shapes_have_to_agree(self) -> None:
        with pytest.raises(ProxyError, match=r"^rank_sum: condition has shape \(2,\), regions \(3,\);"):
            rank_sum([1.0, 2.0], [1, 2, 3])


Effects = list[dict[str, float]]


def additive(condition: Effects, regions: Effects) -> Measure:
    """Each operation that is there adds its own to both figures, at any seed."""

    def measure(active: Active, seed: int) -> tuple[float, float]:
        return tuple(  # type: ignore[return-value]
            100 + sum(effect[name] for effect, names in zip(effects, active, strict=True) for name in names)
            for effects in (condition, regions)
        )

    return measure


def drawn(edges: int, operations: list[str], seed: int) -> Effects:
    """Effects that differ by at least 1, in random order."""
    values = iter(np.random.default_rng(seed).permutation(edges * len(operations)).tolist())
    return [{name: float(next(values)) for name in operations} for _ in range(edges)]


def nothing(edges: int, operations: list[str]) -> Effects:
    return [dict.fromkeys(operations, 0.0)] * edges


class TestPruning:
    @pytest.mark.parametrize("seed", range(3))
    def test_additive_figures_lead_to_the_best_of_all_networks(self, seed: int) -> None:
        names = ["a", "b", "c", "d"]
        effects, flat = drawn(4, names, seed), nothing(4, names)
        cells = [tuple((name,) for name in cell) for cell in product(names, repeat=4)]
        trained = prune_by_importance([names] * 4, additive(effects, flat), seeds=[0])
        assert trained.active == min(cells, key=lambda cell: additive(effects, flat)(cell, 0)[0])
        expressed = prune_by_importance([names] * 4, additive(flat, effects), seeds=[0])
        assert expressed.active == max(cells, key=lambda cell: additive(flat, effects)(cell, 0)[1])

    @pytest.mark.parametrize(("operations", "tried"), [(OPERATIONS, 30 + 24 + 18 + 12), (OPERATIONS[1:], 24 + 18 + 12)])
    def test_number_of_removals_tried_on_nasbench201(self, operations: tuple[str, ...], tried: int) -> None:
        seen: list[tuple[Active, int]] = []
        oracle = additive(drawn(6, list(operations), 0), nothing(6, list(operations)))

        def measure(active: Active, seed: int) -> tuple[float, float]:
            seen.append((active, seed))
            return oracle(active, seed)

        found = prune_by_importance([operations] * 6, measure, seeds=[5, 6])
        rounds = len(operations) - 1
        assert found.tried == tried
        assert len(seen) == len(set(seen)) == 2 * (tried + rounds)  # what is left is measured once a round
        assert {seed for _, seed in seen} == {5, 6}
        assert [removal.round for removal in found.removals] == [n + 1 for n in range(rounds) for _ in range(6)]

    def test_both_figures_count_alike_and_the_condition_number_breaks_ties(self) -> None:
        condition: Effects = [{"a": 20.0, "b": 30.0, "c": 10.0}]  # ranks of removal 2 1 3

        def leaving(a: float, b: float, c: float) -> list[str]:
            found = prune_by_importance([["a", "b", "c"]], additive(condition, [{"a": a, "b": b, "c": c}]), seeds=[0])
            return [removal.operation for removal in found.removals]

        assert leaving(10, 0, 20) == ["b", "a"]  # sums 4 2 6
        assert leaving(0, 20, 10) == ["a", "b"]  # sums 3 4 5; then 3 of b and 3 of c
        assert leaving(10, 30, 50) == ["b", "a"]  # sums 3 3 6: b by condition number, though a comes first

    def test_changes_below_the_precision_are_equal(self) -> None:
        regions: Effects = [{"a": 0.0, "b": 0.0}]
        for precision, leaves in ((3, "a"), (4, "b")):
            condition: Effects = [{"a": 10.0, "b": 10.01}]  # changes .08333, .08341
            found = prune_by_importance([["a", "b"]], additive(condition, regions), seeds=[0], precision=precision)
            assert found.removals[0].operation == leaves

    def test_changes_are_relative_and_averaged_over_seeds(self) -> None:
        def measure(active: Active, seed: int) -> tuple[float, float]:
            scale = (1.0, 100.0)[seed]  # a figure of one seed says nothing beside that of another
            return scale * {("a", "b"): 10.0, ("b",): 8.0, ("a",): (9.0, 5.0)[seed]}[active[0]], 50.0

        found = prune_by_importance([["a", "b"]], measure, seeds=[0, 1])
        assert found.active == (("a",),)
        (removal,) = found.removals
        assert (removal.round, removal.edge, removal.operation) == (1, 0, "b")
        assert removal.condition == pytest.approx((0.1 + 0.5) / 2)
        assert removal.regions == 0

    def test_a_removal_that_breaks_the_network_comes_last(self) -> None:
        def measure(active: Active, seed: int) -> tuple[float, float]:
            return (math.inf, 1.0) if "skip" not in active[0] else (10.0 + len(active[0]), 60.0)

        assert prune_by_importance([["skip", "a", "b"]], measure, seeds=[0]).active == (("skip",),)

    def test_darts_keeps_two_edges_for_each_node_of_both_cells(self) -> None:
        names = [f"op{index}" for index in range(7)]
        nodes = [range(2), range(2, 5), range(5, 9), range(9, 14)]
        groups = [[cell * 14 + edge for edge in node] for cell in range(2) for node in nodes]
        effects = drawn(28, names, 3)

        def measure(active: Active, seed: int) -> tuple[float, float]:
            # Every removal raises the condition number: the edges whose loss raises it most stay.
            return 1000 - additive(effects, nothing(28, names))(active, seed)[0] / 30, 50.0

        found = prune_by_importance([names] * 28, measure, per_round=3, groups=groups, keep=2, precision=9, seeds=[0])
        best = [max(names, key=effect.__getitem__) for effect in effects]
        for group in groups:
            kept = sorted(group, key=lambda edge: effects[edge][best[edge]])[-2:]
            for edge in group:
                assert found.active[edge] == ((best[edge],) if edge in kept else ())
        assert found.tried == 28 * 7 + 28 * 4 + 2 * (3 + 4 + 5)

    @pytest.mark.parametrize("cut", [0, 1, 30, 170])
    def test_in_steps_and_resumed_anywhere_it_is_the_same_and_measures_nothing_twice(self, cut: int) -> None:
        names = OPERATIONS[1:]
        oracle = additive(drawn(6, list(names), 1), drawn(6, list(names), 2))
        seen: list[tuple[Active, int]] = []

        def measure(active: Active, seed: int) -> tuple[float, float]:
            seen.append((active, seed))
            return oracle(active, seed)

        config = PruningConfig((names,) * 6, (3, 4, 5))
        first = SteppedPruning(measure, config)
        for _ in range(cut):
            first.measure_next()
        resumed = SteppedPruning(measure, config)
        resumed.load_state_dict(first.state_dict())
        assert resumed.epoch == cut
        while not resumed.finished:
            resumed.measure_next()
        assert resumed.result == prune_by_importance(config.active, oracle, seeds=config.seeds)
        assert len(seen) == len(set(seen)) == resumed.epoch == config.networks == 171

    def test_networks_of_edges_with_unequal_options(self) -> None:
        config = PruningConfig((("a", "b", "c"), ("a",), ("b", "c")), (0, 1))
        work = SteppedPruning(additive(drawn(3, ["a", "b", "c"], 0), nothing(3, ["a", "b", "c"])), config)
        while not work.finished:
            work.measure_next()
        assert work.epoch == config.networks == 2 * (1 + 5 + 1 + 2)

    @pytest.mark.parametrize(
        ("active", "options", "message"),
        [
            ([["a"], []], {}, r"^active: edge 1 has \[\]"),
            ([["a", "a"]], {}, r"^active: edge 0 has \['a', 'a'\]"),
            ([["a"]], {"per_round": 0}, "^per_round: 0 is not at least 1"),
            ([["a"]], {"keep": 0}, "^keep: 0 is not at least 1"),
            ([["a"]], {"seeds": []}, "^number of seeds: 0 is not at least 1"),
            ([["a"]], {"groups": [[0, 1]]}, r"^groups: \[\[0, 1\]\] "),
            ([["a"], ["a"]], {"groups": [[0, 1], [1]]}, r"^groups: "),
        ],
    )
    def test_arguments_that_make_no_sense(
        self, active: list[list[str]], options: dict[str, object], message: str
    ) -> None:
        with pytest.raises(ProxyError, match=message):
            prune_by_importance(active, lambda active, seed: (1.0, 1.0), **options)  # type: ignore[arg-type]

    def test_figures_that_make_no_sense(self) -> None:
        with pytest.raises(ProxyError, match=r"^measure: round 1 starts from .*inf"):
            prune_by_importance([["a", "b"]], lambda active, seed: (math.inf, 5.0))
        with pytest.raises(ProxyError, match=r"^measure: gave NaN"):
            prune_by_importance([["a", "b"]], lambda active, seed: (math.nan if len(active[0]) < 2 else 1.0, 5.0))


class TestAveragedNetwork:
    def test_one_operation_on_each_edge_is_the_cell_itself(self) -> None:
        for code in ("3-s1-pn3", "n-nn-snn", "3-n3-nnn"):
            operations = parse_code(get_space("nasbench201").parse(code).code)
            cell = AveragedCell(4).eval()
            cell.activate(tuple((name,) for name in operations))
            alone = built(code).stages[0][0].eval()  # type: ignore[index,union-attr]
            edges = {f"edges.{edge}.{name}.": f"edges.{edge}." for edge, name in enumerate(operations)}
            weights = {
                key.replace(prefix, short): value
                for key, value in cell.state_dict().items()
                for prefix, short in edges.items()
                if key.startswith(prefix)
            }
            alone.load_state_dict(weights)
            images = random_images(2, 4, 6, 6)
            torch.testing.assert_close(cell(images), alone(images))

    def test_an_edge_gives_the_mean_of_its_operations(self) -> None:
        cell = AveragedCell(1)
        images = torch.tensor([[[[0.0, 6.0], [0.0, 6.0]]]])  # each 3x3 window holds all four: mean 3
        alone: tuple[str, ...] = ("none",)
        for names, expected in (
            (("skip_connect", "none"), images / 2),
            (("skip_connect", "avg_pool_3x3"), (images + 3) / 2),
            (("skip_connect", "avg_pool_3x3", "none"), (images + 3) / 3),
            ((), torch.zeros_like(images)),
        ):
            cell.activate((alone, alone, alone, names, alone, alone))
            torch.testing.assert_close(cell(images), expected)

    def test_measures_the_same_at_the_same_seed_and_leaves_the_random_numbers_alone(self) -> None:
        measure = AveragedNetwork(random_images(4, 3, 8, 8), classes=10)
        active = (OPERATIONS,) * 6
        state = torch.get_rng_state()
        first = measure(active, 0)
        assert torch.equal(torch.get_rng_state(), state)
        assert measure(active, 1) != first
        assert measure(active, 0) == first
        assert first[0] > 1
        assert 1 < first[1] <= CROPS

    def test_one_seed_gives_shared_operations_the_same_weights(self) -> None:
        measure = AveragedNetwork(random_images(4, 3, 8, 8), classes=10)
        dead = ("none",)
        active = (("nor_conv_3x3",), dead, dead, ("nor_conv_1x1", "skip_connect"), dead, dead)
        assert measure(active, 0) == measure((dead, *active[1:]), 0)  # the first edge leads nowhere

    def test_a_network_without_a_path_has_no_condition_number(self) -> None:
        assert AveragedNetwork(random_images(4, 3, 8, 8), classes=10)((("none",),) * 6, 0) == (math.inf, 1.0)

    def test_the_search_ends_in_a_cell(self) -> None:
        measure = AveragedNetwork(random_images(4, 3, 8, 8), classes=10)
        found = prune_by_importance([("skip_connect", "nor_conv_3x3")] * 6, measure, seeds=[0])
        assert [len(names) for names in found.active] == [1] * 6
        assert all(math.isfinite(removal.condition) for removal in found.removals)
        assert found.tried == 12
