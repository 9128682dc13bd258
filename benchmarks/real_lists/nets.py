"""Plain networks of a user's own: layers, convolutions and residual blocks of varied depth, width and kernel.

Every name is a candidate, such as `benchmarks.real_lists.nets:conv_d2_w8_k3`.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional


def mlp(num_classes: int, in_channels: int, image_size: tuple[int, int], *, depth: int, width: int) -> nn.Sequential:
    """Linear layers of one width with ReLU between them; of depth 0 a linear classifier."""
    widths = [in_channels * image_size[0] * image_size[1], *[width] * depth]
    layers: list[nn.Module] = [nn.Flatten()]
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], num_classes))


def conv(num_classes: int, in_channels: int, *, depth: int, width: int, kernel: int) -> nn.Sequential:
    """Convolutions with batch normalisation and ReLU; the second half has half the resolution and twice the width."""
    layers: list[nn.Module] = []
    channels = in_channels
    for layer in range(depth):
        halves = layer == depth // 2
        after = width if layer < depth // 2 else 2 * width
        layers += [
            nn.Conv2d(channels, after, kernel, stride=2 if halves else 1, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        ]
        channels = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input is added; a 1x1 convolution fits it where the shape changes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        is_kept = before == after and stride == 1
        self.shortcut = nn.Identity() if is_kept else nn.Conv2d(before, after, 1, stride=stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of the block."""
        return functional.relu(self.branch(images) + self.shortcut(images))


def resnet(num_classes: int, in_channels: int, *, depth: int, width: int) -> nn.Sequential:
    """Residual blocks; the first keeps the resolution, the second halves it and doubles the width."""
    blocks = [Residual(in_channels, width, 1)]
    blocks += [
        Residual(width if block == 1 else 2 * width, 2 * width, 2 if block == 1 else 1) for block in range(1, depth)
    ]
    channels = width if depth == 1 else 2 * width
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))


NETS = {"linear": partial(mlp, depth=0, width=0)}
NETS |= {f"mlp_d{d}_w{w}": partial(mlp, depth=d, width=w) for d in (1, 2, 3) for w in (6, 24, 96)}
NETS |= {
    f"conv_d{d}_w{w}_k{k}": partial(conv, depth=d, width=w, kernel=k)
    for d in (1, 2, 4)
    for w in (3, 8, 20)
    for k in ((1, 3, 5) if d == 2 else (3, 5))
}
NETS |= {f"resnet_d{d}_w{w}": partial(resnet, depth=d, width=w) for d in (1, 2, 4) for w in (3, 8, 20)}
globals().update(NETS)
