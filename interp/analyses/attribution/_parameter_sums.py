"""Numbers of single weights, added up by what the weights belong to; and the largest of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.protocols import LanguageModel
from interp.methods.parameters import Index, Parameters, parameters_of, slices, weight_name

PRECISE_BELOW = 10_000_000
Weight = tuple[str, int, float]
"""One weight: PyTorch's name of its tensor, its index in the flattened tensor, its number."""


def precise_parameters(model: LanguageModel) -> Parameters:
    """A model's parameters as leaves, in double precision where that is cheap.

    Small changes of a loss are lost in single precision.
    """
    params = parameters_of(model, shared=True)
    small = sum(p.numel() for p in params.values()) <= PRECISE_BELOW
    return parameters_of(model, dtype=torch.float64) if small else params


@dataclass(frozen=True, kw_only=True)
class ComponentSums:
    """Sums over weights, in double precision.

    Attributes:
        tensors: the sum of each tensor, by TransformerLens' names, in the forward pass' order.
        layers: the sums of the embeddings, of each layer, and of final norm and unembedding.
        heads: the sums of each head's `W_Q W_K W_V W_O` and biases; without keys and values that
            heads share.
        neurons: the sums of each neuron's `W_in W_gate W_out` and biases; no column without MLPs.
        tokens: the sums of each token's embedding and unembedding.
    """

    tensors: dict[str, float]
    layers: Float[Tensor, " part"]
    heads: Float[Tensor, "layer head"]
    neurons: Float[Tensor, "layer neuron"]
    tokens: Float[Tensor, " d_vocab"]

    @property
    def row(self) -> Float[Tensor, " part"]:
        """Every sum, one after the other."""
        tensors = _exact(list(self.tensors.values()))
        others = (self.layers, self.heads, self.neurons, self.tokens)
        return torch.cat([tensors, *(sums.flatten() for sums in others)])


def calls_by_part(model: LanguageModel) -> float:
    """Small steps that adding up by part takes, for `interp.core.cost.announce`."""
    cfg = model.cfg
    parts = 2 * cfg.d_vocab + cfg.n_layers * (4 * cfg.n_heads + 3 * cfg.d_mlp)
    return 6 * parts


def component_sums(
    model: LanguageModel,
    numbers: Mapping[str, Tensor],
    of: Callable[[Tensor], Tensor] = Tensor.detach,
) -> ComponentSums:
    """Add up by tensor, layer, head, neuron and token.

    Args:
        model: that the parameters are of.
        numbers: a number for each weight, by PyTorch's names, in the parameters' layout.
        of: what is added up, taken of one tensor at a time: no second copy of all numbers is held.
    """
    cfg = model.cfg
    tensors: dict[str, float] = {}
    layers = [0.0] * (cfg.n_layers + 2)
    heads = [[0.0] * cfg.n_heads for _ in range(cfg.n_layers)]
    neurons = [[0.0] * cfg.d_mlp for _ in range(cfg.n_layers)]
    tokens = [0.0] * cfg.d_vocab
    tables = {"head": heads, "neuron": neurons, "token": [tokens]}
    sums = {name: SliceSums.of(of(values)) for name, values in numbers.items()}
    for part in slices(model):
        amount = sums[part.tensor].at(part.index)
        tensors[part.matrix] = tensors.get(part.matrix, 0.0) + amount
        layers[_layer(part.matrix, part.layer)] += amount
        if part.kind in tables:
            tables[part.kind][part.layer or 0][part.number] += amount
    return ComponentSums(
        tensors=tensors,
        layers=_exact(layers),
        heads=_exact(heads),
        neurons=_exact(neurons).view(cfg.n_layers, cfg.d_mlp),
        tokens=_exact(tokens),
    )


def _exact(numbers: list) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _layer(matrix: str, layer: int | None) -> int:
    """0 = embeddings, then the layers, then the way out."""
    if layer is not None:
        return layer + 1
    return 0 if matrix in ("W_E", "W_pos") else -1


def layer_names(model: LanguageModel) -> tuple[str, ...]:
    """The rows of `ComponentSums.layers`."""
    inner = (f"layer {layer}" for layer in range(model.cfg.n_layers))
    return ("embedding", *inner, "unembedding")


def largest(numbers: Mapping[str, Tensor], k: int) -> list[Weight]:
    """The `k` weights whose numbers are largest in size, of either sign.

    Args:
        numbers: a number for each weight, by parameter.
        k: how many weights.
    """
    # Tensor by tensor: one flat copy of all parameters would double the memory.
    leaders: list[Weight] = []
    for name, values in numbers.items():
        flat = values.flatten()
        best = flat.abs().topk(min(k, flat.numel())).indices
        pairs = zip(best.tolist(), flat[best].tolist(), strict=True)
        leaders += [(name, place, value) for place, value in pairs]
        leaders = sorted(leaders, key=lambda weight: -abs(weight[2]))[:k]
    return leaders


def weight_names(model: LanguageModel, weights: list[Weight]) -> tuple[str, ...]:
    """The weights' names: `W_Q[2, 1][17, 3]`."""
    return tuple(weight_name(model, tensor, place) for tensor, place, _ in weights)


def stacked_fields(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """A result's fields from rows of them: tensors stacked, all else as tuples."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {
        name: torch.stack(column) if isinstance(column[0], Tensor) else tuple(column)
        for name, column in columns.items()
    }


@dataclass(frozen=True, kw_only=True)
class SliceSums:
    """Sums of a tensor's rows and columns, in double precision.

    A head, a neuron or a token owns whole rows of some matrices and whole columns of others. Two
    passes over a tensor give all of its rows' and columns' sums; a pass a slice would go over it
    once for each of thousands of neurons.

    Attributes:
        rows: the sum of each row; a vector's own numbers.
        columns: the sum of each column; empty for a vector.
    """

    rows: list[float]
    columns: list[float]

    @classmethod
    def of(cls, values: Tensor) -> "SliceSums":
        """The sums of numbers in a parameter's layout."""
        exact = values.detach().cpu().double()
        if exact.ndim < 2:
            return cls(rows=exact.tolist(), columns=[])
        return cls(rows=exact.sum(1).tolist(), columns=exact.sum(0).tolist())

    def at(self, index: Index) -> float:
        """The sum over a slice (see `methods.parameters.Slice`): all of it, rows, or columns."""
        if not index:
            return sum(self.rows)
        sums, place = (self.columns if len(index) == 2 else self.rows), index[-1]
        return sum(sums[place]) if isinstance(place, slice) else sums[place]
