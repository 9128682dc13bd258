"""Size of the report and the time until a browser shows it, for several numbers of candidates.

A made-up run: sizes of all candidates, short trainings of all, stopped and full trainings of some, a baseline of two
seeds. Loading is timed in headless Chromium from navigation until the page's script has ended (``loadEventEnd``), by
the clock and in CPU seconds of the page's thread; sorting and searching from the call to the next frame.

    python -m benchmarks.system.report_page [--candidates 24 100 1000] [--tries 3] [--output FILE.csv]
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

from taurank.orchestrator.evidence import BASELINE
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report import Content, write_page
from taurank.orchestrator.scoring import make_front

FULL, SHORT, DRAWS = 40, 4, 500
COLUMNS = (
    "candidates",
    "kilobytes",
    "write_seconds",
    "load_seconds",
    "load_cpu_seconds",
    "sort_seconds",
    "search_seconds",
)
TIMED = """async work => {
    const began = performance.now();
    Function(work)();
    await new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    return (performance.now() - began) / 1000;
}"""
SEARCH = "const box = document.querySelector('#search'); box.value = '9'; box.dispatchEvent(new Event('input'))"


def made_up_content(count: int, *, seed: int = 0) -> Content:
    """What the page of a made-up run shows: every fourth candidate is stopped, and every eighth trained in full."""
    generator = np.random.default_rng(seed)
    codes = [f"net:block_{number:04d}-w{generator.integers(16, 64)}" for number in range(count)]
    quality = np.sort(generator.normal(0, 1, count))[::-1]
    finals = 1 / (1 + np.exp(-2 - 0.5 * quality))
    rows, events = [], []
    names = [
        "stage",
        "trial",
        "architecture",
        "source",
        "epoch",
        "schedule_epochs",
        "metric",
        "value",
        "seconds",
        "epochs",
    ]

    def train(stage: str, place: int, epochs: int, schedule: int, event: str, reason: str = "") -> None:
        trial = f"{stage}/{codes[place]}/seed {len(events)}"
        values = finals[place] * (1 - np.exp(-np.arange(1, epochs + 1) / 6)) + generator.normal(0, 0.005, epochs)
        for epoch, value in enumerate(values, start=1):
            row = (stage, trial, codes[place], "training", epoch, schedule, "validation_accuracy", value, 0.5, 1.0)
            rows.append(row)
        events.append((0.0, stage, trial, event, reason))

    for place, code in enumerate(codes):
        for metric, value in (("parameters", 1e6), ("flops", 1e8)):
            size = value * np.exp(0.4 * quality[place] + generator.normal(0, 0.5))
            rows.append(("size", f"size/{code}", code, "size", 0, 0, metric, size, 0.0, 0.0))
        train("training-4", place, SHORT, SHORT, "completed")
        if place % 8 == 1:
            train("training-40", place, FULL, FULL, "completed")
        elif place % 4 == 2:
            ended, last = ("stopped", "paused", "failed")[place // 4 % 3], 3 + place % 9
            train("training-40", place, last, FULL, ended, f"place {place + 1} of {count} at epoch {last}")
        for _ in range(2):
            train(BASELINE, place, FULL, FULL, "completed")
    frame = pd.DataFrame(rows, columns=names).assign(epoch_share=1.0, seed=0)
    samples = quality + generator.normal(0, 0.4, (DRAWS, count))
    ranks = (-samples).argsort(axis=1).argsort(axis=1) + 1
    table = pd.DataFrame(
        {
            "rank": np.arange(1, count + 1),
            "architecture": codes,
            "score": quality,
            "predicted_accuracy": finals,
            "accuracy_low": finals - 0.02,
            "accuracy_high": np.minimum(finals + 0.02, 1),
            "rank_low": np.quantile(ranks, 0.05, axis=0).astype(int),
            "rank_high": np.quantile(ranks, 0.95, axis=0).astype(int),
            "evidence": "size, training-4",
            "seconds": 2.0,
            "epochs": 4.0,
            "problem": "",
        }
    )
    weights = {"size": 0.2, "training-4": 0.5, "full trainings": 0.3}
    ranking = Ranking(table, samples, weights, full_trainings=max(count // 8, 3))
    events_frame = pd.DataFrame(events, columns=["time", "stage", "trial", "event", "reason"])
    own = frame[frame["stage"] != BASELINE]
    return Content(
        title="made-up",
        description=f"{count} candidates with curves that are not measured",
        names={code: code for code in codes},
        ranking=ranking,
        rows=frame,
        events=events_frame,
        full_epochs=FULL,
        tradeoff=make_front(ranking, own, "flops"),
    )


def chromium() -> str | None:
    """The browser: Debian's, or Chrome where that is not installed; None for none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def measure(counts: list[int], tries: int) -> list[dict[str, object]]:
    """One row for each number of candidates; times are medians over the tries."""
    found = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        for count in counts:
            content = made_up_content(count)
            began = time.perf_counter()
            file = write_page(Path(folder) / "report.html", content)
            written = time.perf_counter() - began
            taken = []
            for _ in range(tries):
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                tools = page.context.new_cdp_session(page)
                tools.send("Performance.enable", {"timeDomain": "threadTicks"})
                page.goto(file.as_uri(), wait_until="load")
                metrics = {found["name"]: found["value"] for found in tools.send("Performance.getMetrics")["metrics"]}
                load = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd / 1000")
                sort = page.evaluate(TIMED, "document.querySelector('th[data-key=name] button').click()")
                search = page.evaluate(TIMED, SEARCH)
                taken.append((load, metrics["TaskDuration"], sort, search))
                page.close()
            times = (round(median(each), 3) for each in zip(*taken, strict=True))
            values = (count, file.stat().st_size // 1000, round(written, 2), *times)
            found.append(dict(zip(COLUMNS, values, strict=True)))
            print(found[-1], flush=True)
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", type=int, nargs="+", default=[24, 100, 1000])
    parser.add_argument("--tries", type=int, default=3)
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    if chromium() is None:
        sys.exit("no browser: install Debian's package chromium")
    found = measure(arguments.candidates, arguments.tries)
    if arguments.output:
        with arguments.output.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(found)


if __name__ == "__main__":
    main()
