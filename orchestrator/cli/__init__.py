"""The command line: taurank run | plan | resume | rank | score | why | replay | spaces | experiments | table."""

from orchestrator.cli.entry import app, main

__all__ = ["app", "main"]
