"""The command `taurank models`.

Imports are inside the function: torch takes seconds to import, and --help should not.
"""

from __future__ import annotations

from typing import Annotated

import typer

from taurank.orchestrator.cli.terminal import make_console


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
) -> None:
    """List models by name with family, parameters and FLOPs; nothing is downloaded, no weights are created."""
    from rich.progress import track

    from taurank.orchestrator.report import Row, print_models
    from taurank.spaces import SpaceError, Zoo, measure_size

    console = make_console()
    space = Zoo(models=patterns)
    rows = []
    for architecture in track(
        list(space.enumerate()), console=console, transient=True, disable=not console.is_terminal
    ):
        shape = space.usual_shape(architecture) if size is None else (channels, size, size)
        try:
            found = measure_size(space, architecture, input_shape=(channels, *shape[1:]), classes=classes)
            images = f"{shape[1]}x{shape[2]}"
            family = space.family(architecture)
            rows.append(Row(architecture.code, family, images, found.parameters, found.flops))
        except SpaceError as error:
            rows.append(Row(architecture.code, problem=str(error)))
    print_models(console, rows)
