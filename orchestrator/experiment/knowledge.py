"""The knowledge section of an experiment: results of the same architectures on other data, and where they come from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field, model_validator

from taurank.orchestrator.experiment.spec import Spec
from taurank.orchestrator.ranker import Relation

PUBLISHED = "published"
"""The published ImageNet accuracies of models by name, as a source."""


RELATIONS = get_args(Relation)


class KnowledgeSpec(Spec):
    """A source of knowledge: results of architectures of the same space on other data, or on another task.

    Attributes:
        source: folder of a run, table of recorded trainings (.parquet), CSV of final results, or ``published``. A path
            is relative to the folder of the experiment file.
        metric: the one to use; by default the test or validation accuracy, or the only one.
        relation: ``same-kind`` for images of the same kind (the default of runs), ``other`` (the default of files), or
            ``short`` for short trainings. The ranker starts from it, and measures how far the source can be trusted.
        fidelity: of short trainings, their share of full training, where the source does not have it.
        lower_is_better: needed where the name of the metric does not define its direction.
    """

    source: str = Field(alias="from", min_length=1)
    metric: str | None = None
    relation: Relation | None = None
    fidelity: float | None = Field(default=None, gt=0, le=1)
    lower_is_better: bool | None = None

    @model_validator(mode="after")
    def _consistent(self) -> KnowledgeSpec:
        if self.fidelity is not None and self.relation != "short":
            raise ValueError(
                "fidelity is the share of full training of short trainings; add relation: short, or omit it"
            )
        if self.source == PUBLISHED and (self.metric or self.lower_is_better is not None or self.relation == "short"):
            raise ValueError(
                "published accuracies have no other metric and are no short trainings; give relation alone"
            )
        return self

    def relative_to(self, folder: Path) -> KnowledgeSpec:
        """The same with an absolute path."""
        if self.source == PUBLISHED:
            return self
        return self.model_copy(update={"source": str((folder / self.source).resolve())})


def _from_texts(value: Any) -> Any:
    """A single source for a list of one, a text for a source by its path, and an empty list for none."""
    if value == "auto" or value is None:
        return value
    sources = value if isinstance(value, list) else [value]
    return [{"from": one} if isinstance(one, str) else one for one in sources] or None


KnowledgeSpecs: TypeAlias = Annotated[Literal["auto"] | list[KnowledgeSpec] | None, BeforeValidator(_from_texts)]
"""``auto`` for what is found beside the run, None for no knowledge."""


class KnowledgeSection(Spec):
    """The section alone, as the command line gives it."""

    knowledge: KnowledgeSpecs


def knowledge_content(specs: KnowledgeSpecs) -> Any:
    """The section as an experiment file has it, without what is not set."""
    return [spec.model_dump(by_alias=True, exclude_none=True) for spec in specs] if isinstance(specs, list) else specs


def absolute_knowledge(specs: KnowledgeSpecs, folder: Path) -> KnowledgeSpecs:
    """The same with paths relative to a folder made absolute."""
    return [spec.relative_to(folder) for spec in specs] if isinstance(specs, list) else specs


def knowledge_of_options(texts: Sequence[str]) -> Any:
    """The section as ``--knowledge`` gives it: sources separated by commas, ``FROM[=RELATION][:KEY=VALUE]...`` each.

    Example:
        >>> knowledge_of_options(["runs/a=other,old.csv:metric=top1:relation=same-kind"])
        [{'from': 'runs/a', 'relation': 'other'}, {'from': 'old.csv', 'metric': 'top1', 'relation': 'same-kind'}]
    """
    parts = [part for text in texts for one in text.split(",") if (part := one.strip())]
    if parts in (["none"], ["auto"]):
        return None if parts == ["none"] else "auto"
    return [_of_option(part) for part in parts]


def _of_option(text: str) -> dict[str, Any]:
    source, *settings = re.split(r":(?=[a-z_]+=)", text)
    short = re.fullmatch(rf"(.+)=({'|'.join(RELATIONS)})", source)
    found: dict[str, Any] = {"from": source} if short is None else {"from": short[1], "relation": short[2]}
    for setting in settings:
        key, _, value = setting.partition("=")
        found[key] = _typed(key, value)
    return found


def _typed(key: str, value: str) -> Any:
    if key == "lower_is_better":
        return {"true": True, "false": False}.get(value, value)
    if key == "fidelity":
        try:
            return float(value)
        except ValueError:
            return value
    return value
