"""The command `taurank proxies`.

It imports what it needs itself: torch and Ray take seconds, and --help should not.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taurank.orchestrator.cli.runs import Address, DataDir, Download
from taurank.orchestrator.cli.terminal import make_console

if TYPE_CHECKING:
    from taurank.orchestrator.proxy_scores import Request
    from taurank.spaces import SearchSpace
    from taurank.trainables.data import ImageData


def proxies(
    space: Annotated[
        str,
        typer.Option(
            "--space", help="Score architectures of this space. Default: list the proxies.", show_default=False
        ),
    ] = "",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="Of the space, as width=4; may be given several times.", show_default=False),
    ] = None,
    candidates: Annotated[
        str,
        typer.Option(
            "--candidates",
            help="How many, drawn at random; or codes with commas (semicolons if codes have commas); or all.",
            show_default=False,
        ),
    ] = "",
    data: Annotated[
        str, typer.Option("--data", help="Data set that the batch is drawn from.", show_default=False)
    ] = "",
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            min=2,
            help="In the batch. Default: 64, or half as many as an image has numbers.",
            show_default=False,
        ),
    ] = None,
    initialisations: Annotated[
        int, typer.Option("--initialisations", min=1, help="Draws of the weights that a score is the mean of.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of candidates, batch and weights.")] = 0,
    names: Annotated[str, typer.Option("--proxies", help="Names or sets with commas, or all.")] = "reference",
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Default: one for each GPU, or else for each core.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="CSV of all scores; goes on where it ends.")] = Path(
        "scores.csv"
    ),
    data_dir: DataDir = None,
    download: Download = False,
    address: Address = None,
) -> None:
    """List the training-free proxies; with --space, score architectures by them without training any."""
    if not space:
        from taurank.orchestrator.proxy_scores import print_proxies

        given = {"--option": option, "--candidates": candidates, "--data": data}
        unused = [name for name, value in given.items() if value]
        if unused:
            from taurank.orchestrator.proxy_scores import ProxyRequestError

            raise ProxyRequestError(f"--space is missing: {unused[0]} says what of a space is scored")
        print_proxies(make_console())
        return
    from taurank.orchestrator.proxy_scores import (
        ProxyRequestError,
        Request,
        read_candidates,
        read_images,
        read_names,
        read_options,
    )
    from taurank.trainables.proxies import batch_size

    for name, value in (("--candidates", candidates), ("--data", data)):
        if not value:
            raise ProxyRequestError(f"{name} is missing: give e.g. --candidates 100 --data cifar10")
    chosen = read_names(names)
    made = _make_space(space, read_options(option or []))
    codes = read_candidates(made, candidates, seed)
    split = read_images(data, root=data_dir, download=download)
    in_batch = images or batch_size(math.prod(split.input_shape))
    request = Request(made, codes, data, in_batch, initialisations, seed, chosen)
    _score(request, split, workers=workers, output=output, address=address)


def _make_space(name: str, options: dict[str, Any]) -> SearchSpace:
    from taurank.orchestrator.proxy_scores import ProxyRequestError
    from taurank.spaces import SpaceError, get_space

    try:
        return get_space(name, **options)
    except SpaceError as error:
        raise ProxyRequestError(f"--space: {str(error).removeprefix('space: ')}") from None


def _score(request: Request, split: ImageData, *, workers: int | None, output: Path, address: str | None) -> None:
    from taurank.orchestrator.proxy_scores import ScoreFile, print_scores, score_missing
    from taurank.orchestrator.session import EXIT_CODE, RunInterruptedError
    from taurank.trainables.proxies import draw_batch

    console = make_console()
    file = ScoreFile(output, request.settings)
    file.read()  # refused before anything is started
    batch = draw_batch(split, images=request.images, seed=request.seed)
    try:
        score_missing(request, batch, file, console=console, workers=workers, address=address)
    except RunInterruptedError:
        line = f"interrupted; what was scored is in {output}, the same command goes on"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(EXIT_CODE) from None
    print_scores(console, file.read(), request, output)
