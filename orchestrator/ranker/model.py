"""The ranker: one posterior over the order, from any mix of evidence.

Two stages. Cheap views (size, proxies, supernets) and short trainings of a part of the candidates give a prior order of
all (``short_runs``, ``prior``); full trainings of a few correct it (``final``) and calibrate its uncertainty
(``calibration``). Any view may be missing for any candidate. With few full trainings the order is the prior's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from taurank.orchestrator.ranker.accuracy import FinalAccuracies, final_accuracies, sampling_noise
from taurank.orchestrator.ranker.calibration import CALIBRATED, DOUBTFUL, draw_latent, draw_scores
from taurank.orchestrator.ranker.credit import OF_MANY_DESIGNS, ONE_DESIGN
from taurank.orchestrator.ranker.design import POOL
from taurank.orchestrator.ranker.failures import Failures, find_failures
from taurank.orchestrator.ranker.final import (
    FEW_LABELS,
    FinalScores,
    Labels,
    final_inputs,
    find_labels,
    score_finally,
    without_diverged,
)
from taurank.orchestrator.ranker.inputs import Inputs, make_inputs
from taurank.orchestrator.ranker.knowledge import (
    CALIBRATED_LABELS,
    KNOWLEDGE,
    VETO_LABELS,
    KnownColumn,
    is_vetoed,
    known_columns,
)
from taurank.orchestrator.ranker.knowledge_sources import KnowledgeSource, KnowledgeUse
from taurank.orchestrator.ranker.options import RankerOptions
from taurank.orchestrator.ranker.prior import PriorOrder, prior_order
from taurank.orchestrator.ranker.prospects import (
    LEARNED,
    Prospect,
    TrainingOption,
    most_informative,
    prospect_of,
    result_noise,
    taus_before_and_after,
)
from taurank.orchestrator.ranker.ranking import LEVEL, Certainty, Ranking
from taurank.orchestrator.ranker.regressors import FinalInputs, final_process
from taurank.orchestrator.ranker.short_runs import ShortRuns, complete_short_runs
from taurank.orchestrator.ranker.signal import Validation
from taurank.orchestrator.ranker.threads import one_thread
from taurank.orchestrator.ranker.views import Scores, make_views

DRAWS = 200
BEFORE_FULL_TRAININGS = ("inputs", "shorts", "known_columns", "_prior_with_knowledge", "_prior_without_knowledge")
"""Parts of a model that full trainings do not enter."""


class RankingModel:
    """The model of one state of the evidence. Parts are computed when they are asked for, and once.

    Args:
        evidence: rows as ``EvidenceLog.evidence`` gives them; baseline rows must have been taken out.
        encoding: numeric description of the candidates, (candidates, features), index = code; its rows are what is
            ranked. No columns are fine.
        full_epochs: length of full training.
        seed: of everything random here. The same rows and seed give the same ranking, in whatever order the candidates
            come.
        images: of validation, on which accuracies are measured; None where it is not known, and their sampling noise is
            then left out of the uncertainty.
        classes: of images, which chance level depends on; None where it is not known.
        reasons: why trainings failed, by trial.
        knowledge: results of the same architectures on other data sets or tasks.
        knowledge_encoding: of known architectures outside the candidates, so that they teach to predict the candidates
            that knowledge lacks; see ``knowledge.known_columns``.
        earlier: a model of earlier evidence. What it has computed of the stages before full trainings is taken over
            where they see the same now; the ranking is no other for it.
    """

    def __init__(
        self,
        evidence: pd.DataFrame,
        encoding: pd.DataFrame,
        *,
        full_epochs: int,
        seed: int,
        options: RankerOptions | None = None,
        images: int | None = None,
        classes: int | None = None,
        reasons: Mapping[str, str] | None = None,
        knowledge: Sequence[KnowledgeSource] = (),
        knowledge_encoding: pd.DataFrame | None = None,
        earlier: RankingModel | None = None,
    ) -> None:
        self._knowledge, self._knowledge_encoding = tuple(knowledge), knowledge_encoding
        self._validation, self._reasons = Validation(images, classes), reasons or {}
        self._evidence, self._seed, self._options = evidence, seed, options or RankerOptions()
        self._encoding = encoding.sort_index()
        self.codes = [str(code) for code in self._encoding.index]
        views = make_views(evidence, self.codes, full_epochs=full_epochs)
        self.views = [view for view in views if self._options.training_loss or not view.is_loss]
        if earlier is not None and self._same_inputs_before_labels(earlier):
            vars(self).update({part: vars(earlier)[part] for part in BEFORE_FULL_TRAININGS if part in vars(earlier)})

    def _same_inputs_before_labels(self, other: RankingModel) -> bool:
        own, others = ([view for view in model.views if not view.is_final] for model in (self, other))
        return (
            self._seed == other._seed
            and self._options == other._options
            and self._knowledge == other._knowledge
            and _same_frame(self._knowledge_encoding, other._knowledge_encoding)
            and self._validation == other._validation
            and self._encoding.equals(other._encoding)
            and len(own) == len(others)
            and all(view.equals(same) for view, same in zip(own, others, strict=True))
        )

    def generator(self, step: int) -> np.random.Generator:
        """Random numbers of one step, which do not depend on those of others."""
        return np.random.default_rng([self._seed, 3, step])

    @cached_property
    def inputs(self) -> Inputs:
        """Encoding and cheap views."""
        return make_inputs(self._encoding.to_numpy(dtype=float), self.views)

    @cached_property
    def shorts(self) -> list[ShortRuns]:
        """Short trainings, completed."""
        return complete_short_runs(self.inputs, self.views, self.generator(0))

    @cached_property
    def known_columns(self) -> list[KnownColumn]:
        """Earlier knowledge of the candidates."""
        return known_columns(self._knowledge, self._encoding, self._knowledge_encoding, self.generator(7))

    @property
    def prior(self) -> PriorOrder:
        """The order before full trainings; these only decide whether knowledge takes part."""
        return self._prior_without_knowledge if self._is_vetoed else self._prior_with_knowledge

    @cached_property
    def _prior_with_knowledge(self) -> PriorOrder:
        return self._prior(self.known_columns) if self._knowledge else self._prior_without_knowledge

    @cached_property
    def _prior_without_knowledge(self) -> PriorOrder:
        return self._prior(())

    def _prior(self, knowledge: Sequence[KnownColumn]) -> PriorOrder:
        return prior_order(
            self.inputs,
            self.shorts,
            self.generator(1),
            aggregation=self._options.aggregation,
            validation=self._validation,
            knowledge=knowledge,
            expected=OF_MANY_DESIGNS if self._options.one_design is False else ONE_DESIGN,
        )

    @cached_property
    def _is_vetoed(self) -> bool:
        """Whether full trainings agree no better with the prior order for its knowledge."""
        joint = self._prior_with_knowledge.knowledge
        if joint is None or joint.reliability == 0 or len(self.labels.rows) < VETO_LABELS:
            return False
        return is_vetoed(
            self._prior_with_knowledge.scores[self.labels.rows],
            self._prior_without_knowledge.scores[self.labels.rows],
            self.labels.values,
        )

    @cached_property
    def labels(self) -> Labels:
        """Full trainings."""
        return find_labels(self.views)

    @cached_property
    def failures(self) -> Failures:
        """Trainings that failed."""
        return find_failures(self._evidence, self.codes, self._reasons)

    @cached_property
    def final_inputs(self) -> FinalInputs:
        """Inputs of the models of the final score."""
        return final_inputs(self.inputs, self.shorts, self.prior)

    @cached_property
    def final(self) -> FinalScores:
        """Scores from everything."""
        labels = without_diverged(self.labels, self.prior.scores)
        return score_finally(
            self.final_inputs,
            labels,
            self.generator(2),
            models=self._options.models,
            all_trained=self._are_all_trained,
        )

    @cached_property
    def _are_all_trained(self) -> bool:
        """Whether all candidates that do not fail are trained to the end."""
        labels = self.labels
        settled = np.union1d(labels.rows, np.flatnonzero(self.mask(self.failures.entirely)))
        return len(labels.rows) > 0 and len(settled) == len(self.codes) and bool((labels.noise_factors <= 1).all())

    @property
    @one_thread
    def imputability(self) -> float:
        """Correlation of short runs with their prediction by a model that has not seen them, of the longest ones.

        The better one of accuracy and training loss: a noisy measure cannot be predicted, and is not informative
        either. Near 1 more short runs add little; NaN without enough of them.
        """
        known = [short.imputability for short in self.shorts if np.isfinite(short.imputability)]
        return max(known[-2:]) if known else float("nan")

    @one_thread
    def ranking(self, *, truth_seeds: int = 1) -> Ranking:
        """The ranking; ``truth_seeds`` is how many full trainings are averaged in the truth that it speaks about."""
        failures = self.failures
        last = self.mask(failures.entirely)
        if self._options.failed == "unknown" or last.all():
            last[:] = False
        # There is no score where nothing was learned; among those that failed the order stays what it was.
        scores = np.where(last, np.nan, self.final.scores)
        draws = draw_scores(
            self.final,
            final_process(self.final_inputs),
            DRAWS,
            self.generator(6),
            reliability=self.prior.reliability,
            truth_seeds=truth_seeds,
            without_evidence=self._without_evidence | self.mask(failures.undecided),
            sampling=sampling_noise(self.views, self._validation.images),
            calibrated=self._calibrated,
        )
        count = len(self.codes)
        # Stable, and codes are sorted: of equal scores the first code comes first.
        order = np.lexsort((-self.final.scores, last))
        rank = np.empty(count, dtype=np.int64)
        rank[order] = np.arange(1, count + 1)
        ranks = stats.rankdata(-draws, axis=1)
        tail = (1 - LEVEL) / 2
        finals = self._final_accuracies(draws)
        cost = _costs(self._evidence, self.codes)
        table = pd.DataFrame(
            {
                "rank": rank,
                "architecture": self.codes,
                "score": scores,
                "predicted_accuracy": finals.values,
                "accuracy_low": finals.low,
                "accuracy_high": finals.high,
                "rank_low": np.minimum(np.quantile(ranks, tail, axis=0, method="lower").astype(np.int64), rank),
                "rank_high": np.maximum(np.quantile(ranks, 1 - tail, axis=0, method="higher").astype(np.int64), rank),
                "evidence": self._seen_by(),
                "seconds": cost["seconds"].to_numpy(),
                "epochs": cost["epochs"].to_numpy(),
                "problem": [failures.problems.get(code, "") for code in self.codes],
            }
        )
        table = table.iloc[order].reset_index(drop=True)
        weights = self._weights()
        return Ranking(
            table,
            draws[:, order],
            weights,
            self._certainty(),
            failed=failures.entirely,
            full_trainings=finals.full_trainings,
            knowledge=self._knowledge_uses(weights.get(KNOWLEDGE, 0.0)),
        )

    @one_thread
    def prospect(self, options: Sequence[TrainingOption], budget: float) -> Prospect:
        """The most informative of some trainings within a budget, and the tau expected after them.

        Args:
            options: trainings to choose from, one of each candidate at most.
            budget: epochs that the chosen ones may cost together.
        """
        generator = self.generator(20)
        beginning = final_process(self.final_inputs)
        centre, deviations, noise = draw_latent(
            self.final,
            beginning,
            LEARNED + DRAWS,
            generator,
            reliability=self.prior.reliability,
            calibrated=self._calibrated,
        )
        unknown = self._without_evidence | self.mask(self.failures.undecided)
        deviations[:, unknown] = generator.standard_normal((len(deviations), int(unknown.sum())))
        spread = deviations.var(axis=0)
        place = {code: row for row, code in enumerate(self.codes)}
        pool = np.arange(len(self.codes))
        if len(pool) > POOL:
            pool = np.sort(generator.choice(pool, POOL, replace=False))
        in_pool = {int(row): at for at, row in enumerate(pool)}
        options = [option for option in options if place[option.code] in in_pool]
        rows = np.array([place[option.code] for option in options], dtype=np.intp)
        noises = np.array(
            [
                result_noise(float(spread[row]), option, label_noise=noise, known=not unknown[row])
                for row, option in zip(rows, options, strict=True)
            ]
        )
        regressor = self.final.regressor
        learned = regressor is not None and len(regressor.process.rows) >= self._calibrated
        covariance_of = regressor.process.posterior_covariance if regressor and learned else beginning.covariance
        covariance = covariance_of(pool, pool)
        # What a candidate has of its own, where nothing but its label is known.
        diagonal = np.diag_indices(len(pool))
        covariance[diagonal] = np.maximum(covariance[diagonal], spread[pool])
        covariance[:, unknown[pool]] = covariance[unknown[pool]] = 0.0
        covariance[unknown[pool], unknown[pool]] = 1.0
        at = np.array([in_pool[int(row)] for row in rows], dtype=np.intp)
        costs = np.array([option.cost for option in options])
        chosen = most_informative(covariance, at, noises, costs, budget)
        truths = (centre + deviations)[-DRAWS:]
        truths = truths + np.sqrt(noise) * generator.standard_normal(truths.shape)
        before, after = taus_before_and_after(centre, deviations, truths, rows[chosen], noises[chosen], generator)
        return prospect_of([options[one] for one in chosen], self.ranking().expected_tau, before, after)

    def _knowledge_uses(self, weight: float) -> tuple[KnowledgeUse, ...]:
        """What was made of each source; ``weight`` is that of all of them in the order."""
        joint = self._prior_with_knowledge.knowledge
        if joint is None:
            return ()
        if self._is_vetoed:
            return joint.dropped(f"{len(self.labels.rows)} full trainings agree better without it")
        return tuple(replace(use, weight=weight * use.weight) for use in joint.uses)

    @property
    def _calibrated(self) -> int:
        """Full trainings from which the posterior is believed.

        Those that do not change a prior order are too few to tell more about it than its sources do.
        """
        if self._are_all_trained:
            return CALIBRATED
        if KNOWLEDGE in self.prior.weights:
            return CALIBRATED_LABELS
        return FEW_LABELS + 1 if np.ptp(self.prior.scores) > 0 else CALIBRATED

    def _final_accuracies(self, draws: Scores) -> FinalAccuracies:
        found = final_accuracies(
            self.final.scores, draws.std(axis=0), self.views, level=LEVEL, images=self._validation.images
        )
        return found.without(self.mask(self.failures.undecided))

    def mask(self, codes: Collection[str]) -> NDArray[np.bool_]:
        """Which candidates are among some codes, (candidates,)."""
        return np.array([code in codes for code in self.codes], dtype=bool)

    @property
    def _without_evidence(self) -> NDArray[np.bool_]:
        """Candidates without a value from any source and without an encoding."""
        described = np.full(len(self.codes), self.inputs.encoding.shape[1] > 0)
        for view in self.views:
            described |= np.isfinite(view.order)
        if self.prior.knowledge is not None and self.prior.knowledge.reliability > 0:
            described |= np.isfinite(self.prior.knowledge.scores)
        return ~described

    def _seen_by(self) -> list[str]:
        seen: list[dict[str, None]] = [{} for _ in self.codes]
        for view in self.views:
            for place in np.flatnonzero(np.isfinite(view.order)):
                seen[place][view.stage] = None
        return [", ".join(stages) for stages in seen]

    def _certainty(self) -> Certainty:
        regressor = self.final.regressor
        if regressor is None or len(regressor.process.rows) < self._calibrated:
            return "uncalibrated"
        return "doubtful" if len(regressor.process.rows) < DOUBTFUL else "calibrated"

    def _weights(self) -> dict[str, float]:
        """Share of each source in the order: full trainings have the part that the prior order does not explain."""
        prior, scores = self.prior.scores, self.final.scores
        explained = 1.0
        if self.final.prior_share < 1 and prior.std() > 0 and scores.std() > 0:
            explained = float(np.corrcoef(prior, scores)[0, 1]) ** 2
        total = sum(self.prior.weights.values())
        weights = {name: explained * weight / total for name, weight in self.prior.weights.items()}
        if self.final.prior_share < 1:
            weights["full trainings"] = 1 - explained if total else 1.0
        return weights


def rank_evidence(
    evidence: pd.DataFrame,
    encoding: pd.DataFrame,
    *,
    full_epochs: int,
    seed: int,
    truth_seeds: int = 1,
    options: RankerOptions | None = None,
    images: int | None = None,
    classes: int | None = None,
    reasons: Mapping[str, str] | None = None,
    knowledge: Sequence[KnowledgeSource] = (),
    knowledge_encoding: pd.DataFrame | None = None,
) -> Ranking:
    """Ranks the candidates of ``encoding`` from the rows of an evidence log; see ``RankingModel``."""
    model = RankingModel(
        evidence,
        encoding,
        full_epochs=full_epochs,
        seed=seed,
        options=options,
        images=images,
        classes=classes,
        reasons=reasons,
        knowledge=knowledge,
        knowledge_encoding=knowledge_encoding,
    )
    return model.ranking(truth_seeds=truth_seeds)


def _same_frame(first: pd.DataFrame | None, second: pd.DataFrame | None) -> bool:
    return first is second or (first is not None and second is not None and first.equals(second))


def _costs(evidence: pd.DataFrame, codes: Sequence[str]) -> pd.DataFrame:
    """Seconds and epochs by candidate; what all share (a supernet's epochs) in equal parts, so sums are right."""
    own = evidence.groupby("architecture")[["seconds", "epochs"]].sum()
    shared = own.loc[[""]].sum() if "" in own.index else pd.Series({"seconds": 0.0, "epochs": 0.0})
    return own.reindex(list(codes)).fillna(0.0) + shared / len(codes)
