"""The command line: taurank run | plan | resume | rank | score | why | replay | proxies | spaces | ..."""

from taurank.orchestrator.cli.entry import app, main

__all__ = ["app", "main"]
