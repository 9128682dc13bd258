"""The command `taurank`: its subcommands, and how mistakes are reported."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from taurank import __version__
from taurank.orchestrator.cli import (
    compare,
    data,
    extend,
    front,
    listing,
    models,
    plan,
    proxies,
    replay,
    results,
    runs,
    search,
    serve,
    status,
    tables,
    why,
)
from taurank.orchestrator.cli.terminal import Json, Quiet, Verbose, output, reporting, set_output
from taurank.orchestrator.cli.usage import Command, Group

LIBRARIES = ("torch", "torchvision", "ray", "timm")
"""Libraries whose versions matter in a report of a fault."""
# What prints help and errors looks at this variable when it is imported, and not at those of the user.
if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
    os.environ.setdefault("_TYPER_FORCE_DISABLE_TERMINAL", "1")

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Ranks neural network architectures for a tenth of what training them all costs, with uncertainty.",
)
for command in (
    runs.run,
    search.search,
    plan.plan,
    runs.resume,
    extend.extend,
    runs.rank,
    runs.score,
    results.next_,
    front.front,
    status.status,
    serve.serve,
    compare.compare,
    why.why,
    replay.replay,
    proxies.proxies,
    listing.spaces,
    models.models,
    listing.experiments,
):
    app.command(command.__name__.rstrip("_"), cls=Command)(reporting(command))
app.add_typer(tables.app, name="table")
app.add_typer(data.app, name="data")


def _print_versions(asked: bool) -> None:
    if not asked:
        return
    found = [f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            found.append(f"no {library}")
    typer.echo(f"taurank {__version__} ({', '.join(found)})")
    raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_versions, is_eager=True, help="Print the versions, and exit."),
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json_: Json = False,
) -> None:
    """Takes in the options that stand before the command; they are the same as after it."""
    set_output(quiet=quiet, verbose=verbose, as_json=json_)


def main() -> None:
    """Entry point: mistakes of the user end in one line, never in a traceback."""
    try:
        app(prog_name="taurank")
    except (ValueError, RuntimeError, OSError) as error:
        if _is_ours(error):
            if output().level == "verbose":
                traceback.print_exc()
            for line in str(error).splitlines():
                print(f"taurank: {_printable(line)}", file=sys.stderr)
            sys.exit(2)
        raise


def _printable(line: str) -> str:
    """Errors quote files, so control characters of an untrusted file are escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == "taurank"
