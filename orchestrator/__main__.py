"""``python -m orchestrator`` is the command ``taurank``."""

from orchestrator.cli import main

main()
