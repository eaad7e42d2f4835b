"""Which parts of a model an update moved, and which parts its gain came from."""

from collections import defaultdict
from dataclasses import dataclass

from interp.analyses.attribution._parameter_sums import SliceSums
from interp.core.protocols import LanguageModel
from interp.methods.parameters import Parameters, Slice, slices
from interp.methods.prompts import displayed

KINDS = ("layer", "tensor", "head", "neuron", "token")
MOST = 24


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of the model.

    Attributes:
        kind: one of KINDS.
        name: of the part: `layer 2`, `W_Q[2]`, `head 2.1`, `neuron 0.17`, `reading ·garden`.
        moved: its share of the squared update.
        gained: its share of the predicted gain; below 0, its steps were against the gradient.
    """

    kind: str
    name: str
    moved: float
    gained: float


def parts_moved(model: LanguageModel, update: Parameters, gain: Parameters) -> list[Part]:
    """Shares by kind of part, the largest update first; of many parts the first `MOST`.

    Args:
        model: that the parameters are of.
        update: what was added to each weight.
        gain: what each weight was predicted to gain.
    """
    found: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    whole = [0.0, 0.0]
    squares = {name: SliceSums.of(value.square()) for name, value in update.items()}
    gains = {name: SliceSums.of(value) for name, value in gain.items()}
    spoken = _spoken(model)
    for piece in slices(model):
        amounts = [held[piece.tensor].at(piece.index) for held in (squares, gains)]
        whole = [a + b for a, b in zip(whole, amounts, strict=True)]
        for kind, name in _names(piece, spoken).items():
            sums = found[kind].setdefault(name, [0.0, 0.0])
            sums[0] += amounts[0]
            sums[1] += amounts[1]
    moved, gained = (value or 1.0 for value in whole)
    return [
        Part(kind=kind, name=name, moved=sums[0] / moved, gained=sums[1] / gained)
        for kind, held in found.items()
        for name, sums in sorted(held.items(), key=lambda item: -item[1][0])[:MOST]
    ]


def _names(piece: Slice, spoken: dict[int, str]) -> dict[str, str]:
    """The part of each kind that a slice belongs to."""
    names = {"tensor": piece.matrix, "layer": _layer(piece)}
    at = f"{piece.layer}.{piece.number}"
    if piece.kind in ("head", "kv_head"):
        names["head"] = f"head {at}" if piece.kind == "head" else f"key-value head {at}"
    elif piece.kind == "neuron":
        names["neuron"] = f"neuron {at}"
    elif piece.kind == "token":
        way = "reading" if piece.matrix == "W_E" else "saying"
        names["token"] = f"{way} {spoken.get(piece.number, piece.number)}"
    return names


def _layer(piece: Slice) -> str:
    outer = {"W_E": "embedding", "W_pos": "embedding", "W_U": "unembedding"}
    if piece.layer is not None:
        return f"layer {piece.layer}"
    return outer.get(piece.matrix, "final norm")


def _spoken(model: LanguageModel) -> dict[int, str]:
    """Every token as people see it; those that look alike are told apart by their ids."""
    shown = displayed(model.tokenizer, range(min(model.cfg.d_vocab, model.tokenizer.d_vocab)))
    count: dict[str, int] = defaultdict(int)
    for text in shown:
        count[text] += 1
    return {i: text if count[text] == 1 else f"{text} ({i})" for i, text in enumerate(shown)}
