"""Fuzz tests read the logs of finished runs, and call commands, as the tests of the orchestrator do."""

from tests.orchestrator.conftest import codes, finished_log, make_log, taurank  # noqa: F401
