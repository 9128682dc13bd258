"""Describes the failure of a training in one line for the evidence log."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from taurank.trainables.data import check_pack_length
from taurank.trainables.training.memory import is_out_of_memory
from taurank.trainables.training.training import NonFiniteLossError

_MOST = 500


def describe_failure(error: Exception, *, doing: str) -> str:
    """The reason, beginning with ``non-finite loss``, ``out of memory`` or ``could not be <doing>``."""
    if isinstance(error, NonFiniteLossError):
        return f"non-finite loss: {error}"
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:_MOST]
    if is_out_of_memory(error):
        return f"out of memory: {reason}"
    return f"could not be {doing}: {reason}"


def gpu_is_lost() -> bool:
    """Whether this process can no longer use its GPU: some CUDA errors outlive the call that raised them.

    An out-of-memory error is not one of them.
    """
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def describe_lost_images(file: Path | None) -> str:
    """Why the file of the images, where they stay in one, cannot be read any more; empty where it can.

    Only the length is checked: reading beyond the end of a truncated `.npy` file kills the worker (SIGBUS).
    """
    if file is None:
        return ""
    try:
        if file.suffix == ".npy":
            np.load(file, mmap_mode="r", allow_pickle=False)
        else:
            check_pack_length(file)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        return f"{file}: {reason.removeprefix(f'{file}: ')}"
    return ""
