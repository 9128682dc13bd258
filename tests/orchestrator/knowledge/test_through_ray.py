"""Two runs after each other, as a user types them: the second knows the first."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from tests.orchestrator.processes import finished

TEXT = """
name: NAME
space: {name: nasbench201, options: {width: 4, cells_per_stage: 1}}
candidates: 6
data: {name: 'IMAGES', validation: 200, test: 200, train: 800}
recipe: {epochs: 6, batch_size: 32}
budget: 3x
proxies: null
"""


@pytest.mark.ray
@pytest.mark.slow
def test_the_second_run_knows_the_first(tmp_path: Path):
    images, labels = load_digits(return_X_y=True)
    turned = np.rot90(images.reshape(-1, 8, 8), axes=(1, 2)) * 15
    np.savez(tmp_path / "turned.npz", x=turned.astype(np.uint8), y=labels)
    for name, data in (("first", "digits"), ("second", "npz:turned.npz")):
        text = TEXT.replace("NAME", name).replace("IMAGES", data)
        (tmp_path / f"{name}.yaml").write_text(text)

    def taurank(*arguments: object) -> str:
        done = finished(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "knowledge" not in taurank("run", "first.yaml", "--baseline"), "nothing is known before the first run"
    (first,) = (tmp_path / "runs").glob("first-*")
    said = taurank("run", "second.yaml")
    # A candidate that ends at chance is not known.
    of = "[456] of 6 candidates"
    assert re.search(rf"knowledge: {first.name} \(test accuracy on digits of {of}; same-kind\); it costs nothing", said)
    assert re.search(rf"knowledge {first.name} \(same-kind, {of} known\): weight ", said)
    (second,) = (tmp_path / "runs").glob("second-*")
    ranking = pd.read_csv(second / "ranking.csv")
    shutil.rmtree(first)
    assert "nothing left to run" in taurank("resume", second)
    pd.testing.assert_frame_equal(pd.read_csv(second / "ranking.csv"), ranking)
    said = taurank("extend", second, "--knowledge", "none")
    assert "knowledge:" not in said
    (third,) = set((tmp_path / "runs").glob("second-*")) - {second}
    without = pd.read_csv(third / "ranking.csv")
    assert without["epochs"].sum() == ranking["epochs"].sum(), "nothing is trained again"
    assert not (third / "knowledge.json").exists()
    assert "What was known before" not in (third / "report.html").read_text()
