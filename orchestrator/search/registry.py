"""Searchers by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from taurank.orchestrator.search.searcher import Constraints, Direction, FreeScores, Problem, Searcher, SearchError
from taurank.schedulers.policies import choices
from taurank.spaces import SearchSpace

# Module and class; imported only when asked for, as some need Optuna.
_SEARCHERS = {
    "random": ("regularised_evolution", "RandomSearcher"),
    "evolution": ("regularised_evolution", "EvolutionSearcher"),
    "tpe": ("optuna_searcher", "TpeSearcher"),
    "nsga2": ("optuna_searcher", "Nsga2Searcher"),
    "pnas": ("pnas", "PnasSearcher"),
    "predictor": ("predictor", "PredictorSearcher"),
    "npenas": ("npenas", "NpenasSearcher"),
    "nao": ("nao", "NaoSearcher"),
    "posterior": ("posterior", "PosteriorSearcher"),
    "ofa": ("once_for_all", "OnceForAllSearcher"),
    "te_nas": ("te_nas", "TeNasSearcher"),
    "hurricane": ("hurricane", "HurricaneSearcher"),
    "gdas": ("inside_supernet", "GdasSearcher"),
    "manas": ("inside_supernet", "ManasSearcher"),
    "darts": ("inside_supernet", "DartsSearcher"),
}


def list_searchers() -> list[str]:
    """Return the names that ``make_searcher`` knows."""
    return list(_SEARCHERS)


def searcher_class(name: str) -> type[Searcher]:
    """Return the class of a searcher, which documents its options.

    Raises:
        SearchError: unknown name.
    """
    if name not in _SEARCHERS:
        raise SearchError(f"unknown searcher {name!r}; {choices(name, list_searchers())}")
    module, class_name = _SEARCHERS[name]
    return cast(type[Searcher], getattr(import_module(f"taurank.orchestrator.search.{module}"), class_name))


def make_searcher(
    name: str,
    space: SearchSpace,
    *,
    seed: int = 0,
    constraints: Constraints | None = None,
    objectives: Mapping[str, Direction] | None = None,
    free_scores: FreeScores | None = None,
    **options: Any,
) -> Searcher:
    """Return a searcher by name; its class documents the options, and ``Problem`` the rest.

    Example:
        >>> from taurank.spaces import get_space
        >>> searcher = make_searcher("evolution", get_space("nasbench201"), seed=1, population=10)
        >>> [architecture.space for architecture in searcher.ask(2)]
        ['nasbench201', 'nasbench201']

    Raises:
        SearchError: unknown name or option, a value outside its range, or a space that it cannot search.
    """
    found = searcher_class(name)
    if objectives is not None and not objectives:
        raise SearchError("objectives: none given; name at least one, with 'higher' or 'lower'")
    allowed = [option for option in inspect.signature(found).parameters if option != "problem"]
    for option in options:
        if option not in allowed:
            raise SearchError(f"unknown option {option!r} of searcher {name!r}; {choices(option, allowed)}")
    problem = Problem(space, seed, constraints, objectives or {"accuracy": "higher"}, free_scores)
    return found(problem, **options)
