"""Prefetching of batches."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def prefetched(items: Iterator[Item]) -> Iterator[Item]:
    """Yields the same items, each computed in a thread while the previous one is in use.

    Only one item is made at a time, so generators of random numbers are drawn from as without the thread. What making
    an item raises is raised where it is taken.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        end = object()
        ahead = thread.submit(next, items, end)
        while (item := ahead.result()) is not end:
            ahead = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
