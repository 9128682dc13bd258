"""The results of an earlier run, from its folder.

Its experiment is read as text and never parsed: that would import the user code which its candidates name.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taurank.orchestrator.evidence import (
    BASELINE,
    RANKING,
    TEST_ACCURACY,
    TRAINING,
    VALIDATION_ACCURACY,
    EvidenceError,
    EvidenceLog,
)
from taurank.orchestrator.experiment import Experiment
from taurank.orchestrator.knowledge.known import FEWEST_TO_PREDICT, KnowledgeError
from taurank.orchestrator.text import YamlError, read_yaml

FILE, LOG = "experiment.yaml", "evidence.sqlite"


@dataclass(frozen=True)
class Results:
    """One value for each architecture of a run.

    Attributes:
        values: accuracy in [0, 1] by code, mean over seeds.
        metric: which accuracy it is.
        fidelity: share of full training that they stand for; 1 for final accuracies.
    """

    values: Mapping[str, float]
    metric: str
    fidelity: float


@dataclass(frozen=True)
class PastRun:
    """The folder of an earlier run.

    Attributes:
        folder: where it is.
        content: its experiment as the file has it.
    """

    folder: Path
    content: Mapping[str, Any]

    @staticmethod
    def open(folder: Path) -> PastRun:
        """Opens a folder.

        Raises:
            KnowledgeError: it is not that of a run.
        """
        if not ((folder / FILE).is_file() and (folder / LOG).is_file()):
            raise KnowledgeError(f"{folder} is not the folder of a run: it needs {FILE} and {LOG}")
        try:
            content = read_yaml((folder / FILE).read_text(encoding="utf-8"))
            _ = content["space"]["name"], content["data"]["name"], int(content["recipe"]["epochs"])
        except (OSError, YamlError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
            raise KnowledgeError(f"{folder / FILE} cannot be read: {' '.join(str(error).split())}") from None
        return PastRun(folder, content)

    @property
    def data(self) -> str:
        """Name of its data set."""
        return str(self.content["data"]["name"])

    def is_of_space(self, experiment: Experiment) -> bool:
        """Whether it has the same space with the same options; models by name always have."""
        mine, own = experiment.space, self.content["space"]
        by_name = experiment.space.make().foreign
        return bool(own["name"] == mine.name and (by_name or (own.get("options") or {}) == mine.options))

    def is_of_data(self, experiment: Experiment) -> bool:
        """Whether it has the same images."""
        return self.data == experiment.data.name

    def repeats(self, experiment: Experiment) -> bool:
        """Whether it has the same images and the same recipe, so that its trainings are evidence."""
        mine = read_yaml(experiment.to_yaml())
        same = all(self.content.get(name) == mine[name] for name in ("recipe", "families"))
        return same and self.is_of_data(experiment) and self.content["data"].get("size") == experiment.data.size

    @property
    def is_ranked(self) -> bool:
        """Whether the run has come to its ranking."""
        with closing(EvidenceLog(self.folder / LOG)) as log:
            return log.has_ended(RANKING)

    def results(self, *, short: bool = False, tested: bool = True) -> Results | None:
        """Its final accuracies, or those of its short trainings if few candidates were trained to the end; or None.

        Final accuracies are those of the baseline or of the full trainings, whichever are of more candidates. They are
        taken where at least as many have one as others can be predicted from, or half of those that were trained.

        Args:
            short: take the short trainings in any case.
            tested: whether results on test images may be used.
        """
        full = int(self.content["recipe"]["epochs"])
        try:
            with closing(EvidenceLog(self.folder / LOG)) as log:
                rows = log.evidence()
        except EvidenceError as error:
            raise KnowledgeError(str(error)) from None
        found = [*_finals(rows, full)] if tested else [*_finals(rows[rows["stage"] != BASELINE], full)]
        finals = max(found, key=lambda results: len(results.values), default=None)
        trained = _short(rows, full)
        if finals is None or trained is None:
            return trained if short or finals is None else finals
        enough = min(FEWEST_TO_PREDICT, len(trained.values) / 2)
        return finals if not short and len(finals.values) >= enough else trained


def _finals(rows: pd.DataFrame, full: int) -> list[Results]:
    """Test accuracies of the baseline, then validation accuracies of full trainings."""
    tested = rows[(rows["stage"] == BASELINE) & (rows["metric"] == TEST_ACCURACY)]
    ended = (rows["epoch"] == rows["schedule_epochs"]) & (rows["schedule_epochs"] >= full) & (rows["epoch_share"] == 1)
    trained = rows[_is_evidence(rows) & ended]
    parts = ((tested, "test accuracy"), (trained, "validation accuracy"))
    return [Results(values, metric, 1.0) for part, metric in parts if (values := _means(part))]


def _short(rows: pd.DataFrame, full: int) -> Results | None:
    """Validation accuracies at the end of the trainings of the stage that trained most candidates."""
    trained = rows[_is_evidence(rows) & (rows["epoch"] * rows["epoch_share"] < full)].dropna(subset="value")
    if trained.empty:
        return None
    last = trained.loc[trained.groupby("trial")["epoch"].idxmax()]
    stages = last.groupby("stage", sort=False)["architecture"].nunique()
    own = last[last["stage"] == stages.idxmax()]
    reached = own["epoch"] * own["epoch_share"] / full
    return Results(_means(own), "validation accuracy of short trainings", float(np.median(reached)))


def _is_evidence(rows: pd.DataFrame) -> pd.Series:
    of_training = (rows["source"] == TRAINING) & (rows["metric"] == VALIDATION_ACCURACY)
    return of_training & (rows["stage"] != BASELINE)


def _means(rows: pd.DataFrame) -> dict[str, float]:
    known = rows.dropna(subset="value").groupby("architecture", sort=True)["value"].mean()
    return {str(code): float(value) for code, value in known.items()}
