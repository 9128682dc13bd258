"""What every command has in common: `--quiet`, `--verbose`, `--json`, and the consoles that follow them."""

from __future__ import annotations

import inspect
import json
import logging
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Literal, TypeAlias

import typer

from taurank.orchestrator import text
from taurank.orchestrator.text import Console, as_json

Document: TypeAlias = dict[str, Any]
"""What a command has found; `--json` prints it."""
INTERRUPTED = 130

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Print also what is read from where, what Ray logs, and tracebacks.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else; progress goes to stderr.")]


@dataclass(frozen=True)
class Output:
    """How much is printed, and in which form."""

    level: Literal["quiet", "normal", "verbose"] = "normal"
    json: bool = False


_output: ContextVar[Output] = ContextVar("output")


def output() -> Output:
    """What the options of the command line ask for."""
    return _output.get(Output())


def set_output(*, quiet: bool, verbose: bool, as_json: bool, base: Output | None = None) -> Output:
    """Takes in the options of one place, on top of those that stand before the command."""
    base = base or Output()
    if quiet and verbose:
        raise typer.BadParameter("--quiet and --verbose: give one of the two")
    found = Output("quiet" if quiet else "verbose" if verbose else base.level, as_json or base.json)
    _output.set(found)
    level = {"quiet": logging.ERROR, "normal": logging.WARNING, "verbose": logging.INFO}[found.level]
    logger = logging.getLogger("taurank")
    logger.setLevel(level)
    logger.handlers = [logging.StreamHandler(sys.stderr)] if found.level == "verbose" else []
    return found


def make_console() -> Console:
    """For what a command has found; silent where it is printed as JSON."""
    return text.make_console(quiet=output().json)


def make_progress_console() -> Console:
    """For progress and remarks: silent if quiet is asked for, and on the standard error beside JSON."""
    return text.make_console(stderr=output().json, quiet=output().level == "quiet")


class EndWithDocument(typer.Exit):
    """Ends a command with an exit status, and with what it returns where JSON is asked for."""

    def __init__(self, code: int, document: Document) -> None:
        super().__init__(code)
        self.document = document


def reporting(command: Callable[..., Document | None]) -> Callable[..., None]:
    """Gives a command the common options, and prints what it returns where JSON is asked for.

    Its own output, that of the libraries and of the user's modules goes to the standard error then.
    """

    @wraps(command)
    def run(*arguments: Any, quiet: bool, verbose: bool, json_: bool, **options: Any) -> None:
        asked = set_output(quiet=quiet, verbose=verbose, as_json=json_, base=output())
        try:
            if not asked.json:
                command(*arguments, **options)
                return
            stdout, code = sys.stdout, 0
            with redirect_stdout(sys.stderr):
                try:
                    document = command(*arguments, **options)
                except EndWithDocument as end:
                    document, code = end.document, end.exit_code
            print(json.dumps(as_json(document), indent=2, allow_nan=False), file=stdout)
            if code:
                raise typer.Exit(code)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    signature = inspect.signature(command, eval_str=True)
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
        for name, annotation in (("quiet", Quiet), ("verbose", Verbose), ("json_", Json))
    ]
    parameters = [*signature.parameters.values(), *common]
    run.__signature__ = signature.replace(parameters=parameters, return_annotation=None)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
