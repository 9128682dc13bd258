"""Linear algebra in one thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from threadpoolctl import threadpool_limits

Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")


def one_thread(compute: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Keeps linear algebra to one thread: matrices are small, and results do not depend on the number of cores."""

    @wraps(compute)
    def limited(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        with threadpool_limits(1, user_api="blas"):
            return compute(*args, **kwargs)

    return limited
