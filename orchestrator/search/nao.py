"""Search in a learned continuous space: architectures are embedded, moved along a predictor's gradient, and decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from taurank.orchestrator.search.searcher import Problem, Searcher, SearchError
from taurank.spaces import Architecture

EMBEDDING, HIDDEN, PREDICTOR = 32, 96, 200
"""Widths of the tokens, of both recurrent networks, and of the predictor's hidden layer."""
LEARNING_RATE, BATCH, CLIP = 3e-3, 100, 5.0
STEPS = 30
"""Steps along the gradient after which a generation is filled up at random."""


class NaoSearcher(Searcher):
    """Neural architecture optimisation: gradient ascent on the embeddings of the best, then decoding.

    An encoder reads the decisions of an architecture one after another; the mean of its outputs is the embedding. A
    predictor maps it to the accuracy, a decoder back to the decisions. A generation begins after a number of results,
    with a training of the three on all of them. The embeddings of the best are then moved up the gradient of the
    prediction, in growing steps, as long as proposals are asked for. The decoder chooses among the options of each
    decision, so that all that it writes is an architecture of the space.

    Unlike the source, the mirror images of a cell do not augment the data: equal architectures have one canonical code.
    A generation continues the model of the one before, and the learning rate is three times that of the source: the
    model reproduces its data after a tenth of the epochs of the source.

    Source: Luo et al., Neural Architecture Optimization (NeurIPS 2018), sections 3.1 to 3.3, algorithm 1; widths and
    loss weight of section 4.1.

    Args:
        initial: random proposals to begin with.
        parents: how many of the best are moved.
        per_generation: results between two trainings of the model.
        epochs: passes of its first training over its data; 1,000 in the source.
        refit_epochs: passes of each later one.
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
        epochs: int = 100,
        refit_epochs: int = 15,
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
            ("refit_epochs", refit_epochs, 1),
        ):
            if value < least:
                raise SearchError(f"{name}: {value} is not at least {least}")
        if not step > 0:
            raise SearchError(f"step: {step:g} is not above 0")
        if not 0 <= loss_weight <= 1:
            raise SearchError(f"loss_weight: {loss_weight:g} is not in [0, 1]")
        self._initial, self._parents, self._per_generation = initial, parents, per_generation
        self._epochs, self._refit_epochs, self._step, self._loss_weight = epochs, refit_epochs, step, loss_weight
        self._model: Embedding | None = None
        self._generation = -1
        self._decoded: Iterator[Architecture] = iter(())

    def _propose(self, generator: np.random.Generator) -> Architecture | None:
        # Each generation is trained, also where several begin at once: the model of a log must not depend on when
        # it was asked.
        while self._generation < (len(self._observations) - self._initial) // self._per_generation:
            self._generation += 1
            self._decoded = self._begin(self._generation)
        found = self._first_new(self._decoded)
        return self._random(generator) if found is None else found

    def _begin(self, generation: int) -> Iterator[Architecture]:
        """Trains the model on the results before a generation; gives what it then decodes."""
        scored = self._scored_by(self._initial + generation * self._per_generation)
        ranked = sorted(scored, key=scored.__getitem__, reverse=True)
        values = np.array([scored[one] for one in ranked])
        if len(set(values)) < 2:
            return iter(())
        targets = torch.tensor((values - values.min()) / np.ptp(values), dtype=torch.float32)
        choices = torch.tensor([self.space.choices(one) for one in ranked])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self._generator(generation).integers(2**31)))
            epochs = self._refit_epochs
            if self._model is None:
                self._model, epochs = Embedding([len(options) for options in self.space.decisions]), self._epochs
            self._model.fit(choices, targets, epochs=epochs, loss_weight=self._loss_weight)
        return self._decode(self._model.moved(choices[: self._parents], [n * self._step for n in range(1, STEPS + 1)]))

    def _decode(self, moved: Iterator[Tensor]) -> Iterator[Architecture]:
        """Allowed architectures among the moved ones, those of the shortest steps first; moved as far as asked for."""
        seen = set[tuple[int, ...]]()
        for rows in moved:
            for row in map(tuple, rows.tolist()):
                if row not in seen:
                    seen.add(row)
                    canonical = self.space.canonical(self.space.choose(row))
                    if self._allowed(canonical):
                        yield canonical


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
        optimiser = torch.optim.Adam(self.parameters(), lr=LEARNING_RATE, fused=True)
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

    def moved(self, choices: Tensor, lengths: Sequence[float]) -> Iterator[Tensor]:
        """Decodes architectures after one step of each length along the gradient of their predicted accuracy.

        Args:
            choices: option of each decision, (architectures, decisions).
            lengths: factors on the gradient; 0 decodes what was encoded.

        Yields:
            Options in the same form, for each length.
        """
        encoded = self._encode(choices + self._starts).detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self._predict(encoded).sum(), encoded)
        for length in lengths:
            with torch.no_grad():
                tokens = self._decode_greedily(functional.normalize(encoded + length * gradient, dim=-1))
            yield tokens - self._starts

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
        tokens = torch.cat([begin, before], dim=1)
        outputs = self._decoder(self._tokens(tokens), self._start(encoded))[0]
        return self._score(encoded, outputs).masked_fill(self._closed, -torch.inf)

    def _decode_greedily(self, encoded: Tensor) -> Tensor:
        """The best token of each decision, given the best of those before it, (architectures, decisions)."""
        state, chosen = self._start(encoded), []
        token = torch.full((len(encoded), 1), self._output.out_features)
        for closed in self._closed:
            output, state = self._decoder(self._tokens(token), state)
            token = self._score(encoded, output).masked_fill(closed, -torch.inf).argmax(dim=-1)
            chosen.append(token)
        return torch.cat(chosen, dim=1)

    def _start(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """State of the decoder at the beginning of a sequence."""
        mean = functional.normalize(encoded.mean(dim=1), dim=-1)[None]
        return mean, torch.zeros_like(mean)

    def _score(self, encoded: Tensor, outputs: Tensor) -> Tensor:
        """Scores of all tokens by outputs of the decoder, which attend to the encoder's."""
        attention = torch.softmax(outputs @ encoded.transpose(1, 2), dim=-1) @ encoded
        scores: Tensor = self._output(torch.tanh(self._join(torch.cat([outputs, attention], dim=-1))))
        return scores
