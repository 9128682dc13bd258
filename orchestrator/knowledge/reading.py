"""Reads one source of knowledge: the folder of a run, a table, a CSV, or published accuracies."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pandas as pd

from taurank.orchestrator.experiment import PUBLISHED, Experiment, KnowledgeSpec
from taurank.orchestrator.knowledge.known import KnowledgeError, Known
from taurank.orchestrator.knowledge.past_run import PastRun
from taurank.orchestrator.ranker import FEWEST_COMPARED, FEWEST_KNOWN, KnowledgeSource
from taurank.orchestrator.text import counted, hint
from taurank.spaces import SpaceError, Zoo
from taurank.trainables.table import (
    TRAINING_SOURCE,
    Direction,
    RecordedTable,
    TableError,
    is_accuracy,
    is_fixed,
    read_table,
    truth_metrics,
)
from taurank.trainables.table.importers import import_results

UNKNOWN_SEED = -1
"""In a table: the mean over seeds, or an unrecorded one."""
TOP1 = "published ImageNet accuracy"


def known_of(
    spec: KnowledgeSpec, experiment: Experiment, candidates: Collection[str], *, natural: bool = True
) -> Known:
    """Reads a source.

    Args:
        spec: what to read.
        experiment: of the run that is to use it; its space defines the codes.
        candidates: codes; none where they are not chosen yet, as in a search.
        natural: whether the images have three channels, as those of ImageNet.

    Raises:
        KnowledgeError: it cannot be read, is of other architectures or of too few, or is the run's own evidence; one
            line with the way out.
    """
    path = Path(spec.source)
    try:
        if spec.source == PUBLISHED:
            known = _published(spec, experiment, natural=natural)
        elif path.is_dir():
            known = _of_run(spec, experiment, PastRun.open(path))
        else:
            known = _of_file(spec, experiment, candidates, path)
    except (KnowledgeError, TableError) as error:
        raise KnowledgeError(f"knowledge: {error}") from None
    _check_enough(known, candidates, predictable=is_predictable(experiment))
    return known


def is_predictable(experiment: Experiment) -> bool:
    """Whether architectures that are no candidates teach something about the candidates.

    Not models by name: what describes them is known only once they are built.
    """
    return experiment.space.name != Zoo.name and bool(experiment.space.make().feature_names)


def _published(spec: KnowledgeSpec, experiment: Experiment, *, natural: bool) -> Known:
    if experiment.space.name != Zoo.name:
        raise KnowledgeError(
            f"published accuracies are of models by name, not of {experiment.space.name}; omit published"
        )
    relation = spec.relation or ("same-kind" if natural else "other")
    return Known(KnowledgeSource(PUBLISHED, Zoo.published(), relation), PUBLISHED, TOP1)


def _of_run(spec: KnowledgeSpec, experiment: Experiment, run: PastRun) -> Known:
    folder = run.folder
    if not run.is_of_space(experiment):
        raise KnowledgeError(f"{folder} is of space {run.content['space']['name']}, not of {experiment.space.name}")
    if run.repeats(experiment):
        raise KnowledgeError(
            f"{folder} has the same data and recipe: its trainings are evidence, not knowledge. A run beside it takes "
            "them over by itself (share_results), and taurank extend goes on with it; omit it here"
        )
    if spec.metric is not None or spec.lower_is_better is not None:
        raise KnowledgeError(f"{folder} has accuracies alone; omit metric and lower_is_better for a run")
    # The test images of the same data set are those that this run is scored on.
    found = run.results(short=spec.relation == "short", tested=not run.is_of_data(experiment))
    if found is None:
        raise KnowledgeError(f"{folder} has no result of a training yet; continue with taurank resume {folder}")
    relation = "short" if found.fidelity < 1 else (spec.relation or "same-kind")
    fidelity = (spec.fidelity or found.fidelity) if relation == "short" else 1.0
    source = KnowledgeSource(folder.name, found.values, relation, fidelity)
    return Known(source, str(folder), f"{found.metric} on {run.data}")


def _of_file(spec: KnowledgeSpec, experiment: Experiment, candidates: Collection[str], path: Path) -> Known:
    if not path.exists():
        raise KnowledgeError(f"{path}: no such file or folder")
    asked: Direction | None = None
    if spec.lower_is_better is not None:
        asked = "lower" if spec.lower_is_better else "higher"
    is_table = path.suffix == ".parquet"
    table = read_table(path) if is_table else import_results(path, metric=spec.metric or "", direction=asked)
    space = table.info.space
    if is_table and space and space != experiment.space.name:
        raise KnowledgeError(f"{path} is of space {space}, not of {experiment.space.name}")
    metric = _metric(spec, table, path)
    direction = _direction(table, metric, asked, path)
    finals, fidelity = _finals(spec, table, metric, path)
    values, left_out = _by_code(finals, experiment, candidates, path)
    if direction == "lower":
        values = {code: -value for code, value in values.items()}
    on = f" on {table.info.data}" if table.info.data else ""
    notes = ["the data set of this run"] if table.info.data == experiment.data.name else []
    notes += [f"{counted(left_out, 'other row')} left out"] if left_out else []
    source = KnowledgeSource(path.stem, values, spec.relation or "other", fidelity)
    what = f"{metric.replace('_', ' ')}{on}"
    return Known(source, str(path), what, lower_is_better=direction == "lower", note="; ".join(notes))


def _metric(spec: KnowledgeSpec, table: RecordedTable, path: Path) -> str:
    """The metric that was asked for, or else an accuracy, or the only one."""
    usable = truth_metrics(table, directed=False)
    known = ", ".join(usable) or "none"
    if spec.metric is not None:
        if spec.metric not in usable:
            raise KnowledgeError(
                f"{path} has no result {spec.metric!r} of trainings{hint(spec.metric, usable)}; it has {known}"
            )
        return spec.metric
    if len(usable) == 1 or (usable and is_accuracy(usable[0])):
        return usable[0]
    if not usable:
        raise KnowledgeError(f"{path} has no result of a training")
    raise KnowledgeError(f"{path} has several numbers of each architecture; name one as metric: {known}")


def _direction(table: RecordedTable, metric: str, asked: Direction | None, path: Path) -> Direction:
    recorded = table.info.metrics[metric].direction
    if is_fixed(metric) and recorded != "none" and asked not in (None, recorded):
        text = f"{recorded} is better of {metric}, whose name has a fixed meaning; omit lower_is_better"
        raise KnowledgeError(f"{path}: {text}")
    direction = asked or recorded
    if direction == "none":
        raise KnowledgeError(f"{path}: the name {metric!r} does not say which end is better; add lower_is_better")
    return direction


def _finals(spec: KnowledgeSpec, table: RecordedTable, metric: str, path: Path) -> tuple[pd.Series, float]:
    """Value by architecture at the end of a schedule, mean over seeds, and the share of full training of that.

    It is the longest schedule that enough architectures have completed, or the shortest of short trainings.
    """
    source = TRAINING_SOURCE if TRAINING_SOURCE in table.sources else ""
    source = source or next(name for name in table.sources if name.startswith(TRAINING_SOURCE))
    ended = (table.rows["source"] == source) & (table.rows["metric"] == metric)
    rows = table.rows[ended & (table.rows["epoch"] == table.rows["schedule_epochs"])]
    counts = rows.groupby("schedule_epochs")["architecture"].nunique()
    lengths = sorted(int(length) for length in counts.index[counts >= FEWEST_COMPARED])
    if not lengths:
        most = counted(int(counts.max()) if len(counts) else 0, "fully trained architecture")
        raise KnowledgeError(f"{path} has {metric} of {most}; {FEWEST_COMPARED} are needed")
    length = lengths[0] if spec.relation == "short" else lengths[-1]
    rows = rows[rows["schedule_epochs"] == length]
    by_seed = rows.groupby(["architecture", "seed"], observed=True)["value"].first().unstack("seed")
    known = [seed for seed in sorted(rows["seed"].unique().tolist()) if seed != UNKNOWN_SEED]
    means = by_seed[known].mean(axis=1) if known else by_seed.mean(axis=1)
    if known and UNKNOWN_SEED in by_seed:
        means = means.fillna(by_seed[UNKNOWN_SEED])
    if spec.relation != "short":
        return means, 1.0
    share = spec.fidelity or (length / lengths[-1] if len(lengths) > 1 else None)
    if share is None:
        raise KnowledgeError(f"{path} does not say how short its trainings were; add fidelity: 0.05 for a twentieth")
    return means, share


def _by_code(
    values: pd.Series, experiment: Experiment, candidates: Collection[str], path: Path
) -> tuple[dict[str, float], int]:
    """The values by code of the space, and how many rows are of other architectures.

    Raises:
        KnowledgeError: none is of the space, or two rows are the same architecture.
    """
    read, found, spelt, problem = _reader(experiment, candidates), dict[str, float](), dict[str, str](), ""
    for text, value in values.items():
        try:
            code = read(str(text))
        except SpaceError as error:
            problem = problem or str(error).removeprefix("code: ")
            continue
        if code in spelt:
            raise KnowledgeError(f"{path}: {spelt[code]!r} and {text!r} are the same architecture; leave one")
        found[code], spelt[code] = float(value), str(text)
    if not found:
        raise KnowledgeError(f"{path} has no architecture of {experiment.space.name}: {problem}")
    return found, len(values) - len(found)


def _reader(experiment: Experiment, candidates: Collection[str]) -> Callable[[str], str]:
    space = experiment.space.make()
    codes = set(candidates)
    if experiment.space.name != Zoo.name:
        return lambda text: text if text in codes else space.parse(text).code
    published = Zoo.published()
    by_name: dict[str, set[str]] = {}
    for code in codes:
        by_name.setdefault(code.partition(":")[2], set()).add(code)

    def read(text: str) -> str:
        """A name without its library is that of the candidate; nothing is imported."""
        if text in codes or text in published:
            return text
        named = sorted(by_name.get(text, ()))
        if len(named) > 1:
            raise SpaceError(f"code: {text!r} may be {' or '.join(named)}; write one of them")
        if not named:
            raise SpaceError(f"code: {text!r} is not one of the models")
        return named[0]

    return read


def _check_enough(known: Known, candidates: Collection[str], *, predictable: bool) -> None:
    if known.is_of_use(candidates, predictable=predictable):
        return
    count, common = len(known.source.values), len(known.source.values.keys() & set(candidates))
    if not candidates:
        raise KnowledgeError(f"knowledge: {known.origin} knows {count} architectures; {FEWEST_COMPARED} are needed")
    has = f"knowledge: {known.origin} knows {common} of the {len(candidates)} candidates and {count - common} others"
    way_out = f"{FEWEST_COMPARED} candidates are needed"
    if predictable:
        way_out += f", or {FEWEST_KNOWN} architectures to predict them from"
    raise KnowledgeError(f"{has}; {way_out}")
