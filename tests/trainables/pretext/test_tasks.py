"""The questions themselves: what is shown, what is asked, and which images are refused."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from taurank.trainables.data import Images
from taurank.trainables.pretext import (
    Colorization,
    Draws,
    Jigsaw,
    PretextError,
    PretextTask,
    Rotation,
    get_task,
    list_tasks,
    register_task,
)
from taurank.trainables.pretext.colour_bins import bin_centres, nearest_bins, to_lab
from taurank.trainables.pretext.jigsaw import PERMUTATIONS, cut_tiles, tile_side
from taurank.trainables.training.recipe import Recipe


def pictures(count: int = 5, side: int = 16, channels: int = 3) -> Images:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def draws(*, training: bool = True, seed: int = 0, channels: int = 3) -> Draws:
    return Draws(np.random.default_rng(seed), training, (0.0,) * channels, (255.0,) * channels)


class TestRegistry:
    def test_there_are_three(self) -> None:
        assert list_tasks() == ["colorization", "jigsaw", "rotation"]
        assert [type(get_task(name)) for name in list_tasks()] == [Colorization, Jigsaw, Rotation]

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("rotate", "unknown task 'rotate'; did you mean 'rotation'\\?"),
            ("simclr", "unknown task 'simclr'; there are colorization, jigsaw, rotation"),
        ],
    )
    def test_an_unknown_one_is_answered(self, name: str, said: str) -> None:
        with pytest.raises(PretextError, match=f"^{said}$"):
            get_task(name)

    def test_a_name_is_taken_once(self) -> None:
        class Other(Rotation):
            pass

        with pytest.raises(PretextError, match=r"taken by taurank\.trainables\.pretext\.rotation\.Rotation"):
            register_task(Other)

    @pytest.mark.parametrize(("name", "views"), [("rotation", 4), ("jigsaw", 4), ("colorization", 1)])
    def test_a_step_has_the_views_of_the_recipe(self, name: str, views: int) -> None:
        recipe = Recipe(batch_size=128, learning_rate=0.1, epochs=7)
        task = get_task(name)
        assert task.views == views
        assert task.recipe(recipe) == replace(recipe, batch_size=128 // views, learning_rate=0.1 / views)

    def test_a_batch_has_two_images_at_least(self) -> None:
        assert Rotation().recipe(Recipe(batch_size=4)).batch_size == 2


class TestRotation:
    def test_four_turns_of_each_image_and_their_labels(self) -> None:
        image = np.array([[1, 2], [3, 4]], np.uint8).reshape(1, 2, 2, 1)
        views, turns = Rotation().make_batch(image, draws(channels=1))
        assert turns.tolist() == [0, 1, 2, 3]
        found = (views[:, 0] * 255).round().int().tolist()
        # Counter-clockwise.
        assert found == [[[1, 2], [3, 4]], [[2, 4], [1, 3]], [[4, 3], [2, 1]], [[3, 1], [4, 2]]]

    def test_images_come_one_after_the_other(self) -> None:
        images = pictures(3)
        views, turns = Rotation().make_batch(images, draws())
        assert views.shape == (12, 3, 16, 16)
        assert turns.tolist() == [0, 1, 2, 3] * 3
        upright = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
        for turn in range(4):
            back = torch.rot90(views[turn::4], -turn, (2, 3))
            assert torch.allclose(back, upright)

    def test_channels_are_scaled(self) -> None:
        views, _ = Rotation().make_batch(
            np.full((1, 4, 4, 3), 100, np.uint8), Draws(np.random.default_rng(0), True, (90, 100, 110), (10, 5, 2))
        )
        assert views[0, :, 0, 0].tolist() == [1.0, 0.0, -5.0]

    def test_only_square_images_are_turned(self) -> None:
        with pytest.raises(PretextError, match="rotation: the images are 16 x 20, and turned ones would be 20 x 16"):
            Rotation().check(np.zeros((1, 16, 20, 3), np.uint8))
        Rotation().check(pictures())


class TestJigsaw:
    def test_24_orders(self) -> None:
        assert PERMUTATIONS.shape == (24, 4)
        assert len({tuple(order) for order in PERMUTATIONS.tolist()}) == 24
        assert (np.sort(PERMUTATIONS, axis=1) == np.arange(4)).all()

    @pytest.mark.parametrize(("size", "side"), [((224, 224), 85), ((32, 32), 12), ((16, 16), 6), ((12, 30), 4)])
    def test_side_of_a_tile(self, size: tuple[int, int], side: int) -> None:
        assert tile_side(*size) == side

    def test_tiles_lie_in_their_patches(self) -> None:
        row, column = np.indices((8, 8))
        image = (10 * row + column).astype(np.uint8).reshape(1, 8, 8, 1)
        offsets = np.array([[[0, 0], [1, 2], [0, 1], [2, 0]]])
        tiles = cut_tiles(image, offsets, 2)
        assert tiles.shape == (1, 4, 2, 2, 1)
        assert tiles[0, :, 0, 0, 0].tolist() == [0, 16, 41, 64]
        assert tiles[0, 1, :, :, 0].tolist() == [[16, 17], [26, 27]]

    def test_a_permutation_can_be_undone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("taurank.trainables.pretext.jigsaw._standardised", lambda tiles: tiles.astype(np.float32))
        images = pictures(50)
        found, labels = Jigsaw().make_batch(images, draws(training=False))
        # The same draws once more.
        generator = np.random.default_rng(0)
        assert labels.tolist() == generator.integers(0, 24, 50).tolist()
        source = cut_tiles(images, generator.integers(0, 3, (50, 4, 2)), 6)
        shown = found.reshape(50, 4, 3, 6, 6).permute(0, 1, 3, 4, 2).numpy()
        for image, label in enumerate(labels.tolist()):
            assert (shown[image, PERMUTATIONS[label]] == source[image]).all()

    def test_every_order_is_asked_and_every_place_is_used(self) -> None:
        _, labels = Jigsaw().make_batch(pictures(2000, side=12, channels=1), draws(channels=1))
        counts = np.bincount(labels.numpy(), minlength=24)
        assert counts.min() > 40  # 83 on average
        assert counts.max() < 140

    def test_brightness_and_contrast_of_a_tile_tell_nothing(self) -> None:
        tiles, _ = Jigsaw().make_batch(pictures(20), draws())
        assert tiles.mean(dim=(1, 2, 3)).abs().max() < 1e-5
        assert torch.allclose(tiles.std(dim=(1, 2, 3), correction=0), torch.ones(80), atol=1e-5)

    def test_a_tile_of_one_colour_is_zero(self) -> None:
        tiles, _ = Jigsaw().make_batch(np.full((2, 16, 16, 3), 7, np.uint8), draws())
        assert (tiles == 0).all()

    def test_three_in_ten_are_trained_on_in_grey(self) -> None:
        images = pictures(1000, side=12)
        before = images.copy()
        tiles, _ = Jigsaw().make_batch(images, draws())
        grey = (tiles == tiles[:, :1]).all(dim=(1, 2, 3)).reshape(1000, 4)
        assert (grey.all(dim=1) == grey.any(dim=1)).all()  # all tiles of an image or none
        assert 0.25 < grey[:, 0].float().mean() < 0.35
        assert (images == before).all()
        tiles, _ = Jigsaw().make_batch(images, draws(training=False))
        assert not (tiles == tiles[:, :1]).all(dim=(1, 2, 3)).any()

    def test_grey_keeps_the_luma(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("taurank.trainables.pretext.jigsaw.GREY_SHARE", 1.0)
        monkeypatch.setattr("taurank.trainables.pretext.jigsaw._standardised", lambda tiles: tiles.astype(np.float32))
        tiles, _ = Jigsaw().make_batch(np.full((1, 16, 16, 3), (255, 0, 0), np.uint8), draws())
        assert tiles.unique().tolist() == [76.0]  # .299 of 255

    def test_small_images_are_refused(self) -> None:
        with pytest.raises(PretextError, match="jigsaw: images of 8 x 8 make tiles of 3 pixels a side, and at least 4"):
            Jigsaw().check(np.zeros((1, 8, 8, 1), np.uint8))
        Jigsaw().check(np.zeros((1, 12, 12, 1), np.uint8))


class TestColorization:
    def test_bins_are_the_squares_of_the_plane_that_colours_fall_into(self) -> None:
        centres = bin_centres()
        assert centres.shape == (262, 2)
        assert (centres % 10 == 0).all()
        assert len(np.unique(centres, axis=0)) == 262
        assert (centres.min(axis=0).tolist(), centres.max(axis=0).tolist()) == ([-90, -110], [100, 90])

    def test_the_nearest_of_known_colours(self) -> None:
        # Lab of the primaries (D65): red 53.2, 80.1, 67.2; green 87.7, -86.2, 83.2; blue 32.3, 79.2, -107.9.
        colours = np.array(
            [[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [90, 90, 90]]], np.uint8
        )
        lab = to_lab(colours)
        assert lab[0, 0] == pytest.approx([53.2, 80.1, 67.2], abs=0.1)
        found = bin_centres()[nearest_bins(lab[..., 1:])][0].tolist()
        assert found == [[80, 70], [-90, 80], [80, -110], [0, 0], [0, 0], [0, 0]]

    def test_the_nearest_by_search(self) -> None:
        lab = to_lab(pictures(1, side=48)[0])[..., 1:]
        distances = np.linalg.norm(lab[:, :, None] - bin_centres(), axis=-1)
        chosen = np.take_along_axis(distances, nearest_bins(lab)[..., None], axis=-1)[..., 0]
        assert (chosen == distances.min(axis=-1)).all()  # of two that are as near either may be

    def test_every_colour_has_a_class(self) -> None:
        steps = np.arange(0, 256, 5, dtype=np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        classes = nearest_bins(to_lab(cube)[..., 1:])
        assert (classes.min(), classes.max()) == (0, 261)

    def test_lightness_is_shown_and_colour_asked(self) -> None:
        images = pictures(3)
        light, bins = Colorization().make_batch(images, draws())
        assert (light.shape, bins.shape) == ((3, 1, 16, 16), (3, 16, 16))
        lab = cv2.cvtColor(images[1].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        assert light[1, 0].numpy() == pytest.approx(lab[..., 0] / 100, abs=1e-6)
        assert (bins[1].numpy() == nearest_bins(lab[..., 1:])).all()

    def test_lightness_is_scaled_by_the_mean_of_the_channels(self) -> None:
        white = np.full((1, 4, 4, 3), 255, np.uint8)
        asked = Draws(np.random.default_rng(0), True, (51.0, 102.0, 153.0), (25.5, 51.0, 76.5))
        light, _ = Colorization().make_batch(white, asked)
        assert light.numpy() == pytest.approx((1 - 0.4) / 0.2, abs=1e-5)

    @pytest.mark.parametrize("images", [pictures(channels=1), np.repeat(pictures(channels=1), 3, axis=3)])
    def test_grey_images_are_refused(self, images: Images) -> None:
        with pytest.raises(PretextError, match=r"colorization: the images are grey, .* no colour to predict"):
            Colorization().check(images)

    def test_colour_images_are_not(self) -> None:
        Colorization().check(pictures())


@pytest.mark.parametrize("name", list_tasks())
class TestAll:
    def test_the_draws_decide_everything(self, name: str) -> None:
        task = get_task(name)
        first, again, other = (task.make_batch(pictures(), draws(seed=seed)) for seed in (1, 1, 2))
        assert all(torch.equal(left, right) for left, right in zip(first, again, strict=True))
        if name == "jigsaw":  # the others draw nothing
            assert not torch.equal(first[1], other[1])

    def test_rows_of_a_batch(self, name: str) -> None:
        task: PretextTask = get_task(name)
        inputs, targets = task.make_batch(pictures(5), draws())
        assert (len(inputs), len(targets)) == (5 * task.views, 5 * task.answers)
        assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
        assert inputs.is_contiguous()
