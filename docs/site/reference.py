"""Reference pages, generated from the code: keys of an experiment, commands, spaces, proxies and other registries."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import typer
from pydantic import BaseModel
from typer.cli import get_docs_for_click

import taurank
from taurank.orchestrator.cli.entry import app
from taurank.orchestrator.experiment import Experiment
from taurank.orchestrator.search import list_searchers, searcher_class
from taurank.schedulers.policies import list_policies, policy_class
from taurank.spaces import SearchSpace, get_space, list_spaces
from taurank.trainables.pretext import get_task, list_tasks
from taurank.trainables.proxies import Correlation, describe_proxy, list_proxies
from taurank.trainables.supernet import list_samplers, list_supernets, sampler_class

_ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*|\n(?=\n* {8}))*)", re.M)


def reference_files() -> dict[str, str]:
    """All generated reference files, by their path in the documentation."""
    return {
        "reference/experiment.md": experiment_page(),
        "reference/commands.md": commands_page(),
        "reference/python.md": python_page(),
        "reference/spaces.md": spaces_page(),
        "reference/proxies.md": proxies_page(),
        "reference/samplers.md": _classes_page(SAMPLERS, list_samplers(), sampler_class),
        "reference/policies.md": _classes_page(POLICIES, list_policies(), policy_class),
        "reference/searchers.md": _classes_page(SEARCHERS, list_searchers(), searcher_class),
        "reference/tasks.md": _classes_page(TASKS, list_tasks(), lambda name: type(get_task(name))),
        "how-it-works/decisions.md": decisions_page(),
    }


# The experiment file.


def attribute_docs(cls: type) -> dict[str, str]:
    """What the section ``Attributes`` of a docstring says about each attribute, in one line."""
    _, _, section = inspect.cleandoc(cls.__doc__ or "").partition("\nAttributes:\n")
    section = re.split(r"^\w+:$", section, maxsplit=1, flags=re.M)[0]
    return {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section)}


def sections(model: type = Experiment) -> dict[str, type]:
    """The classes of an experiment file, by name: the experiment itself and all that its keys contain."""
    found: dict[str, type] = {}

    def visit(annotation: Any) -> None:
        if isinstance(annotation, type) and fields_of(annotation) and annotation.__name__ not in found:
            found[annotation.__name__] = annotation
            for inner in fields_of(annotation).values():
                visit(inner)
        for inner in get_args(annotation):
            visit(inner)

    visit(model)
    return found


def fields_of(cls: type) -> dict[str, Any]:
    """Types of the fields of a section, by the name in Python."""
    if issubclass(cls, BaseModel):
        return {name: field.annotation for name, field in cls.model_fields.items()}
    if dataclasses.is_dataclass(cls):
        hints = inspect.get_annotations(cls, eval_str=True)
        return {field.name: hints[field.name] for field in dataclasses.fields(cls)}
    return {}


def key_of(cls: type, name: str) -> str:
    """The key in a file that stands for a field."""
    return (cls.model_fields[name].alias if issubclass(cls, BaseModel) else None) or name


def experiment_page() -> str:
    """Every key of an experiment file with its type, default and meaning."""
    schema = Experiment.model_json_schema()
    classes = sections()
    parts = {title: schema["$defs"].get(title, schema) for title in classes}
    used_in: dict[str, list[str]] = {}
    for title, part in parts.items():
        for key, value in part["properties"].items():
            for inner in re.findall(r'"#/\$defs/(\w+)"', json.dumps(value)):
                used_in.setdefault(inner, []).append(key if title == "Experiment" else f"{title}.{key}")
    names = {title: _section_name(title, used_in) for title in parts}
    lines = [
        "# Keys of an experiment file\n",
        "An experiment is a YAML file. Only `name`, `space` and `data` are required, and with `trainable` only `name`. "
        "Unknown keys and values of a wrong type are refused, all in one message. `experiment.yaml` in the folder of a "
        "run lists every key with the value that was used. Where a section has a `name`, the name alone stands for the "
        "section: `space: nasbench201`, `data: cifar10`, `scheduler: asha`.\n",
    ]
    for title, part in parts.items():
        docs = {key_of(classes[title], name): text for name, text in attribute_docs(classes[title]).items()}
        lines += [f"## {names[title]} {{ #{title.lower()} }}\n", f"{_summary(classes[title])}\n"]
        lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
        for key, value in part["properties"].items():
            needed = key in part.get("required", ())
            default = "**required**" if needed else _default(value)
            lines.append(f"| `{key}` | {_kind(value, names)} | {default} | {_cell(docs.get(key, ''))} |")
        lines.append("")
    return "\n".join(lines)


def _section_name(title: str, used_in: Mapping[str, list[str]]) -> str:
    if title == "Experiment":
        return "Experiment"
    keys = dict.fromkeys(place.split(".")[-1] for place in used_in.get(title, [title.lower()]))
    return ", ".join(f"`{key}`" for key in keys)


def _default(value: Mapping[str, Any]) -> str:
    default = value.get("default", [] if value.get("type") == "array" else {} if "default" not in value else None)
    if isinstance(default, dict):
        return "see there" if default or "$ref" in value else "`{}`"
    return f"`{json.dumps(default)}`" if not isinstance(default, str) else f"`{default}`" if default else "empty"


def _kind(value: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """A JSON schema of one value, in words."""
    if "$ref" in value:
        title = value["$ref"].rpartition("/")[2]
        return f"[{names[title]}](#{title.lower()})"
    if "anyOf" in value:
        return " or ".join(_kind(one, names) for one in value["anyOf"])
    if "enum" in value or "const" in value:
        return " or ".join(f"`{one}`" for one in value.get("enum", [value.get("const")]))
    if value.get("type") == "array":
        items = value.get("items") or {"anyOf": value.get("prefixItems", [{}])}
        return f"list of {_kind(items, names)}"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
    words |= {"null": "`null`", "object": "options by name"}
    bounds = [
        f"{sign} {value[bound]:g}"
        for bound, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if bound in value
    ]
    return words.get(value.get("type", ""), "any value") + (f" {', '.join(bounds)}" if bounds else "")


# The command line.


def commands(command: Any = None, name: str = "taurank") -> Iterator[tuple[str, Any]]:
    """All commands with their full names, the groups among them too."""
    command = command or typer.main.get_command(app)
    yield name, command
    for inner, found in getattr(command, "commands", {}).items():
        yield from commands(found, f"{name} {inner}")


def commands_page() -> str:
    """The help of every command, as Typer writes it."""
    root = typer.main.get_command(app)
    text = get_docs_for_click(obj=root, ctx=typer.Context(root), name="taurank", title="Commands")
    helps = dict(commands())

    def item(line: re.Match[str]) -> str:
        """An item of a list as plain text; Typer shortens those on commands."""
        command = helps.get(f"taurank {line[2]}") or helps.get(f"taurank table {line[2]}")
        shortened = line[3].endswith("...") and command is not None
        return line[1] + re.sub(r"([\\`*_\[\]<>~])", r"\\\1", command.help.split("\n\n")[0] if shortened else line[3])

    text = re.sub(r"^(\* `([^`]*)`: )(.*)$", item, text, flags=re.M)
    return text.replace("**Usage**:\n\n", "").replace("```console\n$ ", "```text\n")


# Python.

FACES = {
    "taurank.spaces": ("SearchSpace", "DecisionSpace", "Architecture", "SpaceError", "measure_size"),
    "taurank.schedulers": None,
    "taurank.schedulers.policies": ("Limits", "Policy", "make_policy", "list_policies", "simulate"),
    "taurank.schedulers.policies.driver": ("Driver",),
    "taurank.schedulers.curves": None,
    "taurank.trainables.proxies": ("draw_batch", "score_network"),
    "taurank.trainables.table": ("RecordedTable", "read_table", "write_table"),
    "taurank.orchestrator.search": ("make_searcher", "Observation", "final_list", "Searcher"),
    "taurank.orchestrator.ranker": ("KnowledgeSource", "rank_evidence"),
}
"""Modules below `taurank` with the names that are documented; None for all that they export."""


def python_page() -> str:
    """The public names of `taurank`, then those of its parts, from their docstrings."""
    lines = ["# Python\n", "Names of `taurank` itself come first, then those of its parts.\n", "## taurank\n"]
    lines += [f"::: taurank.{name}\n" for name in taurank.__all__ if name != "__version__"]
    for module, names in FACES.items():
        lines.append(f"## {module}\n")
        lines += [f"::: {module}.{name}\n" for name in names or _exported(module)]
    return "\n".join(lines)


def _exported(module: str) -> Iterable[str]:
    return sorted(__import__(module, fromlist=["__all__"]).__all__)


# Registries.


def spaces_page() -> str:
    """The search spaces with their sizes, features and sources."""
    rows, details = [], []
    for name in list_spaces():
        space = get_space(name)
        contents = (inspect.getmodule(type(space)).__doc__ or "").partition("\n")[0]  # type: ignore[union-attr]
        supernet = "yes" if name in list_supernets() else "no"
        rows.append(f"| [`{name}`](#{name}) | {_count(space)} | {len(space.feature_names)} | {supernet} | {contents} |")
        details += [f"## {name}\n", _module_source(type(space)), *_documented(type(space))]
    head = (
        "# Search spaces\n",
        "`taurank spaces` prints this list with an example of a code. [Your own space](../how-to/own-space.md) shows "
        "how codes are written, and how to add a space.\n",
        "| space | architectures | features | supernet | contents |",
        "|---|---|---|---|---|",
    )
    return "\n".join([*head, *rows, "", *details])


def _count(space: SearchSpace) -> str:
    if space.foreign:
        return "by name"
    if space.size is None:
        return "not listed"
    return f"{space.size:,}" if space.size < 1e9 else f"{space.size:.1e}"


def proxies_page() -> str:
    """The training-free proxies with what they need, what they cost, and their sources."""
    lines = [
        "# Training-free proxies\n",
        "`taurank proxies` prints this list. *Cost* is in training steps on the batch of the proxy. *Published* is a "
        "correlation with the accuracy of trained networks, as the named paper states it.\n",
        "| proxy | better | needs | cost | what it scores | published | source |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in list_proxies():
        one = describe_proxy(name)
        better = "higher" if one.direction == 1 else "lower"
        published = "" if one.published is None else _correlation(one.published)
        texts = (_cell(text) for text in (one.summary, published, one.source))
        lines.append(f"| `{name}` | {better} | {', '.join(sorted(one.needs))} | {one.passes:g} | {' | '.join(texts)} |")
    return "\n".join([*lines, ""])


def _correlation(published: Correlation) -> str:
    values = [("tau", published.kendall), ("rho", published.spearman)]
    return f"{', '.join(f'{name} {value:.2f}' for name, value in values if value is not None)} ({published.where})"


SAMPLERS = """# Path samplers

