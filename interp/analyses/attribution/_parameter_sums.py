"""Numbers of single weights, added up by what the weights belong to; and the largest of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.protocols import LanguageModel
from interp.methods.parameters import Index, slices, weight_name


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Sums over weights, in double precision.

    Attributes:
        tensors: a sum a tensor, by TransformerLens' names, in the order of the forward pass.
        layers: embeddings, each layer, and the final norm with the unembedding.
        heads: `W_Q W_K W_V W_O` and their biases; without keys and values that heads share.
        neurons: `W_in W_gate W_out` and their biases; no column without MLPs.
        tokens: embedding and unembedding of each token.
    """

    tensors: dict[str, float]
    layers: Float[Tensor, " part"]
    heads: Float[Tensor, "layer head"]
    neurons: Float[Tensor, "layer neuron"]
    tokens: Float[Tensor, " d_vocab"]


def shares_of(model: LanguageModel, numbers: Mapping[str, Tensor]) -> Shares:
    """Add up by tensor, layer, head, neuron and token.

    Args:
        model: that the parameters are of.
        numbers: one a parameter, by PyTorch's names, in its layout.
    """
    cfg = model.cfg
    tensors: dict[str, float] = {}
    layers = [0.0] * (cfg.n_layers + 2)
    heads = [[0.0] * cfg.n_heads for _ in range(cfg.n_layers)]
    neurons = [[0.0] * cfg.d_mlp for _ in range(cfg.n_layers)]
    tokens = [0.0] * cfg.d_vocab
    held = {"head": heads, "neuron": neurons, "token": [tokens]}
    sums = {name: SliceSums.of(values) for name, values in numbers.items()}
    for piece in slices(model):
        amount = sums[piece.tensor].at(piece.index)
        tensors[piece.matrix] = tensors.get(piece.matrix, 0.0) + amount
        layers[_layer(piece.matrix, piece.layer)] += amount
        if piece.kind in held:
            held[piece.kind][piece.layer or 0][piece.number] += amount
    return Shares(
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


def tensor_names(model: LanguageModel) -> tuple[str, ...]:
    """The keys of `Shares.tensors`."""
    return tuple(dict.fromkeys(piece.matrix for piece in slices(model)))


def layer_names(model: LanguageModel) -> tuple[str, ...]:
    """The rows of `Shares.layers`."""
    inner = (f"layer {layer}" for layer in range(model.cfg.n_layers))
    return ("embedding", *inner, "unembedding")


@dataclass(frozen=True, kw_only=True)
class Weight:
    """One weight and its number."""

    tensor: str
    place: int
    value: float


def largest(numbers: Mapping[str, Tensor], k: int) -> list[Weight]:
    """The `k` weights of the largest numbers by size, found tensor by tensor.

    Args:
        numbers: one a parameter.
        k: how many.
    """
    found: list[Weight] = []
    for name, values in numbers.items():
        flat = values.flatten()
        best = flat.abs().topk(min(k, flat.numel())).indices
        pairs = zip(best.tolist(), flat[best].tolist(), strict=True)
        found += [Weight(tensor=name, place=place, value=value) for place, value in pairs]
        found = sorted(found, key=lambda weight: -abs(weight.value))[:k]
    return found


def named(model: LanguageModel, weights: list[Weight]) -> tuple[str, ...]:
    """Their names: `W_Q[2, 1][17, 3]`."""
    return tuple(weight_name(model, weight.tensor, weight.place) for weight in weights)


@dataclass(frozen=True, kw_only=True)
class SliceSums:
    """Sums of a tensor's rows and columns, in double precision: a slice is some of either.

    Attributes:
        rows: a sum a row; of a vector, its numbers.
        columns: a sum a column; of a vector, none.
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
        """Over the slice of this index (see `_parameters.Slice`): whole, rows, or columns."""
        if len(index) == 2:
            return _over(self.columns, index[1])
        return _over(self.rows, *index) if index else sum(self.rows)


def _over(sums: list[float], place: int | slice) -> float:
    return sum(sums[place]) if isinstance(place, slice) else sums[place]
