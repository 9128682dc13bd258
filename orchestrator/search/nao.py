"""Search in a learned continuous space: architectures are embedded, moved along a predictor's gradient, and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.spaces import Architecture

EMBEDDING, HIDDEN, PREDICTOR = 32, 96, 200
"""Widths of the tokens, of both recurrent networks, and of the predictor's hidden layer."""
LEARNING_RATE, BATCH, CLIP = 1e-3, 100, 5.0
STEPS = 30
"""Steps along the gradient after which the proposals of a generation are filled up at random."""


class NaoSearcher(Searcher):
    """Neural architecture optimisation: gradient ascent on the embeddings of the best, then decoding.

    An encoder reads the decisions of an architecture one after another; the mean of its outputs is the embedding. A
    predictor maps it to the accuracy, a decoder back to the decisions. The three are trained together on all full
    trainings known when a generation begins. The embeddings of the best are then moved up the gradient of the
    prediction, in growing steps, until enough new ones have been decoded. The decoder chooses among the options
    of each decision, so that all that it writes is an architecture of the space.

    Unlike the source, the mirror images of a cell do not augment the data: equal architectures have one canonical code.

    Source: Luo et al., Neural Architecture Optimization (NeurIPS 2018), sections 3.1 to 3.3, algorithm 1; widths, loss
    weight and learning rate of section 4.1.

    Args:
        initial: random proposals to begin with.
        parents: how many of the best are moved.
        per_generation: proposals between two trainings of the model.
        epochs: passes of a training of the model over its data; 1,000 in the source, which was not better on recorded
            cells (`benchmarks/search/search.py`).
        step: length of a step along the gradient.
        loss_weight: weight of the predictor's error, in [0, 1]; the decoder's has the rest.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        initial: int = 20,
        parents: int = 50,
        per_generation: int = 20,
        epochs: int = 300,
        step: float = 10.0,
        loss_weight: float = 0.9,
    ) -> None:
        super().__init__(problem)
        if not self.space.decisions:
            raise SearchError(f"space: {self.space.name} has no fixed decisions, which nao encodes; take random")
        for name, value, least in (
            ("initial", initial, 2),
            ("parents", parents, 1),
            ("per_generation", per_generation, 1),
            ("epochs", epochs, 1),
        ):
            if value < least:
                raise SearchError(f"{name}: {value} is not at least {least}")
        if not step > 0:
            raise SearchError(f"step: {step:g} is not above 0")
        if not 0 <= loss_weight <= 1:
            raise SearchError(f"loss_weight: {loss_weight:g} is not in [0, 1]")
        self._initial, self._parents, self._per_generation = initial, parents, per_generation
        self._epochs, self._step, self._loss_weight = epochs, step, loss_weight
        self._generation: tuple[tuple[int, int], list[Architecture]] = ((-1, -1), [])

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        found = self._first_new(self._decoded()) if len(self._known) >= self._initial else None
        return self._random(generator) if found is None else found

    def _decoded(self) -> list[Architecture]:
        """What the generation decoded, of a model of as many results as there were proposals before it."""
        number = (len(self._known) - self._initial) // self._per_generation
        before = min(self._initial + number * self._per_generation, len(self._observations))
        if self._generation[0] != (number, before):
            scored = self._scored_by(before)
            differ = len(set(scored.values())) > 1
            self._generation = (number, before), self._search(scored, before, number) if differ else []
        return self._generation[1]

    def _search(self, scored: dict[Architecture, float], before: int, number: int) -> list[Architecture]:
        """What the model decodes and the first results lack, those of the shortest steps first."""
        ranked = sorted(scored, key=scored.__getitem__, reverse=True)
        values = np.array([scored[one] for one in ranked])
        targets = torch.tensor((values - values.min()) / np.ptp(values), dtype=torch.float32)
        choices = torch.tensor([self.space.choices(one) for one in ranked])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self._generator(number).integers(2**31)))
            model = Embedding([len(options) for options in self.space.decisions])
            model.fit(choices, targets, epochs=self._epochs, loss_weight=self._loss_weight)
        found, old = dict[Architecture, None](), set(self._canonical[:before])
        for steps in range(1, STEPS + 1):
            for row in model.moved(choices[: self._parents], steps * self._step).tolist():
                one = self.space.canonical(self.space.choose(row))
                if one not in old and self._allowed(one):
                    found[one] = None
            if len(found) >= self._per_generation:
                break
        return list(found)


class Embedding(nn.Module):
    """Encoder, predictor and decoder of sequences of decisions.

    Args:
        options: number of options of each decision.
    """

    _starts: Tensor
    _closed: Tensor

    def __init__(self, options: Sequence[int]) -> None:
        super().__init__()
        starts = torch.tensor([0, *accumulate(options)])
        tokens = int(starts[-1])
        self.register_buffer("_starts", starts[:-1])
        positions = torch.arange(tokens)
        # (decisions, tokens): which tokens are not an option of a decision.
        closed = (positions < starts[:-1, None]) | (positions >= starts[1:, None])
        self.register_buffer("_closed", closed)
        self._tokens = nn.Embedding(tokens + 1, EMBEDDING)  # the last begins a sequence
        self._encoder = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
        self._predictor = nn.Sequential(nn.Linear(HIDDEN, PREDICTOR), nn.ReLU(), nn.Linear(PREDICTOR, 1), nn.Sigmoid())
        self._decoder = nn.LSTM(EMBEDDING, HIDDEN, batch_first=True)
        self._join = nn.Linear(2 * HIDDEN, HIDDEN)
        self._output = nn.Linear(HIDDEN, tokens)

    def fit(self, choices: Tensor, targets: Tensor, *, epochs: int, loss_weight: float) -> None:
        """Trains all three parts.

        Args:
            choices: option of each decision, (architectures, decisions).
            targets: accuracies, scaled to [0, 1], (architectures,).
            epochs: passes over the data.
            loss_weight: weight of the squared error of the prediction; that of the decoder's cross-entropy is the rest.
        """
        optimiser = torch.optim.Adam(self.parameters(), lr=LEARNING_RATE)
        tokens = choices + self._starts
        for _ in range(epochs):
            for rows in torch.randperm(len(tokens)).split(BATCH):  # type: ignore[no-untyped-call]
                encoded = self._encode(tokens[rows])
                wrong = functional.mse_loss(self._predict(encoded), targets[rows])
                scores = self._decode(encoded, tokens[rows, :-1])
                lost = functional.cross_entropy(scores.flatten(0, 1), tokens[rows].flatten())
                optimiser.zero_grad()
                (loss_weight * wrong + (1 - loss_weight) * lost).backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(self.parameters(), CLIP)
                optimiser.step()

    def moved(self, choices: Tensor, length: float) -> Tensor:
        """Decodes architectures after one step of a length along the gradient of their predicted accuracy.

        Args:
            choices: option of each decision, (architectures, decisions).
            length: factor on the gradient; 0 decodes what was encoded.

        Returns:
            Options in the same form.
        """
        encoded = self._encode(choices + self._starts).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self._predict(encoded).sum(), encoded)
        with torch.no_grad():
            encoded = functional.normalize(encoded + length * gradient, dim=-1)
            tokens = torch.empty(len(choices), 0, dtype=torch.long)
            for _ in range(choices.shape[1]):
                scores = self._decode(encoded, tokens)[:, -1]
                tokens = torch.cat([tokens, scores.argmax(dim=1, keepdim=True)], dim=1)
        return tokens - self._starts

    def _encode(self, tokens: Tensor) -> Tensor:
        """Outputs for each decision, of length 1, (architectures, decisions, HIDDEN)."""
        outputs: Tensor = self._encoder(self._tokens(tokens))[0]
        return functional.normalize(outputs, dim=-1)

    def _predict(self, encoded: Tensor) -> Tensor:
        """Accuracies (architectures,) in [0, 1]."""
        predicted: Tensor = self._predictor(functional.normalize(encoded.mean(dim=1), dim=-1))
        return predicted[:, 0]

    def _decode(self, encoded: Tensor, before: Tensor) -> Tensor:
        """Scores of the tokens of each decision, given those before it, (architectures, decisions, tokens)."""
        begin = torch.full((len(encoded), 1), self._output.out_features)
        state = functional.normalize(encoded.mean(dim=1), dim=-1)[None]
        outputs = self._decoder(self._tokens(torch.cat([begin, before], dim=1)), (state, torch.zeros_like(state)))[0]
        attention = torch.softmax(outputs @ encoded.transpose(1, 2), dim=-1) @ encoded
        joined = torch.tanh(self._join(torch.cat([outputs, attention], dim=-1)))
        scores: Tensor = self._output(joined)
        return scores.masked_fill(self._closed[: scores.shape[1]], -torch.inf)
