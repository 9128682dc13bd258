"""The HTML templates and assets of the package; all values in a template are escaped."""

from __future__ import annotations

import math
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

PACKAGE = "taurank.orchestrator.report"
SEPARATORS = "_-:|+~,./ "
"""Signs of a name after which a line may break."""


def render(template: str, **values: Any) -> str:
    """The text of a template of the package with these values."""
    return _environment().get_template(template).render(**values)


@cache
def asset(name: str) -> str:
    """The text of a script or style of the package."""
    return (resources.files(PACKAGE) / "assets" / name).read_text(encoding="utf-8")


def breakable(name: str) -> Markup:
    """A name whose line may break after separators only."""
    parts = [Markup.escape(sign) + Markup("<wbr>") if sign in SEPARATORS else Markup.escape(sign) for sign in name]
    return Markup("").join(parts)


@cache
def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.PackageLoader(PACKAGE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    found.globals["nan"] = math.nan
    found.filters["breakable"] = breakable
    found.filters["sentence"] = lambda line: f"{line[0].upper()}{line[1:]}."
    return found
