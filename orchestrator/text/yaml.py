"""YAML for experiments: duplicate keys are refused, 1e-4 is a number, and the size of the input is bounded."""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_CHARACTERS = 2**26
"""64 million: a million candidates with long codes."""
DEEPEST = 50
"""Nesting depth of lists and mappings; an experiment has about six."""
MOST_REPEATED = 100_000
"""Total number of parts that aliases (`*name`) may expand to: a few lines of aliases can expand to billions."""
LONGEST_NUMBER = 100
"""Characters; parsing a number takes time quadratic in its length."""
SHOWN = 40


class YamlError(ValueError):
    """Invalid YAML; one line."""


class _Loader(yaml.SafeLoader):
    """YAML's safe loader that also refuses duplicate keys and inputs that would take long to parse."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > DEEPEST:
            problem = f"lists and mappings are nested more than {DEEPEST} levels deep; an experiment has few levels"
            here = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=here)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            _check_aliases(node)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if isinstance(node, yaml.ScalarNode) and node.tag in _NUMBERS and len(node.value) > LONGEST_NUMBER:
            problem = f"{_shown(node)} is a number of more than {LONGEST_NUMBER} characters"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError):
            # The form of a scalar, or a tag such as !!int, states a type that its text does not have.
            problem = f"{_shown(node)} cannot be read as {node.tag.rpartition(':')[2]}; put text in quotes"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def _shown(node: yaml.Node) -> str:
    text = repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _check_aliases(root: yaml.Node) -> None:
    """Refuses recursive structures, and aliases that expand to very many parts: each part is counted at every use."""
    sizes: dict[int, int] = {}
    open_ones: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in open_ones:
            raise yaml.MarkedYAMLError(problem="a part of it contains itself", problem_mark=node.start_mark)
        if id(node) not in sizes:
            open_ones.add(id(node))
            sizes[id(node)] = 1 + sum(map(size, _inner(node)))
            open_ones.remove(id(node))
        return sizes[id(node)]

    if size(root) - len(sizes) > MOST_REPEATED:
        problem = f"aliases (*name) expand to more than {MOST_REPEATED:,} parts; write out the parts that are needed"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=root.start_mark)


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


class _Dumper(yaml.SafeDumper):
    """YAML's safe dumper, except that it puts quotes around text that the loader would read as a number."""


# YAML 1.1 requires a dot in a number with an exponent, YAML 1.2 and other formats do not.
for _class in (_Loader, _Dumper):
    _class.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
    )


def read_yaml(text: str) -> Any:
    """Mappings, lists and scalars from YAML text.

    Raises:
        YamlError: invalid YAML, a duplicate key, or an input beyond the bounds; names the line.
    """
    if len(text) > MOST_CHARACTERS:
        raise YamlError(f"has {len(text):,} characters; at most {MOST_CHARACTERS:,} are read")
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise YamlError(f"{line}{error.problem or error}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlError(" ".join(str(error).split())) from None


def write_yaml(content: Any) -> str:
    """YAML text that ``read_yaml`` turns into ``content`` again."""
    text: str = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text
