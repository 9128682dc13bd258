"""The command `taurank models`.

Imports are inside the function: torch takes seconds to import, and --help should not.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console
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
    """List models by name with family, parameters and FLOPs; nothing is downloaded, no weights are created."""
    from taurank.orchestrator.report import Row, print_models
    from taurank.spaces import KeptSizes, SpaceError, Zoo

    space = Zoo(models=patterns)
    rows = []
    architectures = list(space.enumerate())
    with progress_bar("sizing models", console=make_progress_console()) as progress, KeptSizes() as sizes:
        for done, architecture in enumerate(architectures):
            progress(done, len(architectures))
            shape = space.usual_shape(architecture) if size is None else (channels, size, size)
            try:
                found, family = sizes.measure(space, architecture, input_shape=(channels, *shape[1:]), classes=classes)
            except SpaceError as error:
                rows.append(Row(architecture.code, problem=str(error)))
                continue
            images = f"{shape[1]}x{shape[2]}"
            rows.append(Row(architecture.code, family, images, found.parameters, found.flops))
    print_models(make_console(), rows)
    return {"models": [asdict(row) for row in rows]}
