"""The stages of one prediction, each with a short explanation, a picture and its numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dashboards.components.colours import limits, quantised, ramp
from interp.analyses.lenses.prediction import Prediction
from interp.core.display import percent

MOST_CHIPS, MOST_ROWS, MOST_CELLS = 48, 10, 256
Data = dict[str, Any]


@dataclass(frozen=True)
class PassStage:
    """One stage.

    Attributes:
        name: short, for the row of stages.
        title: of its figure in a report.
        view: of the result's figure, where this stage's numbers are drawn in print.
        tell: gives the card.
    """

    name: str
    title: str
    view: str
    tell: Callable[[Prediction, str], Data]


def stages(n_layers: int) -> list[PassStage]:
    """Every stage in order, a block a stage."""
    blocks = [
        PassStage(f"Block {n}", "through the layers", "path", partial(_block, n))
        for n in range(n_layers)
    ]
    return [
        PassStage("Tokens", "through the layers", "path", _tokens),
        PassStage("Embedding", "through the layers", "path", _vectors),
        *blocks,
        PassStage("Logits", "what adds up to its logit", "contributions", _scores),
        PassStage("Probabilities", "its candidates", "candidates", _odds),
        PassStage("Sample", "the sampling", "draw", _draw),
        PassStage("Append", "its candidates", "candidates", _append),
    ]


def stage_card(result: Prediction, text: str, index: int) -> Data:
    """The card of one stage; `text` is the text so far."""
    known_stages = stages(len(result.attn_norms))
    return {"count": f"{index + 1} of {len(known_stages)}"} | known_stages[index].tell(result, text)


def _tokens(result: Prediction, text: str) -> Data:
    ids = result.ids.tolist()
    return {
        "title": "Split the text into tokens",
        "words": "A model does not read letters. The text is split into tokens, the entries of a "
        "fixed vocabulary, and only their ids go into the model. A dot stands for a space.",
        "chips": _chips(result, lambda pos: {"id": str(ids[pos])}),
        "numbers": [
            ["tokens", str(len(ids))],
            ["vocabulary", f"{result.n_vocab:,}"],
            ["generated or chosen by you", str(result.n_written)],
        ],
    }


def _chips(result: Prediction, tell: Callable[[int], Data]) -> Data:
    """The last tokens, each with its note."""
    n = len(result.tokens)
    first = max(0, n - MOST_CHIPS)
    own = range(n - result.n_written, n)
    chips = [{"token": result.tokens[p], "fresh": p in own} | tell(p) for p in range(first, n)]
    return {"tokens": chips, "before": f"{first} tokens before …" if first else ""}


def _vectors(result: Prediction, text: str) -> Data:
    norms, width = result.embed_norms.tolist(), len(result.vector)
    values = result.vector[:MOST_CELLS]
    low, high = limits(values, "diverging", None, None)
    extent = "" if width <= MOST_CELLS else f"the first {MOST_CELLS} of "
    return {
        "title": "Embed: every id becomes a vector",
        "words": f"The id of a token selects a row of the embedding matrix: a vector of {width} "
        "numbers, learned in training. Tokens that are used alike tend to have similar vectors. "
        "From here on the model works on these vectors only, its residual stream.",
        "chips": _chips(result, lambda pos: {"note": f"norm {norms[pos]:.2f}"}),
        "strip": {
            "ramp": ramp("diverging"),
            "steps": quantised(values, low, high),
            "words": f"{extent}{width} numbers of the last token {result.tokens[-1]}, "
            f"from {low:.2f} (blue) to {high:.2f} (orange)",
        },
        "numbers": [
            ["dimensions", str(width)],
            ["norm of the last token's vector", f"{norms[-1]:.3f}"],
        ],
    }


def _block(layer: int, result: Prediction, text: str) -> Data:
    weights = result.attention[layer].tolist()
    best, last = result.candidates[0], len(result.tokens) - 1

    def chip(pos: int) -> Data:
        note = percent(weights[pos])
        return {"weight": weights[pos] / max(weights), "note": note, "light": pos == last}

    named = list(zip(result.parts, result.contributions[:, 0].tolist(), strict=True))
    share = float(result.guess_probabilities[layer + 1])
    return {
        "title": f"Block {layer}: attention, then MLP",
        "words": "First, attention: the last token attends to itself and the tokens before it and "
        "copies information from them (the fuller a token is below, the more it is attended to). "
        "Then the MLP processes the result. Both add their output to the residual stream.",
        "chips": _chips(result, chip),
        "meters": _block_meters(result, layer),
        "aside": f"If the model stopped here, it would predict {result.guesses[layer + 1]} "
        f"({percent(share)}); before this block, {result.guesses[layer]} "
        f"({percent(float(result.guess_probabilities[layer]))}).",
        "numbers": [
            [f"{name} adds to the logit of {best}", f"{value:+.2f}"]
            for name, value in named
            if name.endswith(f" {layer}")
        ],
    }


def _block_meters(result: Prediction, layer: int) -> list[Data]:
    values = {
        "residual before": (result.resid_norms[layer, -1], "grey"),
        "attention adds": (result.attn_norms[layer, -1], ""),
        "MLP adds": (result.mlp_norms[layer, -1], "green"),
        "residual after": (result.resid_norms[layer + 1, -1], "grey"),
    }
    longest = max(float(value) for value, _ in values.values()) or 1.0
    return [
        {
            "name": name,
            "start": 0.0,
            "share": float(value) / longest,
            "value": f"norm {float(value):.2f}",
            "kind": kind,
        }
        for name, (value, kind) in values.items()
    ]


def _scores(result: Prediction, text: str) -> Data:
    best, score = result.candidates[0], float(result.scores[0])
    top = max(float(result.scores.max()), 1e-9)
    return {
        "title": "Unembed: a logit for every token",
        "words": "The residual stream of the last token is compared with the unembedding vector of "
        "every token in the vocabulary: the better they agree, the higher the logit. The logit of "
        f"{best}, the highest, is a sum; this is what each part of the model adds to it.",
        "meters": _waterfall(result),
        "candidates": _rows(
            result,
            "highest logits",
            ["logit"],
            lambda i: [_cell(max(float(result.scores[i]), 0.0) / top,
                             f"{float(result.scores[i]):.2f}", "orange" if i == 0 else "")],
            mark_cut=False,
        ),
        "numbers": [
            [f"logit of {best}", f"{score:.3f}"],
            ["sum of its parts", f"{float(result.contributions[:, 0].sum()):.3f}"],
            ["remainder", f"{result.gap:.1e}"],
        ],
    }  # fmt: skip


def _waterfall(result: Prediction) -> list[Data]:
    """Each part's bar begins where those before it have come to."""
    adding = result.contributions[:, 0].tolist()
    ends = [sum(adding[: i + 1]) for i in range(len(adding))]
    starts = [0.0, *ends[:-1]]
    low, high = min(0.0, *ends), max(1e-9, *ends)
    rows = [
        {
            "name": name,
            "start": (min(start, end) - low) / (high - low),
            "share": abs(end - start) / (high - low),
            "value": f"{value:+.2f}",
            "kind": "" if value >= 0 else "pink",
        }
        for name, value, start, end in zip(result.parts, adding, starts, ends, strict=True)
    ]
    share = abs(ends[-1]) / (high - low)
    start = (min(0.0, ends[-1]) - low) / (high - low)
    score = {"name": "logit", "start": start, "share": share, "value": f"{ends[-1]:.2f}"}
    return [*rows, score | {"kind": "orange"}]


