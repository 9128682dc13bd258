"""Augmentation and normalisation on a device, so that bytes are transferred and not floats."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from taurank.trainables.data.augmentation import Augmentation, draw_changes, scaling_tables
from taurank.trainables.data.image_operations import random_resized_crops, recolour


def augment_tensor(images: Tensor, augmentation: Augmentation, generator: np.random.Generator) -> Tensor:
    """Returns exactly what `augment` returns, computed on the device of the images.

    Args:
        images: uint8 `(n, H, W, C)`, on any device; they stay as they are.
        augmentation: What is changed.
        generator: Drawn from as by `augment`; the draws are made on the CPU.
    """
    if augmentation.resized_crop is not None:
        images = random_resized_crops(images, augmentation, generator)
    n, height, width, _ = images.shape
    drawn = draw_changes((n, height, width), augmentation, generator)
    device = images.device
    rows = torch.arange(height, device=device).expand(n, height)
    columns = torch.arange(width, device=device).expand(n, width)
    if drawn.flipped is not None:
        flipped = torch.from_numpy(drawn.flipped).to(device)[:, None]
        columns = torch.where(flipped, width - 1 - columns, columns)
    black = torch.zeros((n, height, width), dtype=torch.bool, device=device)
    if drawn.cut is not None:  # where pixels end up
        top, left = torch.from_numpy(drawn.cut).to(device)[:, :, None]
        row, column = (torch.arange(side, device=device) for side in (height, width))
        tall = (row >= top) & (row < top + augmentation.cutout)
        wide = (column >= left) & (column < left + augmentation.cutout)
        black = tall[:, :, None] & wide[:, None, :]
    if drawn.window is not None:  # where pixels come from
        top, left = torch.from_numpy(drawn.window).to(device)[:, :, None]
        rows, columns = rows + top - augmentation.crop, columns + left - augmentation.crop
        outside_rows, outside_columns = (rows < 0) | (rows >= height), (columns < 0) | (columns >= width)
        black = black | outside_rows[:, :, None] | outside_columns[:, None, :]
        rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    which = torch.arange(n, device=device)[:, None, None]
    changed = images[which, rows[:, :, None], columns[:, None, :]].masked_fill(black[..., None], 0)
    return recolour(changed, augmentation, generator) if augmentation.recolours else changed


def normalise_tensor(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Returns what `normalise` returns: float32 `(n, C, H, W)`, channels last in memory."""
    tables = torch.from_numpy(scaling_tables(mean, std)).to(images.device)
    channels = torch.arange(images.shape[3], device=images.device)
    return tables[channels, images.long()].permute(0, 3, 1, 2)
