from __future__ import annotations

import importlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from taurank.spaces import import_torchvision


def test_torchvision_works_after_the_import() -> None:
    torchvision = import_torchvision()
    assert import_torchvision() is torchvision
    network = torchvision.models.squeezenet1_1(num_classes=3).eval()
    assert network(torch.rand(1, 3, 32, 32)).shape == (1, 3)
    flip = torchvision.transforms.RandomHorizontalFlip(p=1.0)
    assert flip(torch.tensor([[[1.0, 2.0]]])).tolist() == [[[2.0, 1.0]]]


def test_one_thread_at_a_time_imports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are made in several threads; a second one must not see what a failed attempt has left."""
    alone = threading.Lock()

    def import_alone(name: str) -> object:
        assert alone.acquire(blocking=False)
        threading.Event().wait(0.01)  # time for another thread to come in
        alone.release()
        return name

    monkeypatch.setattr(importlib, "import_module", import_alone)
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: import_torchvision(), range(4))) == ["torchvision"] * 4


@pytest.mark.parametrize("error", [RuntimeError("out of memory"), ModuleNotFoundError("No module named 'torchvision'")])
def test_other_failures_are_passed_on(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(name: str) -> None:
        raise error

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(type(error), match=str(error)):
        import_torchvision()
