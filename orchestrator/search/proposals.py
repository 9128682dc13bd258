"""The proposals and results of a search in the log; a searcher is restored from them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping

from taurank.orchestrator.evidence import PROPOSED, SEARCH, EvidenceLog
from taurank.orchestrator.search.searcher import Observation, Searcher
from taurank.spaces import Architecture
from taurank.trainables.trials import TrialSpec

STAGE = SEARCH
"""Stage of the log whose trials are the proposals."""
UNSEEN = f"{STAGE}:unseen"
"""What the log notes of the best predicted that were not trained, by number of proposals."""
ACCURACY = "accuracy"
"""The first objective."""

Book = Callable[[str], Mapping[str, float]]
"""Books what is known of an architecture without training, and gives the objectives that are."""


def proposed_codes(log: EvidenceLog) -> tuple[str, ...]:
    """Codes of all proposals, in their order."""
    noted = (log.noted(f"{STAGE}:{number}") for number in itertools.count())
    return tuple(code for code in itertools.takewhile(lambda code: code is not None, noted) if code is not None)


def unseen_codes(log: EvidenceLog) -> tuple[str, ...]:
    """The best predicted that were not trained; none before the search has ended."""
    noted = log.noted(f"{UNSEEN}:{len(proposed_codes(log))}")
    return tuple(noted.split("\n")) if noted else ()


def note_unseen(log: EvidenceLog, codes: list[str]) -> None:
    """Keeps the best predicted that were not trained; the first choice stays."""
    log.note(f"{UNSEEN}:{len(proposed_codes(log))}", "\n".join(codes))


class Proposals:
    """A searcher whose state is the log: what it proposes is noted before it is trained.

    Each proposal is asked for by `following`, after the searcher has taken in all results by then. A log that was
    cut off anywhere leads to the same searcher: it takes in the results in the order in which they came, and the
    proposals that are open are handed out first, in their order.

    Args:
        searcher: without a state.
        log: of the run.
        evaluations: proposals in all.
        full_epochs: length of full training.
        spec: makes the trial of an architecture.
        book: called with an architecture before its proposal is noted.

    Attributes:
        evaluations: proposals in all.
        searcher: with all that the log has.
        specs: trials of all proposals by key, in their order.
    """

    def __init__(
        self,
        searcher: Searcher,
        log: EvidenceLog,
        *,
        evaluations: int,
        full_epochs: int,
        spec: Callable[[str], TrialSpec],
        book: Book,
    ) -> None:
        self.searcher, self._log = searcher, log
        self.evaluations, self._full_epochs = evaluations, full_epochs
        self._spec, self._book = spec, book
        made = [spec(code) for code in proposed_codes(log)]
        self.specs: dict[str, TrialSpec] = {one.trial: one for one in made}
        self._costs = {one.trial: book(one.architectures[0]) for one in made}
        self._reported: set[str] = set()
        ended = log.outcomes()
        results = self._new_results()
        searcher.load(results, [self._architecture(one) for one in made if one.trial not in ended])

    @property
    def open(self) -> list[TrialSpec]:
        """Proposals that have not ended, in their order."""
        ended = self._log.outcomes()
        return [spec for spec in self.specs.values() if spec.trial not in ended]

    @property
    def is_complete(self) -> bool:
        """Whether nothing more will be proposed."""
        return len(self.specs) >= self.evaluations or bool(self.searcher.ended)

    def tell(self) -> None:
        """Hands new results to the searcher."""
        self.searcher.tell(self._new_results())

    def following(self) -> TrialSpec | None:
        """The next proposal; None where there is none, or none before open ones have ended.

        Raises:
            SearchError: no architecture keeps the constraints.
        """
        self.tell()
        asked = [] if self.is_complete else self.searcher.ask(1)
        if not asked:
            return None
        code, number = asked[0].code, len(self.specs)
        costs = self._book(code)
        spec = self._spec(code)
        self._log.note(f"{STAGE}:{number}", code)
        known = len(self.searcher.observations)
        reason = f"{number + 1} of {self.evaluations}, when {known} had ended and {number - known} had not"
        self._log.append_event(STAGE, spec.trial, PROPOSED, reason)
        self.specs[spec.trial], self._costs[spec.trial] = spec, costs
        return spec

    def _architecture(self, spec: TrialSpec) -> Architecture:
        return Architecture(self.searcher.space.name, spec.architectures[0])

    def _new_results(self) -> list[Observation]:
        """Results that the searcher has not taken in yet, in order; NaN for failed trainings."""
        outcomes = self._log.outcomes()
        new = [key for key in outcomes if key in self.specs and key not in self._reported]
        if not new:
            return []
        rows = self._log.evidence()
        rows = rows[rows["trial"].isin(new)]
        spent = rows.groupby("trial")["epochs"].sum()
        measured = rows[rows["metric"] == "validation_accuracy"].groupby("trial")["value"].last()
        found = []
        for key in new:
            spec = self.specs[key]
            done = outcomes[key][0] == "completed"
            accuracy = float(measured.get(key, math.nan)) if done else math.nan
            fidelity = (spec.until or spec.recipe.epochs) / self._full_epochs
            cost = float(spent.get(key, 0.0)) / self._full_epochs
            values = {ACCURACY: accuracy, **self._costs[key]}
            found.append(Observation(self._architecture(spec), values, min(1.0, fidelity), cost))
        self._reported.update(new)
        return found
