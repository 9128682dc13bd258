"""What a ranking of 100 small networks on ImageNet costs by `taurank plan`, from published speeds of training.

Plans `imagenet_mobile.yaml` for two devices: an RTX 3090, with the speed of every candidate as timm's table of training
benchmarks states it, and an A100, with the one of EfficientNet-B0 that NVIDIA states, from which the other candidates
are scaled by FLOPs. Nothing is trained, and ImageNet is not needed. The table of timm also says how far scaled speeds
are off: each candidate is scaled from EfficientNet-B0, and from the nearest in FLOPs of all others.

Writes `imagenet_plan.csv` (the stages on each device) and `stated_speeds.csv` (seconds of 1000 images of each
candidate, as stated and as scaled, and by what factor these are off, 1 or more).

    python -m benchmarks.system.imagenet_plan
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from taurank.orchestrator.campaigns import plan_ahead
from taurank.orchestrator.experiment import load_experiment
from taurank.orchestrator.planning import Outlook, training_epochs
from taurank.orchestrator.report import print_outlook
from taurank.orchestrator.text import make_console
from taurank.spaces import Architecture, get_space, measure_size

HERE = Path(__file__).parent
EXPERIMENT = HERE / "imagenet_mobile.yaml"
TABLE = "timm/benchmark-train-amp-nhwc-pt112-cu113-rtx3090.csv.gz"
"""Below the folder of the data sets; from the folder `results` of huggingface/pytorch-image-models."""
A100 = ("timm:efficientnet_b0", 2489)
"""Images per second with mixed precision on one A100 of 80 GB: NVIDIA DeepLearningExamples,
PyTorch/Classification/ConvNets/efficientnet/README.md, "Training performance", container 21.03."""


def stages(device: str, outlook: Outlook) -> list[dict[str, object]]:
    """One row a stage, and the total."""
    request, chosen = outlook.request, outlook.chosen.stages
    hours = request.epoch_seconds / 3600
    rows = [("proxies", request.candidates, 0, chosen.proxies)] if chosen.proxies else []
    for spec in chosen.trainings:
        kind = "full trainings" if spec.is_full(request.setting.full_epochs) else "short trainings"
        many = request.candidates if spec.candidates == "all" else spec.candidates
        rows.append((kind, many, spec.last_epoch, training_epochs(spec, request.candidates)))
    rows.append(("evidence in all", request.candidates, 0, outlook.epochs(chosen)))
    rows.append(("full training of all", request.candidates, request.setting.full_epochs, request.whole))
    return [
        {"device": device, "stage": stage, "number": number, "epochs_each": each, "epochs": epochs,
         "share_of_full": epochs / request.whole, "gpu_hours": epochs * hours,
         "days_of_8_gpus": epochs * hours / (8 * 24)}
        for stage, number, each, epochs in rows
    ]  # fmt: skip


def scaled_speeds(table: pd.DataFrame, codes: Sequence[str]) -> pd.DataFrame:
    """Seconds of 1000 images of each candidate: as stated, scaled from one model, and from the nearest other one."""
    space, speeds = get_space("zoo"), table.set_index("model")
    rows = []
    for code in codes:
        stated = speeds.loc[code.removeprefix("timm:")]
        size = measure_size(space, Architecture("zoo", code), input_shape=(3, 224, 224), classes=1000)
        seconds = 1000 / stated["train_samples_per_sec"] * (224 / stated["train_img_size"]) ** 2
        rows.append({"model": code, "megaflops": size.flops / 1e6, "seconds_stated": seconds})
    found = pd.DataFrame(rows)
    per_flop = found["seconds_stated"] / found["megaflops"]
    found["seconds_from_one"] = found["megaflops"] * per_flop[found["model"] == A100[0]].item()
    nearest = [
        (found["megaflops"].drop(place) / size - 1).abs().idxmin() for place, size in enumerate(found["megaflops"])
    ]
    found["seconds_from_nearest"] = found["megaflops"] * per_flop[nearest].to_numpy()
    for scaled in ("from_one", "from_nearest"):
        off = found[f"seconds_{scaled}"] / found["seconds_stated"]
        found[f"factor_{scaled}"] = off.where(off > 1, 1 / off)
    return found.assign(kind="small networks of timm")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=None, help="default: $TAURANK_DATA")
    options = parser.parse_args(arguments)
    file = Path(options.data_dir or os.environ.get("TAURANK_DATA") or "data") / TABLE
    experiment, rows = load_experiment(str(EXPERIMENT)), []
    for device, speed in (("RTX 3090", str(file)), ("A100", f"{A100[0]}={A100[1]}")):
        outlook, notes = plan_ahead(experiment, speeds=[speed])
        print_outlook(make_console(), outlook, notes=notes)
        rows += stages(device, outlook)
    results = HERE / "results"
    pd.DataFrame(rows).round(4).to_csv(results / "imagenet_plan.csv", index=False)

    named, matched = experiment.listed()
    found = scaled_speeds(pd.read_csv(file), [*named, *matched])
    found.round(4).to_csv(results / "stated_speeds.csv", index=False)
    for scaled in ("from_one", "from_nearest"):
        factor, whole = found[f"factor_{scaled}"], found[f"seconds_{scaled}"].sum() / found["seconds_stated"].sum()
        print(
            f"{scaled}: off by a factor of {factor.median():.2f} (median), one in ten by more than "
            f"{factor.quantile(0.9):.2f}; the sum of all is {whole:.2f} times the stated one"
        )


if __name__ == "__main__":
    main()
