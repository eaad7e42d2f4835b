"""What number formats can hold: where they are widened, how far off they leave a reading, and the
refusal of what is no number any more."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.core.errors import NonFiniteError

LARGEST = 1e16
"""Beyond it an edited activation has no finite square in single precision once a row is summed, and
a norm would quietly make zeros of it."""


def widened(values: Tensor) -> Tensor:
    """The values in single precision or better; double keeps its own.

    Squares, sums over many values and exponentials of half precision are worked out in it: the
    square of 256 is beyond float16, and a sum in bfloat16 has three digits.

    Example:
        >>> widened(torch.tensor([300.0], dtype=torch.float16)).square()
        tensor([90000.])
    """
    return values if values.dtype == torch.float64 else values.float()


def rounding(values: Tensor) -> float:
    """How far off two ways of working out the same values may be, by their rounding alone.

    Two units in the last place of the largest: `torch.finfo(dtype).eps` is one, as a share.

    Example:
        >>> rounding(torch.tensor([16.0, -2.0], dtype=torch.bfloat16))
        0.25
    """
    return 2 * torch.finfo(values.dtype).eps * float(values.abs().max())


def check_finite(
    owner: str,
    logits: Float[Tensor, "batch pos d_vocab"] | None,
    cache: Mapping[str, Tensor],
    real: Bool[Tensor, "batch pos"],
    start: int = 0,
) -> None:
    """Refuse a run with numbers at real tokens that are not finite, of which all readings lie.

    Args:
        owner: name of the model.
        logits: of the run; None = none were made, and the activations are looked at.
        cache: activations in the order of the pass.
        real: False at padding.
        start: where the first of these positions stands.

    Raises:
        NonFiniteError: with the first point that is not finite, where one was cached.
    """
    # Attention scores are -inf at what a query does not see.
    points = {name: x for name, x in cache.items() if not name.endswith("attn_scores")}
    if logits is not None:
        if not (_not_finite("logits", logits) & real).any():
            return
        points["logits"] = logits
    for name, x in points.items():
        if (wrong := _not_finite(name, x) & real).any():
            row, position = wrong.nonzero()[0].tolist()
            kind = str(x.dtype).removeprefix("torch.")
            raise NonFiniteError(
                f"A measurement needs finite numbers; {owner} gives {kind} numbers that are not at "
                f"{name} (row {row}, position {start + position}). Check its weights and the edits "
                "(in Python: `load_model(…, dtype=torch.float32)`, where half precision overflows)."
            )


def check_weights(weights: Mapping[str, Tensor]) -> None:
    """Refuse weights of which nothing can be measured.

    A run need not show them: torch's fused attention makes zeros of a row of NaN, and what follows
    looks like numbers.

    Args:
        weights: by name.

    Raises:
        NonFiniteError: with the first weight that holds NaN or infinity.
    """
    for name, weight in weights.items():
        if weight.numel() and not all(bound.isfinite() for bound in weight.detach().aminmax()):
            raise NonFiniteError(
                f"A measurement needs finite weights; {name} holds NaN or infinity. It was written "
                "to, or its training went wrong: load the model anew."
            )


def check_edited(owner: str, largest: Mapping[str, Float[Tensor, ""]]) -> None:
    """Refuse edits that left numbers which no norm can take.

    Args:
        owner: name of the model.
        largest: of each edited point the largest size of a number.

    Raises:
        NonFiniteError: with the first such point.
    """
    for name, size in largest.items():
        if not size <= LARGEST:
            raise NonFiniteError(
                f"An edit must leave numbers of at most {LARGEST:g}; at {name} of {owner} it made "
                f"one of {float(size):.3g}. Weaken it."
            )


def _not_finite(name: str, x: Tensor) -> Bool[Tensor, "..."]:
    """Where rows and positions of an activation are not finite; one False if all are."""
    # A sum reads all once and sets nothing aside; only what it cannot clear is looked at closely.
    if bool(x.sum(dtype=torch.promote_types(x.dtype, torch.float32)).isfinite()):
        return torch.zeros((), dtype=torch.bool, device=x.device)
    wrong = ~x.isfinite()
    return wrong.any(-1).any(1) if name.endswith("pattern") else wrong.flatten(2).any(-1)
