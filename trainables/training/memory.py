"""Work that is done in smaller parts where memory is short."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")

SMALLEST = 2
"""Images of a part: batch normalisation cannot train on one."""
# Messages of CPU allocators; on a GPU the error has its own type.
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory")


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory is short."""
    is_memory = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return is_memory or any(words in str(error) for words in _OUT_OF_MEMORY)


def halving(work: Callable[[int], Result], size: int, *, batch: int) -> tuple[Result, int]:
    """What the work returns for a size of its parts, which is halved as long as memory is short; and the size in use.

    Args:
        work: called with a size; may be called again after it failed.
        size: to begin with.
        batch: images there are: parts larger than that are as good as one part.

    Raises:
        Exception: whatever the work raises, or for want of memory with parts of `SMALLEST` images.
    """
    while True:
        try:
            return work(size), size
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or min(size, batch) < 2 * SMALLEST:
                raise
        # Not in the handler: as long as there is an error, its traceback keeps the memory of the attempt in use.
        size = min(size, batch) // 2
        # Without a GPU memory is freed anyway, and a collection takes as long as a short epoch.
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            gc.collect()
            torch.cuda.empty_cache()
