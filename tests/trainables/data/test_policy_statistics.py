"""How often policies and jitter draw what, against torchvision's own transforms."""

from __future__ import annotations

from collections import Counter
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chi2_contingency, ks_2samp

from taurank.spaces import import_torchvision
from taurank.trainables.data import Augmentation, augment, image_operations

N = 3000
LEAST_P = 1e-3
"""Of a test of two samples with fixed seeds."""
PIXELS = np.zeros((N, 8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def v2() -> ModuleType:
    import_torchvision()
    from torchvision.transforms import v2

    return v2


def drawn_here(augmentation: Augmentation, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Operation and signed strength of every change to N images."""
    found: list[tuple[str, float]] = []

    def record(planes: torch.Tensor, name: str, strength: int, negative: bool, *, wide: bool) -> torch.Tensor:
        most = image_operations.OPERATIONS[name][2 if wide else 1]
        value = image_operations._value(most, planes.shape[2:], strength)
        found.extend([(name, -value if negative else value)] * len(planes))
        return planes

    monkeypatch.setattr(image_operations, "apply_operation", record)
    augment(PIXELS, augmentation, np.random.default_rng(0))
    return found


def drawn_there(transform: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    found: list[tuple[str, float]] = []

    def record(image: torch.Tensor, name: str, value: float, **_: Any) -> torch.Tensor:
        found.append((name, float(value)))
        return image

    monkeypatch.setattr(transform, "_apply_image_or_video_transform", record)
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(N):
            transform(image)
    return found


@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
def test_operations_and_their_strengths_are_as_frequent(
    policy: str, v2: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = drawn_here(Augmentation(policy=policy, operations=2, magnitude=12), monkeypatch)  # type: ignore[arg-type]
    transform = v2.RandAugment(2, 12) if policy == "randaugment" else v2.TrivialAugmentWide()
    theirs = drawn_there(transform, monkeypatch)
    assert len(ours) == len(theirs) == N * (2 if policy == "randaugment" else 1)
    counts = [Counter(name for name, _ in drawn) for drawn in (ours, theirs)]
    assert counts[0].keys() == counts[1].keys()
    assert chi2_contingency([[count[name] for name in counts[0]] for count in counts]).pvalue > LEAST_P
    signed = [name for name, (_, both) in transform._AUGMENTATION_SPACE.items() if both]
    assert len(signed) == 9
    for name in signed:
        values = [[value for other, value in drawn if other == name] for drawn in (ours, theirs)]
        assert ks_2samp(*values).pvalue > LEAST_P, name
        assert np.unique(np.abs(values[0])).round(5).tolist() == np.unique(np.abs(values[1])).round(5).tolist()


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_a_share_of_the_operations_is_applied(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = drawn_here(Augmentation(policy="randaugment", operations=2, policy_share=share), monkeypatch)
    assert len(ours) / (2 * N) == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / (2 * N)))


def test_jitter_has_the_factors_and_the_orders(v2: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("brightness", "contrast", "saturation")
    found: list[tuple[str, float]] = []

    def recording(name: str) -> Any:
        def record(plane: torch.Tensor, factor: float) -> torch.Tensor:
            found.append((name, factor))
            return plane

        return record

    fake = SimpleNamespace(**{f"adjust_{name}": recording(name) for name in names})
    monkeypatch.setattr(image_operations, "_functional", lambda: fake)
    augment(PIXELS, Augmentation(colour_jitter=0.4), np.random.default_rng(0))
    jitter = v2.ColorJitter(0.4, 0.4, 0.4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn = [jitter.make_params([]) for _ in range(N)]
    for name in names:
        theirs = [float(params[f"{name}_factor"]) for params in drawn]
        assert ks_2samp([factor for other, factor in found if other == name], theirs).pvalue > LEAST_P, name
    ours = Counter(tuple(name for name, _ in found[start : start + 3]) for start in range(0, len(found), 3))
    orders = Counter(tuple(names[which] for which in params["fn_idx"].tolist() if which < 3) for params in drawn)
    assert len(ours) == len(orders) == 6
    assert chi2_contingency([[count[order] for order in ours] for count in (ours, orders)]).pvalue > LEAST_P
