"""The stages of one prediction, each with a sentence for a newcomer, a picture and its numbers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dashboards.components.colours import limits, quantised, ramp
from interp.analyses.lenses.prediction import Prediction

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
        PassStage(f"Block {n}", "through the layers", "path", _block(n)) for n in range(n_layers)
    ]
    return [
        PassStage("Tokens", "through the layers", "path", _tokens),
        PassStage("Vectors", "through the layers", "path", _vectors),
        *blocks,
        PassStage("Scores", "what adds up to its score", "contributions", _scores),
        PassStage("Odds", "its candidates", "candidates", _odds),
        PassStage("Draw", "the draw", "draw", _draw),
        PassStage("Append", "its candidates", "candidates", _append),
    ]


def told(result: Prediction, text: str, at: int) -> Data:
    """The card of stage `at`; `text` is what was read, as it stands on paper."""
    known = stages(len(result.attn_norms))
    return {"count": f"{at + 1} of {len(known)}"} | known[at].tell(result, text)


def percent(share: float) -> str:
    """A probability in few signs.

    Example:
        >>> percent(0.4321), percent(0.0312), percent(0.00002), percent(0.0)
        ('43%', '3.1%', '0.0020%', '0%')
    """
    if share >= 0.0995:
        return f"{share:.0%}"
    if share >= 0.00095:
        return f"{share:.1%}"
    return f"{100 * share:.4f}%" if share >= 1e-6 else f"{share:.0e}" if share else "0%"


def _tokens(result: Prediction, text: str) -> Data:
    ids = result.ids.tolist()
    return {
        "title": "Cut the text into tokens",
        "words": "A network does not read letters. The text is cut into pieces that it knows, "
        "tokens, and each piece stands in a list: its number there is all that goes in. A dot "
        "stands for a space.",
        "chips": _chips(result, lambda pos: {"id": str(ids[pos])}),
        "numbers": [
            ["tokens", str(len(ids))],
            ["pieces it knows", f"{result.n_vocab:,}"],
            ["of these, written by it or chosen by you", str(result.n_written)],
        ],
    }


def _chips(result: Prediction, tell: Callable[[int], Data]) -> Data:
    """The last tokens, with what is told of each."""
    n = len(result.tokens)
    first = max(0, n - MOST_CHIPS)
    own = range(n - result.n_written, n)
    shown = [{"token": result.tokens[p], "fresh": p in own} | tell(p) for p in range(first, n)]
    return {"tokens": shown, "before": f"{first} tokens before …" if first else ""}


def _vectors(result: Prediction, text: str) -> Data:
    norms, width = result.embed_norms.tolist(), len(result.vector)
    shown = result.vector[:MOST_CELLS]
    low, high = limits(shown, "diverging", None, None)
    part = "" if width <= MOST_CELLS else f"the first {MOST_CELLS} of "
    return {
        "title": "Look each token up: a number becomes a vector",
        "words": f"Each token's number is the row of a table, and the row is a list of {width} "
        "numbers, learned in training. The list is a place in a space where tokens that are used "
        "alike stand near each other. From here on, the network works on these lists only.",
        "chips": _chips(result, lambda pos: {"note": f"norm {norms[pos]:.2f}"}),
        "strip": {
            "ramp": ramp("diverging"),
            "steps": quantised(shown, low, high),
            "words": f"{part}{width} numbers of the last token {result.tokens[-1]}, "
            f"from {low:.2f} (blue) to {high:.2f} (orange)",
        },
        "numbers": [
            ["numbers a token", str(width)],
            ["norm of the last token's vector", f"{norms[-1]:.3f}"],
        ],
    }


def _block(layer: int) -> Callable[[Prediction, str], Data]:
    def tell(result: Prediction, text: str) -> Data:
        return _told_of_block(result, layer)

    return tell


def _told_of_block(result: Prediction, layer: int) -> Data:
    looks = result.looks[layer]
    most = float(looks.max())
    best, last = result.candidates[0], len(result.tokens) - 1
    named = list(zip(result.parts, result.contributions[:, 0].tolist(), strict=True))
    adding = {name: value for name, value in named if name.endswith(f" {layer}")}
    share = float(result.guess_probabilities[layer + 1])
    return {
        "title": f"Block {layer}: look around, then think",
        "words": "First, attention: the last token looks back at the others and fetches what it "
        "needs (the fuller a token is below, the more it is looked at). Then the MLP works on "
        "what was gathered. Both add to the token's list of numbers; nothing is ever wiped out.",
        "chips": _chips(
            result,
            lambda pos: {
                "weight": float(looks[pos]) / most,
                "note": percent(float(looks[pos])) if looks[pos] >= 1e-3 else "<0.1%",
                "light": pos == last,
            },
        ),
        "meters": _block_meters(result, layer),
        "aside": f"If the network stopped here, it would say {result.guesses[layer + 1]} "
        f"({percent(share)}); before this block, {result.guesses[layer]} "
        f"({percent(float(result.guess_probabilities[layer]))}).",
        "numbers": [[f"{name} adds to the score of {best}", f"{v:+.2f}"] for name, v in
                    adding.items()],
    }  # fmt: skip


def _block_meters(result: Prediction, layer: int) -> list[Data]:
    values = {
        "stream before": (result.resid_norms[layer, -1], "grey"),
        "attention adds": (result.attn_norms[layer, -1], ""),
        "MLP adds": (result.mlp_norms[layer, -1], "green"),
        "stream after": (result.resid_norms[layer + 1, -1], "grey"),
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
        "title": "Compare with every token: scores",
        "words": "What the last token's list has become is compared with the list of each token "
        "that the network knows. The better they agree, the higher the score (a logit). The score "
        f"of {best}, the best, is a sum: here is what each part of the network put in.",
        "meters": _waterfall(result),
        "candidates": _rows(
            result,
            "all scores, the best",
            ["score"],
            lambda i: [_cell(max(float(result.scores[i]), 0.0) / top,
                             f"{float(result.scores[i]):.2f}", "orange" if i == 0 else "")],
        ),
        "numbers": [
            [f"score of {best}", f"{score:.3f}"],
            ["sum of its parts", f"{float(result.contributions[:, 0].sum()):.3f}"],
            ["left over", f"{result.gap:.1e}"],
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
    score = {"name": "score", "start": start, "share": share, "value": f"{ends[-1]:.2f}"}
    return [*rows, score | {"kind": "orange"}]


def _rows(
    result: Prediction, head: str, columns: list[str], cells: Callable[[int], list[Data]]
) -> Data:
    """The candidates as buttons, the chosen one always among them."""
    return {
        "head": head,
        "columns": columns,
        "rows": [
            {
                "token": result.candidates[i],
                "id": int(result.candidate_ids[i]),
                "chosen": False,
                "cut": False,
                "cells": cells(i),
                "label": f"Go on with {result.candidates[i]}, "
                f"probability {percent(float(result.probabilities[i]))}",
            }
            for i in _shown(result)
        ],
    }


def _cell(share: float, value: str, kind: str = "") -> Data:
    return {"share": share, "value": value, "kind": kind}


def _odds(result: Prediction, text: str) -> Data:
    def cells(i: int) -> list[Data]:
        columns = ((result.probabilities, "grey"), (result.heated, "green"), (result.drawn, ""))
        return [_cell(float(of[i]), percent(float(of[i])), kind) for of, kind in columns]

    columns = ["at temperature 1", f"at {result.temperature:g}", "after cut-offs"]
    rows = _rows(result, "token", columns, cells)
    for row, i in zip(rows["rows"], _shown(result), strict=True):
        row["cut"] = float(result.drawn[i]) == 0
    return {
        "title": "Turn scores into odds",
        "words": "Scores become probabilities that sum to one. The temperature sharpens them "
        "(below 1) or flattens them (above 1); the cut-offs strike out the tail, and the rest "
        "shares what was theirs. Change them above, in 'How it draws', and watch.",
        "candidates": rows,
        "numbers": [
            ["can be drawn", f"{result.n_kept:,} of {result.n_vocab:,} tokens"],
            ["probability kept", f"{result.kept_mass:.1%}"],
            ["entropy at temperature 1", f"{result.entropy_bits:.2f} bits"],
            ["entropy as drawn", f"{result.drawn_entropy_bits:.2f} bits"],
        ],
    }


def _shown(result: Prediction) -> list[int]:
    return [i for i in range(len(result.candidates)) if i < MOST_ROWS or i == result.chosen]


def _draw(result: Prediction, text: str) -> Data:
    name, at = result.candidates[result.chosen], result.chosen
    luck = f"draw {result.draw:.4f} → {name}" if result.draw is not None else f"best → {name}"
    words = (
        "Every token gets a piece of a bar as long as its probability, in the order of their "
        "numbers. Then a die is cast: one random number from 0 to 1. The token whose piece it hits "
        "is written. The same seed casts the same numbers."
    )
    if result.draw is None:
        words = "At temperature 0 nothing is drawn: the best token is always taken."
    return {
        "title": "Cast the die",
        "words": words,
        "dice": {"segments": _segments(result), "draw": result.draw, "told": luck},
        "candidates": _taking(result, "take another token instead"),
        "numbers": [
            ["random number", "none" if result.draw is None else f"{result.draw:.4f}"],
            [f"piece of {name}", f"{float(result.low[at]):.4f} to {float(result.high[at]):.4f}"],
            ["its probability as drawn", f"{float(result.drawn[at]):.1%}"],
        ],
    }


def _segments(result: Prediction) -> list[Data]:
    return [
        {
            "low": float(result.low[i]),
            "high": float(result.high[i]),
            "name": result.candidates[i],
            "chosen": i == result.chosen,
        }
        for i in range(len(result.candidates))
        if result.drawn[i] > 0
    ]


def _taking(result: Prediction, head: str) -> Data:
    def cells(i: int) -> list[Data]:
        share = float(result.drawn[i])
        return [_cell(share, percent(share), "orange" if i == result.chosen else "")]

    rows = _rows(result, head, ["probability as drawn"], cells)
    for row, i in zip(rows["rows"], _shown(result), strict=True):
        row["chosen"] = i == result.chosen
        row["cut"] = float(result.drawn[i]) == 0
    return rows


def _append(result: Prediction, text: str) -> Data:
    name = result.candidates[result.chosen]
    fresh = name.replace("·", " ").replace("⏎", "\n")
    ended = "The token ends the text: there is nothing to go on with." if result.ends else ""
    return {
        "title": "Append, and begin again",
        "words": ended
        or "The token joins the text, and the whole way begins again with one token more. That is "
        "all there is to writing: one token at a time. Or take another token, and see where that "
        "leads: a new branch.",
        "text": {"before": text, "fresh": fresh, "after": " …"},
        "candidates": _taking(result, "or take another"),
    }
