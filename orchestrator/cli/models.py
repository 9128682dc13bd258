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
    """List models by name with family, parameters and FLOPs; nothing is downloaded, no weights are created.

    The exit status is 2 if a model that is named in full cannot be used; the others are listed all the same.
    """
    from rich.progress import track

    from taurank.orchestrator.experiment import split_names
    from taurank.orchestrator.report import Row, print_models
    from taurank.spaces import Architecture, SpaceError, Zoo, measure_size

    console = make_console()
    space, named = Zoo(), set[str]()
    found: dict[str, Architecture | str] = {}  # a model, or why a name stands for none
    for name in split_names(patterns):
        try:
            matched = space.match(name)
            named |= set() if matched is not None else {name}
            found |= {one.code: one for one in ([space.parse(name)] if matched is None else matched)}
        except SpaceError as error:
            named.add(name)
            found[name] = str(error).removeprefix("code: ")
    rows = []
    for code, model in track(list(found.items()), console=console, transient=True, disable=not console.is_terminal):
        if isinstance(model, str):
            rows.append(Row(code, problem=model))
            continue
        try:
            shape = space.usual_shape(model) if size is None else (channels, size, size)
            sized = measure_size(space, model, input_shape=(channels, *shape[1:]), classes=classes)
            images = f"{shape[1]}x{shape[2]}"
            rows.append(Row(code, space.family(model), images, sized.parameters, sized.flops))
        except SpaceError as error:
            rows.append(Row(code, problem=str(error)))
    print_models(console, rows)
    if any(row.problem and row.code in named for row in rows):
        raise typer.Exit(2)
