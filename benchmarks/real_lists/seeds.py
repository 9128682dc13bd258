"""An experiment with five seeds: by default the demo (`taurank run quickstart`), whose seed 0 is the one that ships.

The seed draws the candidates and seeds the ranker. Plan, choices, ranker and score are those of `taurank run`; only Ray
is left out: all trainings run one after another in this process, which give the same numbers, and their seconds are CPU
seconds, which other work on the machine does not change. A training that several seeds need is done once and counted in
each. Trainings are kept in `NAME.jsonl` of the folder, so that an interrupted measurement continues.

A row per seed: tau, ceiling and retained tau of the ranking, what was expected before the first training and at the
end, the speed-ups, and the tau of each source alone.

With `--epochs` the same networks are trained to another full length, in a file of its own: what the demo would be.

    python -m benchmarks.real_lists.seeds --out runs/demo
    python -m benchmarks.real_lists.seeds --out runs/demo --epochs 90
    python -m benchmarks.real_lists.seeds --out runs/digits60 --experiment benchmarks/real_lists/digits60.yaml
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

import taurank
from taurank.orchestrator.candidates import measure_sizes
from taurank.orchestrator.evidence import BASELINE, COMPLETED, PROXIES, PROXY, SCORE, TRAINING, Evidence
from taurank.orchestrator.experiment import Experiment, ProxySpec, TrainingSpec
from taurank.orchestrator.planning import Setting, forecast, run_rounds
from taurank.orchestrator.ranker import Ranking
from taurank.orchestrator.report.conclusion import conclusion
from taurank.orchestrator.runs import Run, create_run, load_images
from taurank.orchestrator.scoring import Score
from taurank.spaces import Architecture
from taurank.trainables.data import ImageData
from taurank.trainables.proxies import draw_batch, score_architecture
from taurank.trainables.training import Training

RESULTS = Path(__file__).parent / "results"
SEEDS = 5


class Trainings:
    """All trainings so far, by code, length and seed: the metrics of each epoch, and CPU seconds."""

    def __init__(self, file: Path, experiment: Experiment, data: ImageData) -> None:
        self._file, self._experiment, self._data = file, experiment, data
        self._space = experiment.space.make()
        kept = map(json.loads, file.read_text().splitlines()) if file.is_file() else ()
        self._kept: dict[tuple[str, int, int], dict[str, Any]] = {tuple(one["key"]): one for one in kept}

    def of(self, code: str, epochs: int, seed: int) -> dict[str, Any]:
        """A training on a schedule of its own."""
        key = (code, epochs, seed)
        if key not in self._kept:
            self._kept[key] = self._train(*key)
            with self._file.open("a") as file:
                file.write(json.dumps(self._kept[key]) + "\n")
        return self._kept[key]

    def _train(self, code: str, epochs: int, seed: int) -> dict[str, Any]:
        data, architecture = self._data, Architecture(self._space.name, code)
        shape, classes = data.input_shape, len(data.classes)
        started = time.process_time()
        training = Training(
            lambda: self._space.build(architecture, input_shape=shape, classes=classes),
            self._experiment.short_recipe_of(code, epochs),
            data,
            seed=seed,
        )
        rows = [training.step_epoch() for _ in range(epochs)]
        return {"key": (code, epochs, seed), "seconds": time.process_time() - started, "rows": rows}

    def evidence(self, stage: str, trial: str, code: str, epochs: int, seed: int) -> Iterator[Evidence]:
        """Its rows as a trial reports them; the seconds are spread evenly over the epochs."""
        found = self.of(code, epochs, seed)
        for row in found["rows"]:
            for metric, value in row.items():
                if metric not in ("epoch", "seconds"):
                    cost = (found["seconds"] / epochs, 1.0) if metric == "validation_accuracy" else (0.0, 0.0)
                    at = int(row["epoch"]), epochs, seed
                    yield Evidence(stage, trial, code, TRAINING, *at, metric, float(value), *cost)


def book_proxies(run: Run, data: ImageData) -> float:
    """Scores all candidates with the proxies of the plan; returns their cost in epochs."""
    spec, space, spent = run.experiment.proxies, run.experiment.space.make(), 0.0
    assert isinstance(spec, ProxySpec)
    batch = draw_batch(data, images=spec.batch_images, seed=spec.seed)
    cost = spec.epochs(len(data.train)) / len(spec.names)
    for code in run.candidates:
        started = time.process_time()
        scores = score_architecture(space, Architecture(space.name, code), batch, spec.config)
        seconds = (time.process_time() - started) / len(scores)
        at = 0, 0, spec.seed, SCORE
        run.log.append(
            Evidence(PROXIES, f"{PROXIES}/{name}/{code}", code, f"{PROXY}{name}", *at, score.value, seconds, cost)
            for name, score in scores.items()
        )
        spent += cost * len(scores)
    return spent


def replayed(run: Run, data: ImageData, trainings: Trainings) -> tuple[Ranking, Score]:
    """Runs the plan of a new run in this process."""
    experiment, log = run.experiment, run.log
    assert experiment.baseline is not None
    measure_sizes(log, experiment, run.candidates, data)
    spent = book_proxies(run, data)

    def launch(spec: TrainingSpec, codes: Sequence[str]) -> None:
        for code in codes:
            log.append(trainings.evidence(spec.stage, f"{spec.stage}/{code}", code, spec.epochs, spec.seed))

    budget = len(run.candidates) * experiment.recipe.epochs / run.speed_up - spent
    run_rounds(run.ranker, experiment.trainings or [], launch=launch, budget_epochs=budget, adaptive=True)
    ranking = run.rank()
    for seed in experiment.baseline.seeds:
        for code in run.candidates:
            trial = f"{BASELINE}/{code}/seed {seed}"
            log.append(trainings.evidence(BASELINE, trial, code, experiment.recipe.epochs, seed))
            log.append_event(BASELINE, trial, COMPLETED)
    return ranking, run.score(ranking, None)


def row(run: Run, ranking: Ranking, score: Score) -> dict[str, Any]:
    """What is kept of one seed."""
    experiment, best, speed = run.experiment, score.ceiling, score.speed_up
    assert best is not None
    assert speed is not None
    setting = Setting(experiment.space.name, experiment.data.name, experiment.recipe.epochs)
    before = forecast(setting, len(run.candidates), run.speed_up, proxies=True)
    low, high = ranking.expected_tau_interval
    found = {"seed": experiment.seed, "candidates": len(run.candidates), "tau": score.tau, "ceiling": best.ceiling}
    found |= {"retained": best.retained, "epochs_cheaper": speed.epochs, "seconds_cheaper": speed.seconds}
    found |= {"forecast": before.tau, "forecast_low": before.low, "forecast_high": before.high}
    found |= {"expected": ranking.expected_tau, "expected_low": low, "expected_high": high}
    return found | {source.name: source.agreement.tau for source in score.sources}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", default="quickstart", help="file, or name of one that comes with taurank")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs and the trainings")
    parser.add_argument("--seeds", type=int, nargs="+", default=range(SEEDS))
    parser.add_argument("--epochs", type=int, help="length of full training; by default that of the experiment")
    options = parser.parse_args()
    torch.set_num_threads(1)
    # Runs of the other seeds are no earlier knowledge.
    shipped = taurank.load_experiment(options.experiment).model_copy(update={"knowledge": None})
    name = shipped.name
    if options.epochs:
        name += f"_{options.epochs}_epochs"
        shipped = shipped.model_copy(update={"recipe": shipped.recipe.of_length(options.epochs)})
    data = load_images(shipped.data, root=None, download=False)
    options.out.mkdir(parents=True, exist_ok=True)
    trainings, rows = Trainings(options.out / f"{name}.jsonl", shipped, data), []
    for seed in options.seeds:
        run = create_run(shipped.model_copy(update={"seed": seed}), options.out, data)
        ranking, score = replayed(run, data, trainings)
        rows.append(row(run, ranking, score))
        evidence = run.log.evidence()
        spent = evidence.loc[evidence["stage"] != BASELINE, "epochs"].sum()
        share = float(spent) / (shipped.recipe.epochs * len(run.candidates))
        print(f"seed {seed}: {conclusion(ranking, score, run.names, share=share)}", flush=True)
    table = pd.DataFrame(rows)
    table.round(4).to_csv(RESULTS / f"seeds_{name}.csv", index=False)
    print(table.round(3).to_string(index=False))
    print(table.drop(columns="seed").mean().round(3).to_string())


if __name__ == "__main__":
    main()
