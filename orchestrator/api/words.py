"""Messages for Python programs: the command line and the functions here share their code, and so its messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]*)")


def in_python(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Names arguments in our errors as Python spells them: ``epoch_seconds`` and not ``--epoch-seconds``."""

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        try:
            return function(*args, **kwargs)
        except (ValueError, RuntimeError, OSError) as error:
            ours = type(error).__module__.partition(".")[0] == "taurank"
            if ours and len(error.args) == 1 and isinstance(error.args[0], str):
                error.args = (_OPTION.sub(lambda match: match[1].replace("-", "_"), error.args[0]),)
            raise

    return call
