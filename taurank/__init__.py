"""taurank: ranks neural network architectures for a tenth of what training them all would cost.

The four layers are the packages ``taurank.spaces``, ``taurank.trainables``, ``taurank.schedulers`` and
``taurank.orchestrator``. In a checkout they are links to the folders of these names beside this one, so that every way
of importing them (installed, editable, a checkout on ``sys.path``, a Ray working directory) finds the same modules
under the same names; a wheel holds plain folders (docs/decisions/0007-one-namespace.md).

Names below are public, and imported when they are first used (docs/how-to/python.md).
"""

from typing import TYPE_CHECKING

from taurank.spaces.lazy_names import lazy_names

if TYPE_CHECKING:
    from taurank.orchestrator.api import (
        Plan,
        Ranking,
        Run,
        kendall_tau,
        next_trainings,
        open_run,
        plan,
        rank,
        rank_models,
        run,
        score,
    )
    from taurank.orchestrator.experiment import Experiment, load_experiment
    from taurank.spaces import ChoiceSpace, get_space, list_spaces, register_space
    from taurank.trainables.table import read_table

__all__ = [
    "ChoiceSpace",
    "Experiment",
    "Plan",
    "Ranking",
    "Run",
    "__version__",
    "get_space",
    "kendall_tau",
    "list_spaces",
    "load_experiment",
    "next_trainings",
    "open_run",
    "plan",
    "rank",
    "rank_models",
    "read_table",
    "register_space",
    "run",
    "score",
]

__version__ = "0.1.0"
__getattr__ = lazy_names(__name__)


def __dir__() -> list[str]:
    """The public names, also those that were not used yet."""
    return __all__