A sampler selects the paths that each step of a supernet trains: `supernets: [{sampler: NAME}]`, or `{name: NAME,
options: {...}}` with options. [Supernets](../how-it-works/supernets.md) compares them.
"""
POLICIES = """# Policies

A policy decides which trainings continue, pause or stop: `trainings: [{epochs: 200, scheduler: NAME}]`, or
`{name: NAME, options: {...}}` with options. [Stopping trainings early](../how-to/schedulers.md) says which policy suits
which goal, and which classes they are as schedulers of Ray Tune.
"""
SEARCHERS = """# Searchers

A searcher proposes architectures of a space that is too large to list: `search: {method: NAME, options: {...}}`.
[Search](../how-to/search.md) describes the command.
"""
TASKS = """# Pretext tasks

A pretext task replaces the labels of a training: `trainings: [{epochs: 4, task: NAME}]`.
[Pretext tasks](../how-to/pretext.md) describes its use.
"""


def _classes_page(head: str, names: Iterable[str], find: Callable[[str], type]) -> str:
    """A page on the classes of a registry: a table with the first line of each, then their docstrings."""
    rows, details = [], []
    for name in names:
        cls = find(name)
        rows.append(f"| [`{name}`](#{name}) | {_cell(_summary(cls))} |")
        details += [f"## {name}\n", *_source_of(cls), *_documented(cls)]
    return "\n".join([head, "| name | |", "|---|---|", *rows, "", *details])


def decisions_page() -> str:
    """A list of the decision records."""
    lines = ["# Design decisions\n", "Short records of the decisions that shape the code.\n"]
    for file in sorted((Path(__file__).parents[1] / "decisions").glob("*.md")):
        title = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        lines.append(f"{title.replace('. ', '. [', 1)}](../decisions/{file.name})")
    return "\n".join([*lines, ""])


def _documented(cls: type) -> tuple[str, str]:
    return f"::: {cls.__module__}.{cls.__qualname__}", _ONLY_DOCSTRING


_ONLY_DOCSTRING = """    options:
      show_root_heading: false
      show_root_toc_entry: false
      members: false
      show_bases: false
"""


def _summary(cls: type) -> str:
    """The first paragraph of a docstring, in one line."""
    return " ".join(inspect.cleandoc(cls.__doc__ or "").split("\n\n")[0].split()).replace("``", "`")


def _source_of(cls: type) -> list[str]:
    source = getattr(cls, "source", None)
    return [f"Source: {source}.\n"] if isinstance(source, str) else []


def _module_source(cls: type) -> str:
    """The line of a module's docstring that names the source, if there is one."""
    text = inspect.getmodule(cls).__doc__ or ""  # type: ignore[union-attr]
    found = re.search(r"^Sources?: .*(?:\n.+)*", text, re.M)
    return " ".join(found.group().split()) + "\n" if found else ""


def _cell(text: str) -> str:
    """A text for a cell of a table."""
    return text.replace("``", "`").replace("|", "\\|")
