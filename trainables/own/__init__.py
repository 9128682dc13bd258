"""Training code of the user's own, of any framework and task: found, checked, and stepped through by epochs."""

from taurank.trainables.own.code import OwnCode, OwnCodeError, find_own_code, give_own_code
from taurank.trainables.own.training import OwnTraining, check_metrics

__all__ = ["OwnCode", "OwnCodeError", "OwnTraining", "check_metrics", "find_own_code", "give_own_code"]
