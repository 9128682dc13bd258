"""Commands that list spaces and experiments.

Imports are inside the functions: torch takes seconds to import, and --help should not.
"""

from __future__ import annotations

from typing import Annotated

import typer

from taurank.orchestrator.cli.terminal import make_console


def spaces(
    pattern: Annotated[
        str, typer.Argument(help="Names to list, with * and ?; or your own space as module:Class.")
    ] = "*",
) -> None:
    """List the search spaces: size, options and their defaults, features, supernet, an example."""
    import numpy as np
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
            _count(space.size),
            ", ".join(f"{key}={value}" for key, value in space.options.items()),
            str(len(space.feature_names)),
            "yes" if name in list_supernets() else "no",
            space.sample(1, np.random.default_rng(0))[0].code,
        )
    make_console().print(table)


def _count(size: int | None) -> str:
    if size is None:
        return "unlisted"
    return f"{size:,}" if size < 1e9 else f"{size:.1e}"


def experiments() -> None:
    """List the experiments that come with taurank."""
    from rich.table import Table

    from taurank.orchestrator.experiment import list_experiments, load_experiment

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name in list_experiments():
        table.add_row(name, load_experiment(name).description)
    make_console().print(table)
