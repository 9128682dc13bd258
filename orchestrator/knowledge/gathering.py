"""Gathers the knowledge of a new run: what its experiment names, or what is found beside it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from taurank.orchestrator.evidence import EvidenceError
from taurank.orchestrator.experiment import PUBLISHED, Experiment, KnowledgeSpec
from taurank.orchestrator.knowledge.known import KnowledgeError, Known
from taurank.orchestrator.knowledge.past_run import FILE, PastRun
from taurank.orchestrator.knowledge.reading import known_of
from taurank.spaces import Zoo

LOOKED_AT = 50
"""Most earlier runs that are looked at, the newest first."""
_log = logging.getLogger(__name__)


def gather_knowledge(
    experiment: Experiment, candidates: Collection[str], folder: Path, *, natural: bool = True
) -> tuple[Known, ...]:
    """What is known of architectures of the space before a run.

    Of ``knowledge: auto`` it is the published accuracies of models by name, and of each other data set the finished run
    beside this one that knows most: of the same space, with enough results. What cannot be used is passed over.

    Args:
        experiment: of the run.
        candidates: codes; none where they are not chosen yet, as in a search.
        folder: of the run folders.
        natural: whether the images have three channels, as those of ImageNet.

    Raises:
        KnowledgeError: a source that the experiment names cannot be used; one line.
    """
    if experiment.knowledge is None:
        return ()
    if experiment.knowledge != "auto":
        specs = experiment.knowledge
        return _named_apart([known_of(spec, experiment, candidates, natural=natural) for spec in specs])
    found = [] if experiment.space.name != Zoo.name else [KnowledgeSpec.model_validate({"from": PUBLISHED})]
    known = [one for spec in found for one in _tried(spec, experiment, candidates, natural=natural)]
    best: dict[str, Known] = {}
    for run in _finished_runs(experiment, folder):
        spec = KnowledgeSpec.model_validate({"from": str(run.folder)})
        for one in _tried(spec, experiment, candidates, natural=natural):
            if run.data not in best or _worth(one, candidates) > _worth(best[run.data], candidates):
                best[run.data] = one
    return _named_apart([*known, *best.values()])


def _tried(
    spec: KnowledgeSpec, experiment: Experiment, candidates: Collection[str], *, natural: bool
) -> Iterator[Known]:
    try:
        yield known_of(spec, experiment, candidates, natural=natural)
    except KnowledgeError as error:
        _log.info("not used: %s", error)


def _finished_runs(experiment: Experiment, folder: Path) -> Iterator[PastRun]:
    """Runs of the same space on other data that have come to their ranking, the newest first."""
    files = sorted(folder.resolve().glob(f"*/{FILE}"), key=lambda file: (file.stat().st_mtime, file), reverse=True)
    for file in files[:LOOKED_AT]:
        try:
            run = PastRun.open(file.parent)
            if run.is_of_space(experiment) and not run.is_of_data(experiment) and run.is_ranked:
                yield run
        except (KnowledgeError, EvidenceError, OSError) as error:
            _log.info("not used: %s", error)


def _worth(known: Known, candidates: Collection[str]) -> tuple[bool, int, int]:
    """Final accuracies before short trainings, then known candidates, then known architectures."""
    values = known.source.values
    return known.source.relation != "short", len(values.keys() & set(candidates)), len(values)


def _named_apart(known: Sequence[Known]) -> tuple[Known, ...]:
    """Sources of the same name get numbers."""
    seen: Counter[str] = Counter()
    apart = []
    for one in known:
        seen[one.source.name] += 1
        number = seen[one.source.name]
        name = one.source.name if number == 1 else f"{one.source.name} ({number})"
        apart.append(replace(one, source=replace(one.source, name=name)))
    return tuple(apart)


def resolved_knowledge(experiment: Experiment, known: Sequence[Known]) -> list[KnowledgeSpec] | None:
    """The section of a run that uses this knowledge: what it named, or what ``auto`` has found."""
    if isinstance(experiment.knowledge, list):
        return [spec.relative_to(Path.cwd()) for spec in experiment.knowledge]
    found = [{"from": one.origin, "relation": one.source.relation} for one in known]
    return [KnowledgeSpec.model_validate(content) for content in found] or None
