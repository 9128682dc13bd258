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
    CLASSES,
    RANKING,
    TEST_ACCURACY,
    TRAINING,
    VALIDATION_ACCURACY,
    EvidenceError,
    EvidenceLog,
)
from taurank.orchestrator.experiment import Experiment
from taurank.orchestrator.knowledge.known import KnowledgeError
from taurank.orchestrator.ranker import FEWEST_KNOWN
from taurank.orchestrator.text import YamlError, read_yaml
from taurank.spaces import Zoo

SHORT = "validation accuracy of short trainings"
ABOVE_CHANCE = 1.05
"""Multiple of the accuracy of chance up to which a full training has learned nothing."""
UNEQUAL = 0.1
"""Share of the trainings of a stage that may be shorter than the epoch at which it is read."""
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
            named = [content[part]["name"] for part in ("space", "data")]
            if not all(isinstance(name, str) for name in named) or int(content["recipe"]["epochs"]) < 1:
                raise ValueError("it names no space, no data or no epochs")
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
        same_options = mine.name == Zoo.name or (own.get("options") or {}) == mine.options
        return bool(own["name"] == mine.name and same_options)

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
        A training that ended at chance is left out: it says something of that training, not of the architecture.

        Args:
            short: take the short trainings in any case.
            tested: whether results on test images may be used.
        """
        full = int(self.content["recipe"]["epochs"])
        try:
            with closing(EvidenceLog(self.folder / LOG)) as log:
                rows, classes = log.evidence(), log.noted(CLASSES) or ""
        except EvidenceError as error:
            raise KnowledgeError(str(error)) from None
        chance = ABOVE_CHANCE / max(int(classes), 1) if classes.isdecimal() else 0.0
        found = _finals(rows if tested else rows[rows["stage"] != BASELINE], full, chance)
        finals = max(found, key=lambda results: len(results.values), default=None)
        trained = _short(rows, full)
        if finals is None or trained is None:
            return trained if short or finals is None else finals
        enough = min(FEWEST_KNOWN, len(trained.values) / 2)
        return finals if not short and len(finals.values) >= enough else trained


def _finals(rows: pd.DataFrame, full: int, chance: float) -> list[Results]:
    """Test accuracies of the baseline, then validation accuracies of full trainings, above that of chance."""
    rows = rows[rows["value"] > chance]
    tested = rows[(rows["stage"] == BASELINE) & (rows["metric"] == TEST_ACCURACY)]
    ended = (rows["epoch"] == rows["schedule_epochs"]) & (rows["schedule_epochs"] >= full) & (rows["epoch_share"] == 1)
    trained = rows[_is_evidence(rows) & ended]
    parts = ((tested, "test accuracy"), (trained, "validation accuracy"))
    return [Results(values, metric, 1.0) for part, metric in parts if (values := _means(part))]


def _short(rows: pd.DataFrame, full: int) -> Results | None:
    """Validation accuracies of short trainings, of the stage that trained most candidates.

    A policy trains them unequally far: they are compared at the last epoch that all but a tenth have come to.
    """
    found = []
    for _, own in rows[_is_evidence(rows)].dropna(subset="value").groupby("stage", sort=False):
        last = own.groupby("trial")["epoch"].max()
        epoch = int(np.quantile(last, UNEQUAL, method="lower"))
        fidelity = epoch * float(own["epoch_share"].iloc[0]) / full
        if fidelity < 1:
            found.append(Results(_means(own[own["epoch"] == epoch]), SHORT, fidelity))
    return max(found, key=lambda results: (len(results.values), results.fidelity), default=None)


def _is_evidence(rows: pd.DataFrame) -> pd.Series:
    of_training = (rows["source"] == TRAINING) & (rows["metric"] == VALIDATION_ACCURACY)
    return of_training & (rows["stage"] != BASELINE)


def _means(rows: pd.DataFrame) -> dict[str, float]:
    known = rows.dropna(subset="value").groupby("architecture", sort=True)["value"].mean()
    return {str(code): float(value) for code, value in known.items()}
