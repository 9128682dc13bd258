"""Commands on packed images: data pack, data check.

Imports are inside the functions: OpenCV takes long to import, and --help should not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from taurank.orchestrator.cli.terminal import (
    INTERRUPTED,
    Document,
    EndWithDocument,
    make_console,
    make_progress_console,
    reporting,
)
from taurank.orchestrator.text import counted, print_line, progress_bar

SHOWN = 5
DAMAGED = 1
"""Exit status where a file has damaged images."""

app = typer.Typer(no_args_is_help=True, help="Packed images: one file of JPEGs for a large data set.")


@app.command()
@reporting
def pack(
    source: Annotated[str, typer.Argument(help="imagenet:PATH, folder:PATH or folder:FILE.csv.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="The file to write.", show_default=False)],
    short_side: Annotated[
        int | None,
        typer.Option(
            "--short-side",
            min=1,
            help="Pixels that the short side of larger images is brought to. Default: 256.",
            show_default=False,
        ),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option("--quality", min=1, max=100, help="Quality of the JPEGs. Default: 90.", show_default=False),
    ] = None,
    as_is: Annotated[bool, typer.Option("--as-is", help="Pack the files as they are.")] = False,
) -> Document:
    """Pack image files into one file, which --data packed:FILE then names.

    After an interruption the same command continues.
    """
    from taurank.trainables.data import DataError, Packing, pack_images

    given = {name: value for name, value in (("short_side", short_side), ("quality", quality)) if value is not None}
    if as_is and given:
        raise DataError(f"--as-is: files are not changed; omit --{next(iter(given)).replace('_', '-')}")
    packing = Packing(None) if as_is else Packing(**given)
    there = out.exists()
    console = make_progress_console()
    try:
        with progress_bar("packing images", console=console, rate="images/s") as progress:
            index = pack_images(source, out, packing, progress=progress)
    except KeyboardInterrupt:
        print_line(console, "interrupted; the same command continues")
        raise typer.Exit(INTERRUPTED) from None
    for line in index.noted["lines"]:
        print_line(console, line)
    images, size = len(index.rows), out.stat().st_size
    packed = f"{'was there already: ' if there else ''}{counted(images, 'image')}"
    in_bytes = f"{size / 1e9:,.2f} GB" if size >= 1e9 else f"{size / 1e6:,.2f} MB"
    print_line(
        console,
        f"{out}: {packed} of {len(index.noted['classes']):,} classes, {in_bytes};"
        f" use it with --data packed:{out}, or data: {{name: packed:{out}, size: ...}} in a file",
    )
    return {"file": out, "was_there": there, "images": images, "bytes": size, **_document(index.noted)}


def _document(noted: dict[str, Any]) -> Document:
    return {name: value for name, value in noted.items() if name != "later_lines"}


@app.command()
@reporting
def check(file: Annotated[Path, typer.Argument(help="A file of packed images.", show_default=False)]) -> Document:
    """Check that all images of a file are those that were packed, by their checksums."""
    from taurank.trainables.data import check_pack

    with progress_bar("checking images", console=make_progress_console(), rate="images/s") as progress:
        images, damaged = check_pack(file, progress=progress)
    console, document = make_console(), {"file": file, "images": images, "damaged": damaged}
    if not damaged:
        print_line(console, f"{file}: {counted(images, 'image')}, all as they were packed")
        return document
    for line in damaged[:SHOWN]:
        print_line(console, line)
    print_line(console, f"{file}: {len(damaged):,} of {counted(images, 'image')} are damaged; pack the images again")
    raise EndWithDocument(DAMAGED, document)
