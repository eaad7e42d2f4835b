"""The tokens of a text, coloured by what a head attends to, above a grid of all heads."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from dashboards.components import component

Look = Literal["from", "to"]
Combine = Literal["mean", "largest"]
LEVELS = 255


@dataclass(frozen=True, kw_only=True)
class HeadSelection:
    """What is picked: a head or several, and the locked token; -1 = all, or no token."""

    layer: int = 0
    head: int = 0
    word: int = -1


@dataclass(frozen=True, kw_only=True)
class HeadNotes:
    """What the grid shows of each head besides its picture.

    Attributes:
        badges: a word or two below the picture; empty where nothing stands out.
        words: the full sentence, for the pointer and for screen readers.
        effect: numbers to colour the grid by, in place of the pictures.
        caption: what the pictures or numbers are.
    """

    badges: Sequence[Sequence[str]] = ()
    words: Sequence[Sequence[str]] = ()
    effect: Sequence[Sequence[float]] = ()
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is drawn.

    Attributes:
        tokens: for display.
        weights: of the layers that are sent; the future is left out.
        selection: what is picked.
        layers: the numbers of the layers that are sent; the others come when they are picked.
        n_layers: rows of the grid.
        notes: what is said of each head.
        look: `from` = what a token attends to, `to` = what attends to it.
        combine: how several heads become one number.
        unit: what a weight is.
    """

    tokens: Sequence[str]
    weights: Float[Tensor, "layer head query key"]
    selection: HeadSelection
    layers: Sequence[int]
    n_layers: int
    notes: HeadNotes
    look: Look
    combine: Combine
    unit: str


def draw(scene: Scene, *, key: str, on_change: Callable[[], None]) -> None:
    """Draw the tokens and the heads; what is picked there comes back as the state `at`.

    Args:
        scene: what is drawn.
        key: of the component; its state is in the session under it.
        on_change: called when a token or head is picked.
    """
    data = {
        "tokens": list(scene.tokens),
        "weights": pack(scene.weights),
        "layers": list(scene.layers),
        "n_layers": scene.n_layers,
        "n_heads": scene.weights.shape[1],
        "look": scene.look,
        "combine": scene.combine,
        "unit": scene.unit,
        "selection": asdict(scene.selection),
        "notes": asdict(scene.notes),
    }
    component("attention")(key=key, data=data, on_at_change=on_change)


def quantised(
    weights: Float[Tensor, "layer head query key"],
) -> UInt8[np.ndarray, "layer head query key"]:
    """Weights in steps of 1/255: each is at most one step off, and a row's sum is kept.

    The running sums are rounded, so what one weight loses the next one gains.

    Example:
        >>> import torch
        >>> quantised(torch.full((1, 1, 1, 3), 1 / 3)).tolist()
        [[[[85, 85, 85]]]]
    """
    sums = np.cumsum(weights.numpy(), axis=-1, dtype=np.float64)
    steps = np.diff(np.rint(LEVELS * sums), axis=-1, prepend=0.0)
    return steps.clip(0, LEVELS).astype(np.uint8)


def pack(weights: Float[Tensor, "layer head query key"]) -> str:
    """Quantised weights of the past and present, row by row, in base64."""
    past = np.tril_indices(weights.shape[-1])
    rows = (quantised(layer[None])[0][:, past[0], past[1]].tobytes() for layer in weights)
    return b64encode(b"".join(rows)).decode()
