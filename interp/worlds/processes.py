"""Hidden Markov processes: the reader's belief about the hidden state is known at every symbol."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from einops import einsum, rearrange
from jaxtyping import Float

from interp.worlds.sequences import SequenceWorld
from interp.worlds.world import Fact, Span


class HiddenMarkov(SequenceWorld):
    """A hidden state moves and emits a symbol at every step; documents begin in stationarity.

    Args:
        name: the world's name.
        symbols: one a matrix.
        matrices: `matrices[x, i, j]` = probability to emit x and go to state j, from state i.
        length: symbols in a document.
        prefix_length: symbols that decide the split.
    """

    def __init__(
        self,
        name: str,
        symbols: Sequence[str],
        matrices: Float[np.ndarray, "symbol state next_state"],
        *,
        length: int = 64,
        prefix_length: int,
    ) -> None:
        super().__init__(name, symbols, length=length, prefix_length=prefix_length)
        self.matrices = matrices
        n_states = matrices.shape[1]
        moves = matrices.sum(0)
        if not np.allclose(moves.sum(1), 1, atol=1e-12):
            raise ValueError("from every state the probabilities must sum to one")
        # Stationary: one step changes nothing, p @ moves = p, and the probabilities sum to one.
        system = np.vstack([moves.T - np.eye(n_states), np.ones(n_states)])
        self.stationary = np.linalg.lstsq(system, np.eye(n_states + 1)[-1], rcond=None)[0]
        states = tuple(map(str, range(n_states)))
        self.variables: Mapping[str, tuple[str, ...]] = {"state": states, "likely_state": states}

    def draw(self, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """Symbols, and the true hidden state after each."""
        n_states = len(self.stationary)
        cells = rearrange(self.matrices, "symbol state next -> state (symbol next)")
        edges = np.cumsum(cells, axis=1)
        state = int(np.searchsorted(np.cumsum(self.stationary)[:-1], rng.random(), side="right"))
        sequence, hidden = [], []
        for uniform in rng.random(self.length):
            cell = int(np.searchsorted(edges[state][:-1], uniform, side="right"))
            symbol, state = divmod(cell, n_states)
            sequence.append(symbol)
            hidden.append(state)
        return sequence, hidden

    def beliefs(self, text: str) -> Float[np.ndarray, "symbol state"]:
        """The probability of every hidden state for one who has read up to each symbol.

        Raises:
            WorldError: the world cannot have told this text.
        """
        self.surprisal(text)
        return self._filter(self.numbers(text))[0]

    def block_entropy_nats(self, n: int) -> float:
        """The exact entropy of the first `n` symbols together, by the sum over all sequences.

        Args:
            n: symbols; the number of sequences grows with it as a power.
        """
        # By the chain rule it is the sum of each symbol's entropy given those before it, and of
        # those before only the belief that they leave matters.
        beliefs, weights, total = self.stationary[None], np.ones(1), 0.0
        for _ in range(n):
            joint = einsum(
                beliefs, self.matrices, "seq state, symbol state next -> seq symbol next"
            )
            chances = joint.sum(-1)
            total += float(weights @ _entropy(chances))
            weights = rearrange(weights[:, None] * chances, "seq symbol -> (seq symbol)")
            joint = rearrange(joint, "seq symbol next -> (seq symbol) next")
            possible = weights > 0
            weights, joint = weights[possible], joint[possible]
            beliefs = joint / joint.sum(-1, keepdims=True)
        return total

    def price(self, sequence: Sequence[int]) -> list[tuple[float, float, str]]:
        """Exact, by the forward algorithm."""
        _, chances = self._filter(sequence)
        with np.errstate(divide="ignore"):
            nats = -np.log(chances[np.arange(len(sequence)), list(sequence)])
        return [(n, h, "symbol") for n, h in zip(nats, _entropy(chances), strict=True)]

    def facts(
        self, sequence: Sequence[int], hidden: Sequence[int], spans: Sequence[Span]
    ) -> tuple[Fact, ...]:
        """The true state (tagged `hidden`: no reader can know it), and the likeliest one."""
        likely = self._filter(sequence)[0].argmax(-1)
        truths = [("likely_state", likely, ()), ("state", hidden, ("hidden",))]
        return tuple(
            Fact(span=span, variable=variable, value=str(state), role="state", tags=tags)
            for variable, states, tags in truths
            for span, state in zip(spans, states, strict=len(states) > 0)
        )

    def _filter(self, sequence: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The belief after each symbol, and the chance of every symbol before it."""
        belief = self.stationary
        beliefs = np.empty((len(sequence), len(belief)))
        chances = np.zeros((len(sequence), len(self.symbols)))
        for i, symbol in enumerate(sequence):
            joint = belief @ self.matrices  # of each symbol, and of each state it leads to
            chances[i] = joint.sum(-1)
            if chances[i, symbol] <= 0:
                return beliefs, chances  # what follows an impossible symbol has no chance either
            belief = beliefs[i] = joint[symbol] / chances[i, symbol]
        return beliefs, chances


def mess3(x: float = 0.05, a: float = 0.85) -> HiddenMarkov:
    """Three states that are never certain: the reader's beliefs form a fractal in a triangle.

    Args:
        x: probability of moving to each other state.
        a: how faithfully a state's own symbol shows it.
    Source:
        Marzen and Crutchfield 2017; Shai et al. 2024, "Transformers represent belief state geometry
        in their residual stream".
    """
    own, other = 1 - 2 * x, (1 - a) / 2
    stay = np.full((3, 3), x) + np.eye(3) * (own - x)
    shows = np.full((3, 3), other) + np.eye(3) * (a - other)
    # A move to state j and then symbol x of that state: T[x, i, j] = stay[i, j] * shows[x, j].
    matrices = shows[:, None, :] * stay[None]
    return HiddenMarkov("mess3", ("A", "B", "C"), matrices, prefix_length=6)


def rrxor() -> HiddenMarkov:
    """Two random bits, then their exclusive or, over and over; the reader must find the phase.

    Source:
        Shai et al. 2024. States: 0 = start, 1 and 2 = the first bit, 3 and 4 = the coming xor.
    """
    matrices = np.zeros((2, 5, 5))
    for first in (0, 1):
        matrices[first, 0, 1 + first] = 0.5
        matrices[first, 3 + first, 0] = 1.0
        for second in (0, 1):
            matrices[second, 1 + first, 3 + (first ^ second)] = 0.5
    return HiddenMarkov("rrxor", ("0", "1"), matrices, prefix_length=9)


def _entropy(chances: np.ndarray) -> np.ndarray:
    safe = np.where(chances > 0, chances, 1.0)
    return -(safe * np.log(safe)).sum(-1) + 0.0


WORLDS: dict[str, Callable[[], SequenceWorld]] = {"mess3": mess3, "rrxor": rrxor}