def _rows(
    result: Prediction,
    head: str,
    columns: list[str],
    cells: Callable[[int], list[Data]],
    *,
    mark_cut: bool = True,
    mark_chosen: bool = False,
) -> Data:
    """The candidates as buttons, the chosen one always among them; those cut off can be marked."""
    rows = [i for i in range(len(result.candidates)) if i < MOST_ROWS or i == result.chosen]
    return {
        "head": head,
        "columns": columns,
        "rows": [
            {
                "token": result.candidates[i],
                "id": int(result.candidate_ids[i]),
                "chosen": mark_chosen and i == result.chosen,
                "cut": mark_cut and float(result.sampling_probabilities[i]) == 0,
                "cells": cells(i),
                "label": f"Continue with {result.candidates[i]}, "
                f"probability {percent(float(result.probabilities[i]))}",
            }
            for i in rows
        ],
    }


def _cell(share: float, value: str, kind: str = "") -> Data:
    return {"share": share, "value": value, "kind": kind}


def _odds(result: Prediction, text: str) -> Data:
    def cells(i: int) -> list[Data]:
        columns = (
            (result.probabilities, "grey"),
            (result.tempered_probabilities, "green"),
            (result.sampling_probabilities, ""),
        )
        return [_cell(float(of[i]), percent(float(of[i])), kind) for of, kind in columns]

    columns = ["at temperature 1", f"at temperature {result.temperature:g}", "after top-k, top-p"]
    return {
        "title": "Softmax: probabilities",
        "words": "The softmax turns logits into probabilities that sum to one. The temperature "
        "sharpens them (below 1) or flattens them (above 1); top-k and top-p remove the tail, and "
        "the rest is renormalized. Change them above, under 'Sampling'.",
        "candidates": _rows(result, "token", columns, cells),
        "numbers": [
            ["can be sampled", f"{result.n_kept:,} of {result.n_vocab:,} tokens"],
            ["probability kept", percent(result.kept_mass, 1)],
            ["entropy at temperature 1", f"{result.entropy_bits:.2f} bits"],
            ["entropy when sampling", f"{result.drawn_entropy_bits:.2f} bits"],
        ],
    }


