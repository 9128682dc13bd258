"""``python -m taurank``: the same as the command ``taurank``."""

from taurank.orchestrator.cli import main

main()
