"""The command `taurank proxies`.

Imports are inside the function: torch and Ray take seconds to import, and --help should not.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from taurank.orchestrator.cli.completion import complete_space
from taurank.orchestrator.cli.runs import Address, DataDir, Download
from taurank.orchestrator.cli.terminal import Document, make_console, make_progress_console
from taurank.orchestrator.text import print_line

if TYPE_CHECKING:
    from taurank.orchestrator.proxy_scores import Request
    from taurank.spaces import SearchSpace
    from taurank.trainables.data import ImageData


def proxies(
    space: Annotated[
        str,
        typer.Option(
            "--space",
            help="Score architectures of this space. Default: list the proxies.",
            autocompletion=complete_space,
            show_default=False,
        ),
    ] = "",
    option: Annotated[
        list[str] | None,
        typer.Option("--option", help="An option of the space, such as width=4; may be repeated.", show_default=False),
    ] = None,
    candidates: Annotated[
        str,
        typer.Option(
            "--candidates",
            help="Number to draw at random; or codes separated by commas (semicolons if codes contain commas); or all.",
            show_default=False,
        ),
    ] = "",
    data: Annotated[str, typer.Option("--data", help="Data set of the batch.", show_default=False)] = "",
    images: Annotated[
        int | None,
        typer.Option(
            "--images",
            min=2,
            help="Images in the batch. Default: 64, or half as many as an image has numbers.",
            show_default=False,
        ),
    ] = None,
    initialisations: Annotated[
        int, typer.Option("--initialisations", min=1, help="Number of initialisations over which a score is averaged.")
    ] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of candidates, batch and weights.")] = 0,
    names: Annotated[str, typer.Option("--proxies", help="Names or sets, separated by commas, or all.")] = "reference",
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=1, help="Default: one for each GPU, or else for each core.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("--output", help="CSV of all scores; an existing one is continued.")] = Path(
        "scores.csv"
    ),
    data_dir: DataDir = None,
    download: Download = False,
    address: Address = None,
) -> Document:
    """List the training-free proxies; with --space, score untrained architectures with them."""
    if not space:
        from taurank.orchestrator.proxy_scores import print_proxies
        from taurank.trainables.proxies import SETS, describe_proxy, list_proxies

        given = {"--option": option, "--candidates": candidates, "--data": data}
        unused = [name for name, value in given.items() if value]
        if unused:
            from taurank.orchestrator.proxy_scores import ProxyRequestError

            raise ProxyRequestError(f"--space is missing: {unused[0]} needs a space to score")
        print_proxies(make_console())
        return {"proxies": [asdict(describe_proxy(name)) for name in list_proxies()], "sets": SETS}
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
    return _score(request, split, workers=workers, output=output, address=address)


def _make_space(name: str, options: dict[str, Any]) -> SearchSpace:
    from taurank.orchestrator.proxy_scores import ProxyRequestError
    from taurank.spaces import SpaceError, get_space

    try:
        return get_space(name, **options)
    except SpaceError as error:
        raise ProxyRequestError(f"--space: {str(error).removeprefix('space: ')}") from None


def _score(request: Request, split: ImageData, *, workers: int | None, output: Path, address: str | None) -> Document:
    from taurank.orchestrator.proxy_scores import ScoreFile, print_scores, score_missing
    from taurank.orchestrator.session import EXIT_CODE, RunInterruptedError
    from taurank.trainables.proxies import draw_batch

    console = make_progress_console()
    file = ScoreFile(output, request.settings)
    file.read()  # refused before anything is started
    batch = draw_batch(split, images=request.images, seed=request.seed)
    try:
        score_missing(request, batch, file, console=console, workers=workers, address=address)
    except RunInterruptedError:
        print_line(console, f"interrupted; the scores so far are in {output}, the same command continues")
        raise typer.Exit(EXIT_CODE) from None
    rows = file.read()
    print_scores(make_console(), rows, request, output)
    wanted = rows["architecture"].isin(request.codes) & rows["proxy"].isin(request.names)
    return {"file": output, "scores": rows[wanted].to_dict("records")}
