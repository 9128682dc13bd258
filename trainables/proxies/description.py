"""What a proxy declares of itself, read without importing the code that computes it, and torch with it."""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from taurank.trainables.proxies.proxy import PROXIES, Correlation, Need, Proxy

FIELDS = ("direction", "source", "needs", "passes", "published")


@dataclass(frozen=True)
class ProxyDescription:
    """The declarations of a proxy; see `Proxy`.

    Attributes:
        name: Registered name.
        summary: First line of its docstring, without the full stop.
        source: Paper with section or equation.
        direction: 1 where higher promises better, -1 where lower does.
        needs: What network and batch must have.
        passes: What a score costs, in training steps.
        published: Reference correlation; None if there is none.
    """

    name: str
    summary: str
    source: str
    direction: Literal[1, -1] = Proxy.direction
    needs: frozenset[Need] = Proxy.needs
    passes: float = Proxy.passes
    published: Correlation | None = Proxy.published


def describe_proxy(name: str) -> ProxyDescription:
    """Describes a proxy by its name.

    Raises:
        ProxyError: There is none of that name.
    """
    place = PROXIES.unimported(name)
    if place is None:
        proxy = PROXIES.find(name)
        return _describe(name, inspect.getdoc(proxy), {field: getattr(proxy, field) for field in FIELDS})
    return _read(name, place)


@cache
def _read(name: str, place: str) -> ProxyDescription:
    """Reads the assignments in the body of a class of ours, which stand on constants of its module at most."""
    module, _, class_name = place.partition(":")
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    constants = _assignments(tree.body)
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == class_name)

    def evaluate(value: ast.expr) -> Any:
        used = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        known = {constant: evaluate(constants[constant]) for constant in used & constants.keys()}
        return eval(compile(ast.Expression(value), module, "eval"), {"Correlation": Correlation} | known)

    declared = {field: evaluate(value) for field, value in _assignments(found.body).items() if field in FIELDS}
    return _describe(name, ast.get_docstring(found), declared)


def _describe(name: str, docstring: str | None, declared: dict[str, Any]) -> ProxyDescription:
    return ProxyDescription(name, (docstring or "").split("\n")[0].rstrip("."), **declared)


def _assignments(body: list[ast.stmt]) -> dict[str, ast.expr]:
    found = {}
    for statement in body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        value = getattr(statement, "value", None)
        found.update({target.id: value for target in targets if isinstance(target, ast.Name) and value is not None})
    return found
