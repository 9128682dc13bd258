"""Writes `spaces/zoo/timm_top1.csv`: the published ImageNet top-1 accuracy of timm's models, one row a model.

    python -m benchmarks.system.published_top1 /path/to/results-imagenet.csv.gz

The input is `results/results-imagenet.csv` of pytorch-image-models (Apache-2.0). A model has a row for each of its
trained weights and each size of images. Here all models start untrained, so weights that saw more than ImageNet-1k
(larger sets of images, text, or a teacher that saw them) are left out: they say more about those images than about the
architecture. Of what is left the best result is kept, with the size of its images.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd

OUT = Path(__file__).resolve().parents[2] / "spaces" / "zoo" / "timm_top1.csv"
MORE_IMAGES = re.compile(r"in12k|in21k|in22k|jft|ig1b|yfcc|swag|seer|laion|openai|clip|webli|m30m|m38m|ssld")
"""Tags of weights that saw other images than those of ImageNet-1k."""


def published(results: pd.DataFrame) -> pd.DataFrame:
    """Best top-1 accuracy in percent by model, with the size of the images."""
    name, tag = (results["model"].str.partition(".")[part] for part in (0, 2))
    rows = results.assign(name=name)[~tag.str.contains(MORE_IMAGES)]
    best = rows.sort_values(["top1", "img_size"], ascending=[False, True]).drop_duplicates("name")
    return best.sort_values("name")[["name", "top1", "img_size"]]


if __name__ == "__main__":
    found = published(pd.read_csv(sys.argv[1]))
    found.to_csv(OUT, index=False, lineterminator="\n")
    print(f"{len(found)} models in {OUT.name}, {OUT.stat().st_size:,} bytes")
