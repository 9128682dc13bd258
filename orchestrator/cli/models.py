"""The command `taurank models`.

Imports are inside the function: torch takes seconds to import, and --help should not.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from taurank.orchestrator.cli.terminal import Document, EndWithDocument, make_console, make_progress_console
from taurank.orchestrator.text import progress_bar


def models(
    patterns: Annotated[
        list[str],
        typer.Argument(
            metavar="PATTERN...",
            help="Names and patterns, such as 'timm:convnext*', torchvision:resnet18, my_module:make.",
            show_default=False,
        ),
    ],
    size: Annotated[
        int | None,
        typer.Option(
            "--size", min=1, help="Side of the images. Default: the native size of each model.", show_default=False
        ),
    ] = None,
    channels: Annotated[int, typer.Option("--channels", min=1, help="Number of channels of the images.")] = 3,
    classes: Annotated[int, typer.Option("--classes", min=2, help="Number of classes.")] = 1000,
) -> Document:
    """List models by name with family, parameters, FLOPs and depth; nothing is downloaded, no weights are created.

    The exit status is 2 if a model that is named in full cannot be used; the others are listed all the same.
    """
    from taurank.orchestrator.experiment import split_names
    from taurank.orchestrator.report import Row, print_models
    from taurank.spaces import Architecture, KeptSizes, SpaceError, Zoo

    space, named = Zoo(), set[str]()
    wanted: dict[str, Architecture | str] = {}  # a model, or why a name stands for none
    for name in split_names(patterns):
        try:
            matched = space.match(name)
            named |= {name} if matched is None else set()
            wanted |= {one.code: one for one in ([space.parse(name)] if matched is None else matched)}
        except SpaceError as error:
            named.add(name)
            wanted[name] = str(error).removeprefix("code: ")
    rows = []
    with progress_bar("sizing models", console=make_progress_console()) as progress, KeptSizes() as sizes:
        for done, (code, model) in enumerate(wanted.items()):
            progress(done, len(wanted))
            if isinstance(model, str):
                rows.append(Row(code, problem=model))
                continue
            try:
                shape = space.usual_shape(model) if size is None else (channels, size, size)
                found, family = sizes.measure(space, model, input_shape=(channels, *shape[1:]), classes=classes)
            except SpaceError as error:
                rows.append(Row(code, problem=str(error)))
                continue
            rows.append(Row(code, family, f"{shape[1]}x{shape[2]}", found.parameters, found.flops, found.depth))
    print_models(make_console(), rows)
    document = {"models": [asdict(row) for row in rows]}
    if any(row.problem and row.code in named for row in rows):
        raise EndWithDocument(2, document)
    return document