def _draw(result: Prediction, text: str) -> Data:
    name, chosen = result.candidates[result.chosen], result.chosen
    luck = f"{result.draw:.4f} → {name}" if result.draw is not None else f"top token → {name}"
    words = (
        "Every token gets a segment of the bar as long as its probability, in the order of the "
        "ids. A random number between 0 and 1 selects the token whose segment it falls into. The "
        "same seed gives the same random numbers."
    )
    if result.draw is None:
        words = "At temperature 0 there is no sampling: the most probable token is always taken."
    return {
        "title": "Sample one token",
        "words": words,
        "dice": {"segments": _segments(result), "draw": result.draw, "label": luck},
        "candidates": _taking(result, "choose another token instead"),
        "numbers": [
            ["random number", "none" if result.draw is None else f"{result.draw:.4f}"],
            [
                f"segment of {name}",
                f"{float(result.cdf_low[chosen]):.4f} to {float(result.cdf_high[chosen]):.4f}",
            ],
            [
                "its probability when sampling",
                percent(float(result.sampling_probabilities[chosen]), 1),
            ],
        ],
    }


def _segments(result: Prediction) -> list[Data]:
    return [
        {
            "low": float(result.cdf_low[i]),
            "high": float(result.cdf_high[i]),
            "name": result.candidates[i],
            "chosen": i == result.chosen,
        }
        for i in range(len(result.candidates))
        if result.sampling_probabilities[i] > 0
    ]


def _taking(result: Prediction, head: str) -> Data:
    def cells(i: int) -> list[Data]:
        share = float(result.sampling_probabilities[i])
        return [_cell(share, percent(share), "orange" if i == result.chosen else "")]

    return _rows(result, head, ["probability when sampling"], cells, mark_chosen=True)


def _append(result: Prediction, text: str) -> Data:
    name = result.candidates[result.chosen]
    fresh = name.replace("·", " ").replace("⏎", "\n")
    ended = "This token ends the text: nothing can follow." if result.ends else ""
    return {
        "title": "Append the token and repeat",
        "words": ended
        or "The token is appended to the text, and everything repeats with the longer text: a "
        "language model generates one token at a time. Or choose another token and follow a new "
        "branch.",
        "text": {"before": text, "fresh": fresh, "after": " …"},
        "candidates": _taking(result, "or choose another"),
    }
