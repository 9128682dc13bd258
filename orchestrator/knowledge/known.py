"""What is known of architectures from elsewhere, with its origin; and the file that a run keeps of it.

A run keeps a copy of all values, so that its ranking can be made again when their source has changed or is gone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taurank.orchestrator.ranker import FEWEST_COMPARED, FEWEST_KNOWN, KnowledgeSource
from taurank.orchestrator.text import replaced

KNOWLEDGE_FILE = "knowledge.json"


class KnowledgeError(ValueError):
    """Knowledge that cannot be used; one line with the way out."""


@dataclass(frozen=True)
class Known:
    """One source of knowledge as a run keeps it.

    Attributes:
        source: for the ranker.
        origin: the folder or file that it was read from, or ``published``.
        what: the values, in words: "test accuracy on svhn".
        lower_is_better: whether they were measured the other way round; the source's values then have the other sign.
        note: what else is to be said of it.
    """

    source: KnowledgeSource
    origin: str
    what: str
    lower_is_better: bool = False
    note: str = ""

    def is_of_use(self, candidates: Collection[str], *, predictable: bool) -> bool:
        """Whether enough is known of these candidates, or to predict them; no candidates for those not chosen yet."""
        if not candidates:
            return len(self.source.values) >= FEWEST_COMPARED
        common = len(self.source.values.keys() & set(candidates))
        return common >= FEWEST_COMPARED or (predictable and len(self.source.values) >= FEWEST_KNOWN)

    def line(self, candidates: Collection[str]) -> str:
        """The source in a few words, with how many of the candidates it knows."""
        values, source = self.source.values, self.source
        of = f"{len(values.keys() & set(candidates))} of {len(candidates)} candidates" if candidates else ""
        of = of or f"{len(values):,} architectures"
        fidelity = f" at {source.fidelity:.0%} of full training" if source.relation == "short" else ""
        note = f"; {self.note}" if self.note else ""
        return f"{source.name} ({self.what} of {of}; {source.relation}{fidelity}{note})"


def knowledge_line(known: Sequence[Known], candidates: Collection[str] = ()) -> str:
    """One line on what is known beforehand; empty where nothing is."""
    if not known:
        return ""
    return (
        f"knowledge: {', '.join(one.line(candidates) for one in known)}; it costs nothing (--knowledge none omits it)"
    )


def write_known(known: Sequence[Known], folder: Path) -> None:
    """Writes the file of a run; none where nothing is known."""
    file = folder / KNOWLEDGE_FILE
    if not known:
        file.unlink(missing_ok=True)
        return
    sources = [
        {
            "name": one.source.name,
            "origin": one.origin,
            "what": one.what,
            "relation": one.source.relation,
            "fidelity": one.source.fidelity,
            "lower_is_better": one.lower_is_better,
            "note": one.note,
            "values": dict(one.source.values),
        }
        for one in known
    ]
    with replaced(file) as new:
        new.write_text(json.dumps({"sources": sources}, indent=1), encoding="utf-8")


def read_known(folder: Path) -> tuple[Known, ...]:
    """What a run knows beforehand.

    Raises:
        KnowledgeError: the file is missing or damaged.
    """
    file = folder / KNOWLEDGE_FILE
    try:
        return tuple(_read(entry) for entry in json.loads(file.read_text(encoding="utf-8"))["sources"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise KnowledgeError(
            f"{file} cannot be read ({reason}); put it back, or write knowledge: null in {file.parent}/experiment.yaml"
        ) from None


def _read(entry: Mapping[str, Any]) -> Known:
    values = {str(code): float(value) for code, value in entry["values"].items()}
    if not all(map(math.isfinite, values.values())):
        raise ValueError("a value is not finite")
    source = KnowledgeSource(str(entry["name"]), values, entry["relation"], float(entry["fidelity"]))
    lower = entry["lower_is_better"] is True
    return Known(source, str(entry["origin"]), str(entry["what"]), lower_is_better=lower, note=str(entry["note"]))
