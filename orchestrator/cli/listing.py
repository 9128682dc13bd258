"""Commands that list spaces and experiments.

Commands import what they need themselves, and no torch: its import alone takes more than a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from taurank.orchestrator.cli.terminal import make_console

if TYPE_CHECKING:
    from taurank.spaces import SearchSpace


def spaces(
    pattern: Annotated[
        str, typer.Argument(help="Names to list, with * and ?; or your own space as module:Class.")
    ] = "*",
) -> None:
    """List the search spaces: size, options and their defaults, features, supernet, an example."""
    from rich.table import Table

    from taurank.spaces import SpaceError, get_space, list_spaces
    from taurank.trainables.supernet import list_supernets

    names = [pattern] if ":" in pattern else list_spaces(pattern)
    if not names:
        raise SpaceError(f"no space matches {pattern!r}; known: {', '.join(list_spaces())}")
    table = Table(box=None, pad_edge=False)
    for heading in ("space", "architectures", "options (defaults)", "features", "supernet", "example"):
        table.add_column(heading, overflow="fold")
    for name in names:
        space = get_space(name)
        table.add_row(
            name,
            "by name" if space.foreign else _count(space.size),
            ", ".join(f"{key}={value}" for key, value in space.options.items()),
            str(len(space.feature_names)),
            "yes" if name in list_supernets() else "no",
            _example(space),
        )
    make_console().print(table)


def _example(space: SearchSpace) -> str:
    """A code of the space. Models of others are not listed for it: their libraries take seconds to import."""
    import numpy as np

    if space.foreign:
        return "torchvision:resnet18"
    return space.sample(1, np.random.default_rng(0), distinct="code")[0].code


def _count(size: int | None) -> str:
    if size is None:
        return "unlisted"
    return f"{size:,}" if size < 1e9 else f"{size:.1e}"


def experiments() -> None:
    """List the experiments that come with taurank."""
    from rich.table import Table

    from taurank.orchestrator.experiment import experiment_description, list_experiments

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name in list_experiments():
        table.add_row(name, experiment_description(name))
    make_console().print(table)
