"""Extension of Griffe: a section ``Example`` of a docstring is rendered as code, as ``Examples`` is."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(r"^(\s*)Example:$", re.M)


class ExampleSections(griffe.Extension):
    """Reads ``Example:`` as ``Examples:``, which Griffe knows as a section of code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites the docstring of an object before it is parsed."""
        if obj.docstring is not None:
            obj.docstring.value = _SECTION.sub(r"\1Examples:", obj.docstring.value)
