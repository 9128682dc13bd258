"""Knowledge: results of the same architectures on other data, read from runs, tables, CSVs and published lists."""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.knowledge.gathering import gather_knowledge, resolved_knowledge
    from taurank.orchestrator.knowledge.known import (
        KNOWLEDGE_FILE,
        KnowledgeError,
        Known,
        knowledge_line,
        read_known,
        write_known,
    )
    from taurank.orchestrator.knowledge.reading import is_predictable, known_of

__all__ = [
    "KNOWLEDGE_FILE",
    "KnowledgeError",
    "Known",
    "gather_knowledge",
    "is_predictable",
    "knowledge_line",
    "known_of",
    "read_known",
    "resolved_knowledge",
    "write_known",
]

__getattr__ = lazy_names(__name__)
