"""Commands that list spaces and experiments.

Commands import what they need themselves, and no torch: its import alone takes more than a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from taurank.orchestrator.cli.completion import complete_space
from taurank.orchestrator.cli.terminal import Document, make_console
from taurank.orchestrator.text import MiddleElided, print_line

if TYPE_CHECKING:
    from taurank.spaces import SearchSpace


def spaces(
    pattern: Annotated[
        str,
        typer.Argument(
            help="Names to list, with * and ?; or your own space as module:Class.", autocompletion=complete_space
        ),
    ] = "*",
) -> Document:
    """List the search spaces: size, options and their defaults, features, supernet, an example."""
    from rich.table import Table

    from taurank.spaces import SpaceError, get_space, list_spaces
    from taurank.trainables.supernet import list_supernets

    names = [pattern] if ":" in pattern else list_spaces(pattern)
    if not names:
        raise SpaceError(f"no space matches {pattern!r}; known: {', '.join(list_spaces())}")
    found: list[Document] = []
    table = Table(box=None, pad_edge=False)
    for heading in ("space", "architectures"):
        table.add_column(heading, no_wrap=True)
    for heading in ("features", "supernet"):
        table.add_column(heading, no_wrap=True)
    table.add_column("example")
    for name in names:
        space = get_space(name)
        size = None if space.foreign else space.size
        features, supernet, example = len(space.feature_names), name in list_supernets(), _example(space)
        found.append(
            {
                "name": name,
                "architectures": size,
                "options": space.options,
                "features": features,
                "supernet": supernet,
                "example": example,
            }
        )
        table.add_row(
            name,
            "by name" if space.foreign else _count(size),
            str(features),
            "yes" if supernet else "no",
            MiddleElided(example),
        )
    console = make_console()
    console.print(table)
    console.print()
    for one in found:
        options = ", ".join(f"{key}={value}" for key, value in one["options"].items())
        print_line(console, f"options of {one['name']}: {options or 'none'}", wrap=True)
    return {"spaces": found}


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


def experiments() -> Document:
    """List the experiments that come with taurank."""
    from rich.markup import escape
    from rich.table import Table

    from taurank.orchestrator.experiment import experiment_description, list_experiments

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    found = {name: experiment_description(name) for name in list_experiments()}
    for name, description in found.items():
        table.add_row(name, escape(description))
    make_console().print(table)
    return {"experiments": [{"name": name, "description": text} for name, text in found.items()]}
