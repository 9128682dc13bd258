"""Search spaces by name."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from taurank.spaces.architecture import SearchSpace, SpaceError
from taurank.spaces.named_classes import NamedClasses
from taurank.spaces.names import suggestion
from taurank.spaces.own_code import import_own, is_own_code

_SPACES: NamedClasses[SearchSpace] = NamedClasses(
    "space",
    SpaceError,
    {
        "darts": "taurank.spaces.cells.darts:DARTS",
        "fbnet": "taurank.spaces.mobile.fbnet:FBNet",
        "mnasnet": "taurank.spaces.mobile.mnasnet:MnasNet",
        "mnist_blocks": "taurank.spaces.mnist_blocks:MnistBlocks",
        "nasbench201": "taurank.spaces.nasbench201.space:NASBench201",
        "nasbench_macro": "taurank.spaces.mobile.nasbench_macro:NASBenchMacro",
        "once_for_all": "taurank.spaces.once_for_all.space:OnceForAll",
        "once_for_all_resnet50": "taurank.spaces.once_for_all.resnet50:OnceForAllResNet50",
        "pnas": "taurank.spaces.cells.pnas:PNAS",
        "proxyless": "taurank.spaces.mobile.proxyless:ProxylessNAS",
        "small_convnets": "taurank.spaces.small_convnets:SmallConvnets",
        "zoo": "taurank.spaces.zoo.space:Zoo",
    },
)

_WITHOUT_NETWORKS: NamedClasses[SearchSpace] = NamedClasses(
    "space", SpaceError, {"own": "taurank.spaces.own_candidates:OwnCandidates"}
)
"""Spaces that an experiment with training code of the user's own has; not listed, since they build nothing."""

SpaceClass = TypeVar("SpaceClass", bound=type[SearchSpace])


def register_space(space: SpaceClass) -> SpaceClass:
    """Class decorator that registers a search space under its `name`; docs/how-to/own-space.md shows an example.

    Example:
        >>> import taurank
        >>> @taurank.register_space
        ... class Depths(taurank.ChoiceSpace):
        ...     name = "example-depths"
        ...     named_decisions = {"depth": (2, 4, 8)}
        ...
        ...     def network(self, taken, *, input_shape, classes):
        ...         from torch import nn
        ...
        ...         layers = [layer for _ in range(taken["depth"]) for layer in (nn.LazyLinear(32), nn.ReLU())]
        ...         return nn.Sequential(nn.Flatten(), *layers, nn.LazyLinear(classes))
        >>> taurank.get_space("example-depths").size
        3

    Raises:
        SpaceError: The class has no name, or another class has it already.
    """
    return _SPACES.register(space)


def get_space(name: str, **options: Any) -> SearchSpace:
    """Makes a search space from its name and its keyword options.

    Example:
        >>> get_space("nasbench201", width=8).parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|").space
        'nasbench201'

    A user-defined space is named by its location: `get_space("package.module:MySpace")`.

    Raises:
        SpaceError: No such space, no such option, or the space refuses an option's value.
    """
    classes = next((classes for classes in (_SPACES, _WITHOUT_NETWORKS) if name in classes), None)
    space = _own_space(name) if classes is None else classes.find(name)
    allowed = list(inspect.signature(space).parameters)
    for option in options:
        if option not in allowed:
            known = f"its options are {_join(allowed)}" if allowed else "it has no options"
            raise SpaceError(f"space {name!r}: option {option!r} is unknown{suggestion(option, allowed)}; {known}")
    return space(**options)


def list_spaces(pattern: str = "*") -> list[str]:
    """Lists the registered names that match a shell pattern, in alphabetical order.

    Example:
        >>> list_spaces("nasbench*")
        ['nasbench201', 'nasbench_macro']
    """
    return _SPACES.names(pattern)


def _own_space(name: str) -> type[SearchSpace]:
    if not is_own_code(name):
        raise SpaceError(
            f"space: {name!r} is unknown{suggestion(name, list_spaces())}; there are {_join(list_spaces())}"
        )
    try:
        space = import_own(name)
    except SpaceError as error:
        raise SpaceError(f"space: {str(error).removeprefix('code: ')}") from error.__cause__
    if not isinstance(space, type) or not issubclass(space, SearchSpace):
        raise SpaceError(f"space: {name!r} is not a search space class; let it inherit from taurank.spaces.ChoiceSpace")
    missing = sorted(getattr(space, "__abstractmethods__", ()))
    if missing:
        raise SpaceError(f"space: {name!r} does not define {', '.join(missing)}")
    if getattr(space, "name", name) != name:
        # Workers rebuild the space from its name and import nothing else.
        raise SpaceError(f"space: {name!r} calls itself {space.name!r}; leave out `name`, or set it to {name!r}")
    return space


def _join(names: list[str]) -> str:
    return ", ".join(names)
