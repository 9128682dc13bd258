"""Makes the pictures of the interface in `docs/images` from a finished run with a baseline.

    taurank run quickstart
    python docs/site/figures.py runs/quickstart-TIME

`report.png` is a screenshot of the first screen of `report.html` by headless Chromium; `ranking.svg` and `why.svg` are
what `taurank score` and `taurank why` print. Run it again when the page or these commands change.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

IMAGES = Path(__file__).parents[1] / "images"
WIDTH, HEIGHT = 1280, 900
COLUMNS = 118
_FONT_FACE = re.compile(r"@font-face \{\{.*?\}\}\s*", re.S)
"""Rich's template loads its font from a server; without it, the browser takes its own font of equal width."""


def screenshot(page: Path, file: Path) -> None:
    """Writes the first screen of a page as PNG.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise FileNotFoundError("no Chromium on the path; install it, or make the picture elsewhere")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                browser,
                "--headless=new",
                "--no-sandbox",
                "--hide-scrollbars",
                f"--user-data-dir={profile}",
                f"--window-size={WIDTH},{HEIGHT}",
                "--virtual-time-budget=5000",
                f"--screenshot={file}",
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def terminal(words: list[str], folder: Path, file: Path) -> None:
    """Writes what a command of taurank prints in a terminal as SVG."""
    environment = os.environ | {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "taurank", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    printed = f"$ taurank {' '.join(words)}\n{done.stdout.rstrip()}"
    console.print(Text.from_ansi(printed.replace(f"{folder}{os.sep}", "")))
    shown = console.export_svg(title="taurank", code_format=_FONT_FACE.sub("", CONSOLE_SVG_FORMAT))
    file.write_text(shown, encoding="utf-8")


def main() -> None:
    """Makes all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run with a baseline")
    run = parser.parse_args().run.resolve()
    IMAGES.mkdir(exist_ok=True)
    best = pd.read_csv(run / "ranking.csv")["architecture"][0]
    folder, name = run.parent.parent, f"{run.parent.name}/{run.name}"
    terminal(["score", name], folder, IMAGES / "ranking.svg")
    terminal(["why", best, "--run", name], folder, IMAGES / "why.svg")
    screenshot(run / "report.html", IMAGES / "report.png")  # `score` has just written it


if __name__ == "__main__":
    main()
