"""The generated reference: every key, option and registered class is described."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import taurank
from docs.site import reference

SECTIONS = reference.sections()
REGISTERED: dict[str, type] = {
    **{f"sampler {name}": reference.sampler_class(name) for name in reference.list_samplers()},
    **{f"policy {name}": reference.policy_class(name) for name in reference.list_policies()},
    **{f"searcher {name}": reference.searcher_class(name) for name in reference.list_searchers()},
    **{f"task {name}": type(reference.get_task(name)) for name in reference.list_tasks()},
}


def test_all_sections_are_found() -> None:
    assert {"Experiment", "TrainingSpec", "SubsetSpec", "Augmentation", "FamilyRecipe"} <= set(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_described(section: str) -> None:
    cls = SECTIONS[section]
    described = reference.attribute_docs(cls)
    assert set(described) == set(reference.fields_of(cls))
    assert all(described.values())


def test_a_key_without_a_description_is_noticed() -> None:
    class Section:
        """A part.

        Attributes:
            one: the first,
                on two lines.
            two: the second.

        Raises:
            ValueError: never.
        """

    assert reference.attribute_docs(Section) == {"one": "the first, on two lines.", "two": "the second."}


def test_the_page_has_every_key() -> None:
    page = reference.experiment_page()
    for cls in SECTIONS.values():
        for name in reference.fields_of(cls):
            assert f"| `{reference.key_of(cls, name)}` |" in page
    assert "| `from` | text | **required** |" in page
    assert "| `budget` | text | `10x` |" in page


def options() -> list[tuple[str, Any]]:
    return [
        (name, parameter)
        for name, command in reference.commands()
        for parameter in command.params
        if not getattr(parameter, "hidden", False)
    ]


def test_every_option_has_help() -> None:
    assert len(options()) > 100
    assert not [(command, option.name) for command, option in options() if not option.help]


def test_every_command_has_help_and_is_on_the_page() -> None:
    page = reference.commands_page()
    for name, command in reference.commands():
        assert command.help, name
        assert f"# `{name}`" in page or name == "taurank"
    for _, option in options():
        assert all(spelling in page for spelling in option.opts if spelling.startswith("-"))


@pytest.mark.parametrize("name", REGISTERED)
def test_every_registered_class_has_a_source(name: str) -> None:
    cls = REGISTERED[name]
    text = f"{cls.__doc__} {inspect.getmodule(cls).__doc__} {getattr(cls, 'source', '')}"
    assert cls.__doc__
    assert any(word in text for word in ("Source", "et al.", "arXiv"))


def test_every_proxy_and_space_is_listed() -> None:
    proxies, spaces = reference.proxies_page(), reference.spaces_page()
    assert all(f"| `{name}` |" in proxies for name in reference.list_proxies())
    assert all(f"## {name}\n" in spaces for name in reference.list_spaces())


def test_public_names_are_documented() -> None:
    page = reference.python_page()
    for name in taurank.__all__:
        if name != "__version__":
            assert f"::: taurank.{name}\n" in page
            assert inspect.getdoc(getattr(taurank, name))
