"""What feeding GPUs with ImageNet takes, from the measured speed of packed images and published speeds of training.

Computed, not measured: cores are the images that a GPU trains in a second, as published, over the images that one core
made into batches in a second (medians of `packed_images.csv`); the disk delivers each image once, which holds for the
first epoch, and for all if memory has no room for the file; memory is the size of all 1.28 million images. Images as
they are have the mean size of those of ImageNet, which is above that of the synthetic ones. Cores of the network,
of the optimiser and of copies to the GPU are not counted.

Writes `imagenet_costs.csv`.

    python -m benchmarks.system.imagenet_costs
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.system.packed_images import AS_IS, SMALLER
from taurank.trainables.data import published_images

RESULTS = Path(__file__).parent / "results"
ARCHIVE_BYTES = 147_897_477_120
"""Of ILSVRC2012_img_train.tar."""
GPUS = 8
NVIDIA = "NVIDIA DeepLearningExamples, mixed precision, container 21.03"
NEEDED = (
    ("ResNet-50", "A100 80GB", 2470, NVIDIA),
    ("ResNet-50", "V100 32GB", 1156, NVIDIA),
    ("EfficientNet-B0", "A100 80GB", 2489, NVIDIA),
    ("ResNet-50", "RTX 3090", 1218.01, "timm, benchmark-train-amp-nhwc-pt112-cu113-rtx3090"),
    ("MobileNetV3-Large", "RTX 3090", 2732.43, "timm, benchmark-train-amp-nhwc-pt112-cu113-rtx3090"),
)
"""Network, GPU, images per second of training on one of them, and where that is stated."""


def main() -> None:
    whole = published_images("imagenet:PATH")
    assert whole is not None
    table = pd.read_csv(RESULTS / "packed_images.csv")
    speed = table[(table["part"] == "speed") & (table["at_once"] == 1)]
    per_core = speed.groupby("way")["images_per_core_second"].median()
    packing = table[table["part"] == "packing"].set_index("way")["kilobytes_of_an_image"]
    as_it_is = ARCHIVE_BYTES / whole.train / 1000
    kilobytes = {AS_IS: as_it_is, SMALLER: packing[SMALLER], "torchvision": as_it_is}
    rows = [
        {
            "network": network, "gpu": gpu, "images_per_second": needed, "way": way,
            "images_per_core_second": per_core[way], "cores_per_gpu": needed / per_core[way],
            "cores_of_8_gpus": GPUS * needed / per_core[way], "disk_mb_per_second": GPUS * needed * each / 1000,
            "memory_gb": whole.train * each / 1e6, "source": source,
        }
        for network, gpu, needed, source in NEEDED
        for way, each in kilobytes.items()
    ]  # fmt: skip
    found = pd.DataFrame(rows).round(1)
    found.to_csv(RESULTS / "imagenet_costs.csv", index=False)
    print(found.drop(columns="source").to_string(index=False))


if __name__ == "__main__":
    main()
