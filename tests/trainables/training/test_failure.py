from __future__ import annotations

import pytest
import torch

from taurank.trainables.training.failure import describe_failure, gpu_is_lost
from taurank.trainables.training.training import NonFiniteLossError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (NonFiniteLossError("train_loss is nan in epoch 3"), "non-finite loss: train_loss is nan in epoch 3"),
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory: OutOfMemoryError: CUDA out of memory."),
        (MemoryError(), "out of memory: MemoryError:"),
        (RuntimeError("DefaultCPUAllocator: not enough memory"), "out of memory: RuntimeError: Default"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory: RuntimeError: Default"),
        (RuntimeError("two\n  lines"), "could not be trained: RuntimeError: two lines"),
    ],
)
def test_the_reason_begins_with_its_kind_and_is_one_line(error: Exception, reason: str) -> None:
    described = describe_failure(error, doing="trained")
    assert described.startswith(reason)
    assert "\n" not in described


def test_running_out_of_memory_does_not_lose_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert not gpu_is_lost()


def test_a_gpu_that_no_longer_answers_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(torch.cuda, "synchronize", fail)
    assert not gpu_is_lost()  # this process has none
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert gpu_is_lost()
