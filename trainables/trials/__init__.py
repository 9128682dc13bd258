"""Ray Tune trials: thin adapters over code without Ray, with checkpoints and outcomes."""

from taurank.trainables.trials.architecture import ArchitectureTrial
from taurank.trainables.trials.checkpoint_file import PARTIAL, drop_state, read_checkpoint
from taurank.trainables.trials.own import OwnTrial
from taurank.trainables.trials.proposed import ProposedTrial
from taurank.trainables.trials.proxies import ProxyTrial
from taurank.trainables.trials.pruning import PruningTrial, kept_options
from taurank.trainables.trials.spec import TrialSpec
from taurank.trainables.trials.supernets import (
    ContenderTrial,
    PathScoresTrial,
    SearchSupernetTrial,
    SupernetTrial,
    option_table,
    share_weights,
)
from taurank.trainables.trials.table import TableTrial

__all__ = [
    "PARTIAL",
    "ArchitectureTrial",
    "ContenderTrial",
    "OwnTrial",
    "PathScoresTrial",
    "ProposedTrial",
    "ProxyTrial",
    "PruningTrial",
    "SearchSupernetTrial",
    "SupernetTrial",
    "TableTrial",
    "TrialSpec",
    "drop_state",
    "kept_options",
    "option_table",
    "read_checkpoint",
    "share_weights",
]
