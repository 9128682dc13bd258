"""The command `taurank`: its subcommands, and how mistakes are reported."""

from __future__ import annotations

import sys

import typer

from taurank.orchestrator.cli import (
    extend,
    front,
    listing,
    models,
    plan,
    proxies,
    replay,
    runs,
    search,
    status,
    tables,
    why,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
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
    front.front,
    status.status,
    why.why,
    replay.replay,
    proxies.proxies,
    listing.spaces,
    models.models,
    listing.experiments,
):
    app.command()(command)
app.add_typer(tables.app, name="table")


def main() -> None:
    """Entry point: mistakes of the user end in one line, never in a traceback."""
    try:
        app(prog_name="taurank")
    except (ValueError, RuntimeError, OSError) as error:
        if _is_ours(error):
            for line in str(error).splitlines():
                print(f"taurank: {_printable(line)}", file=sys.stderr)
            sys.exit(2)
        raise


def _printable(line: str) -> str:
    """Errors quote files, so control characters of an untrusted file are escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in line)


def _is_ours(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == "taurank"
