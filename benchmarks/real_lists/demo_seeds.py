"""The demo (`taurank run quickstart`) with other seeds of the experiment, run through Ray from end to end.

The seed draws the candidates and seeds the ranker; the seed that ships is the first. The runs share one folder, so that
a training that several of them need is done once and counted in each. Earlier runs in the folder are no knowledge here.
A row per seed: tau, ceiling and retained tau of the ranking, the tau of each source alone, what was expected before the
first training and at the end, and the speed-ups. Seeds that are in the file are not run again.

    python -m benchmarks.real_lists.demo_seeds --out runs/demo
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

import taurank
from taurank.orchestrator.planning import Setting, forecast
from taurank.orchestrator.scoring import Score

FILE = Path(__file__).parent / "results" / "demo_seeds.csv"


def row(run: taurank.Run, score: Score) -> dict[str, Any]:
    """What is kept of one run."""
    experiment, best, speed = run.experiment, score.ceiling, score.speed_up
    assert best is not None
    assert speed is not None
    setting = Setting(experiment.space.name, experiment.data.name, experiment.recipe.epochs)
    before = forecast(setting, len(run.candidates), experiment.speed_up, proxies=True)
    low, high = run.ranking.expected_tau_interval
    found = {"seed": experiment.seed, "candidates": len(run.candidates), "tau": score.tau, "ceiling": best.ceiling}
    found |= {"retained": best.retained, "epochs_cheaper": speed.epochs, "seconds_cheaper": speed.seconds}
    found |= {"forecast": before.tau, "forecast_low": before.low, "forecast_high": before.high}
    found |= {"expected": run.ranking.expected_tau, "expected_low": low, "expected_high": high}
    return found | {source.name: source.agreement.tau for source in score.sources}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    shipped = taurank.load_experiment("quickstart").model_copy(update={"knowledge": None})
    rows = pd.read_csv(FILE) if FILE.is_file() else pd.DataFrame(columns=["seed"])
    for seed in sorted(set(range(shipped.seed, shipped.seed + options.seeds)) - set(rows["seed"])):
        run = taurank.run(shipped.model_copy(update={"seed": seed}), out=options.out)
        rows = pd.concat([rows, pd.DataFrame([row(run, run.score())])], ignore_index=True)
        rows.round(4).to_csv(FILE, index=False)
    print(rows.to_string(index=False))
    print(rows.drop(columns="seed").mean().round(3).to_string())


if __name__ == "__main__":
    main()
