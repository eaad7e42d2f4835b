"""Contributions of a model's parts to an update, and to the decrease of the loss it predicts."""

from collections import Counter

import torch

from interp.analyses.attribution._parameter_sums import SliceSums
from interp.core.protocols import LanguageModel
from interp.methods.parameters import Parameters, Slice, slices
from interp.methods.prompts import displayed

KINDS = ("layer", "tensor", "head", "neuron", "token")
MOST = 24


def part_contributions(
    model: LanguageModel, update: Parameters, gain: Parameters
) -> dict[str, object]:
    """Shares by kind of part, the largest update first; of many parts the first `MOST`.

    Args:
        model: that the parameters are of.
        update: what was added to each weight.
        gain: what each weight was predicted to gain.
    Returns:
        Fields of `GradientStep`: `part_kinds` and `parts` (`layer 2`, `W_Q[2]`, `head 2.1`, `neuron
        0.17`, `reading ·garden`), what share of the squared update each `moved`, and what share of
        the predicted gain it `gained` (below 0, its update raises the loss).
    """
    parts: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    whole = [0.0, 0.0]
    # Squares, not lengths: they add up over disjoint slices, so shares of one kind add up to 1.
    squares = {name: SliceSums.of(value.square()) for name, value in update.items()}
    gains = {name: SliceSums.of(value) for name, value in gain.items()}
    labels = _token_labels(model)
    for part in slices(model):
        amounts = [sums[part.tensor].at(part.index) for sums in (squares, gains)]
        whole = [a + b for a, b in zip(whole, amounts, strict=True)]
        for kind, name in _names(part, labels).items():
            sums = parts[kind].setdefault(name, [0.0, 0.0])
            sums[0] += amounts[0]
            sums[1] += amounts[1]
    moved, gained = (value or 1.0 for value in whole)
    rows = [
        (kind, name, *sums)
        for kind, of_kind in parts.items()
        for name, sums in sorted(of_kind.items(), key=lambda item: -item[1][0])[:MOST]
    ]
    kinds, names, of_update, of_gain = zip(*rows, strict=True)
    shares = {"moved": torch.tensor(of_update) / moved, "gained": torch.tensor(of_gain) / gained}
    return {"part_kinds": kinds, "parts": names, **shares}


def _names(part: Slice, labels: dict[int, str]) -> dict[str, str]:
    """The part of each kind that a slice belongs to."""
    names = {"tensor": part.matrix, "layer": _layer(part)}
    number = f"{part.layer}.{part.number}"
    if part.kind in ("head", "kv_head"):
        names["head"] = f"head {number}" if part.kind == "head" else f"key-value head {number}"
    elif part.kind == "neuron":
        names["neuron"] = f"neuron {number}"
    elif part.kind == "token":
        way = "reading" if part.matrix == "W_E" else "saying"
        names["token"] = f"{way} {labels.get(part.number, part.number)}"
    return names


def _layer(part: Slice) -> str:
    outer = {"W_E": "embedding", "W_pos": "embedding", "W_U": "unembedding"}
    if part.layer is not None:
        return f"layer {part.layer}"
    return outer.get(part.matrix, "final norm")


def _token_labels(model: LanguageModel) -> dict[int, str]:
    """Every token as people see it; those that look alike also carry their ids."""
    texts = displayed(model.tokenizer, range(min(model.cfg.d_vocab, model.tokenizer.d_vocab)))
    count = Counter(texts)
    return {i: text if count[text] == 1 else f"{text} ({i})" for i, text in enumerate(texts)}
