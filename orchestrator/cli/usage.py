"""What is meant where a command line cannot be read: one line with the way out, where that is clear."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

UsageError: Any = typer.BadParameter.__base__
"""Older versions of typer have it from click, newer ones from a copy of their own."""
INSTEAD = {
    "report": "a run writes report.html into its folder, taurank rank RUN writes it again, and taurank serve RUN shows "
    "it while the run works",
}
"""Words that are no commands, and what does the same."""
JOINED = "separated by commas"
"""What the help of an option says that takes several values in one text."""


class CommandLineError(ValueError):
    """A command line that cannot be read; one line with the way out."""


class Command(TyperCommand):
    """A command that says how several values of an option are written."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments.

        Raises:
            CommandLineError: several values follow an option that takes them joined by commas.
        """
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            if "extra argument" in str(error):
                self._check_joined(given)
            raise

    def _check_joined(self, given: list[str]) -> None:
        for option in self.params:
            name = next((name for name in option.opts if name in given), None)
            if name is None or JOINED not in (getattr(option, "help", None) or ""):
                continue
            values = list[str]()
            for text in given[given.index(name) + 1 :]:
                if text.startswith("-") or Path(text).exists():
                    break
                values.append(text.strip(","))
            if len(values) > 1:
                raise CommandLineError(f"{name}: join values with commas: {name} '{','.join(values)}'")


class Group(TyperGroup):
    """A group of commands that names the one for a word of ``INSTEAD``."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name.

        Raises:
            CommandLineError: there is none, and another one does the same.
        """
        if cmd_name in INSTEAD:
            raise CommandLineError(f"there is no command {cmd_name}: {INSTEAD[cmd_name]}")
        return super().get_command(ctx, cmd_name)
