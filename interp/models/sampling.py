"""One column of tokens out of one column of logits, and all a reader may ask of the choice."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.errors import ConfigError
from interp.core.precision import widened
from interp.core.protocols import Step


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How to choose; see `LanguageModel.generate`.

    Raises:
        ConfigError: a value of another kind or outside its range.
    """

    max_new_tokens: int = 64
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    stop: Sequence[str] = ()
    seed: int | Sequence[int] = 0
    top: int = 5
    written: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "stop", (self.stop,) if isinstance(self.stop, str) else self.stop)
        for name, need, fits in _SETTINGS:
            value = getattr(self, name)
            if not (value is None and name in _CUTS) and not fits(value):
                raise ConfigError(f"{name} must be {need}; got {value!r}.")

    @property
    def cuts(self) -> bool:
        """Whether any token can be cut off."""
        return any(getattr(self, cut) is not None for cut in _CUTS)


class Column(NamedTuple):
    """The fields of `Step` for every row of the batch, still on the device."""

    token: Int[Tensor, "batch"]
    probability: Float[Tensor, "batch"]
    log_prob_nats: Float[Tensor, "batch"]
    rank: Int[Tensor, "batch"]
    entropy_bits: Float[Tensor, "batch"]
    kept_mass: Float[Tensor, "batch"]
    top_ids: Int[Tensor, "batch k"]
    top_probability: Float[Tensor, "batch k"]
    top_sampling_probability: Float[Tensor, "batch k"]


def uniforms(seed: int | Sequence[int], batch: int, steps: int) -> Float[Tensor, "batch steps"]:
    """The random numbers in [0, 1) of each row: a pure function of (seed, row, step).

    A sequence of seeds gives each row what it would draw alone with its seed.

    Raises:
        ConfigError: there are not as many seeds as rows.

    Example:
        >>> alone, both = uniforms(7, 1, 3), uniforms([9, 7], 2, 5)
        >>> bool((both[1, :3] == alone[0]).all())
        True
    """
    keys = [(seed, row) for row in range(batch)]
    if isinstance(seed, Sequence):
        keys = [(own, 0) for own in seed]
    if len(keys) != batch:
        raise ConfigError(
            f"Sampling needs one seed, or one a row; got {len(keys)} seeds for {batch} rows."
        )
    rows = [_stream(int(own) % 2**64, row).random(steps) for own, row in keys]
    return torch.from_numpy(np.stack(rows))


def _stream(seed: int, row: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed, row], dtype=np.uint64)))


class SampledTokens(NamedTuple):
    """The tokens sampled in one column, one a row, before anything is said about them.

    Attributes:
        logits: logits of the model, before penalty, temperature and cut-offs.
        probabilities: the distribution that the tokens were sampled from; None when greedy.
        token: ids of the sampled tokens.
        kept_mass: share of the temperature-scaled probability that the cut-offs kept.
    """

    logits: Float[Tensor, "batch d_vocab"]
    probabilities: Float[Tensor, "batch d_vocab"] | None
    token: Int[Tensor, "batch 1"]
    kept_mass: Float[Tensor, "batch"]


def choose(
    logits: Float[Tensor, "batch d_vocab"],
    how: Sampling,
    draws: Float[Tensor, "batch"],
    seen: Bool[Tensor, "batch d_vocab"] | None = None,
) -> Column:
    """Choose a token a row and say how; see `pick`."""
    return describe([pick(logits, how, draws, seen)], how.top)[0]


def pick(
    logits: Float[Tensor, "batch d_vocab"],
    how: Sampling,
    draws: Float[Tensor, "batch"],
    seen: Bool[Tensor, "batch d_vocab"] | None = None,
) -> SampledTokens:
    """Draw a token a row by the inverse of the cumulative distribution, in the order of ids.

    Args:
        draws: one uniform random number a row; not used when greedy.
        seen: tokens of the row so far, for the repetition penalty.
    """
    logits = widened(logits)
    scores = logits if seen is None else _penalized(logits, seen, how.repetition_penalty)
    if how.temperature == 0:
        token = scores.argmax(-1, keepdim=True)
        kept_mass = torch.ones_like(token[:, 0], dtype=logits.dtype)
        probabilities = None
    else:
        probabilities, kept_mass = _distribution(scores / how.temperature, how)
        # In double precision: near 1, a float32 sum does not see probabilities below 6e-8.
        sums = probabilities.to(draws.dtype).cumsum(-1)
        # Inverse of the cumulative distribution F: the first id with F(id) > u has probability
        # F(id) - F(id - 1) for u uniform in [0, 1). `right=True` makes it ">", so that an id of
        # probability 0 is never hit, not even by u = 0. Rounding leaves F's last value a little off
        # 1: u is stretched by it, and the clamp catches a product that rounds up to it.
        token = torch.searchsorted(sums, draws[:, None] * sums[:, -1:], right=True)
        token = token.clamp(max=logits.shape[-1] - 1)
    return SampledTokens(logits, probabilities, token, kept_mass)


def describe(picked: Sequence[SampledTokens], top: int) -> list[Column]:
    """What there is to say of several columns, worked out at once."""
    if not picked:
        return []
    fields = zip(*picked, strict=True)
    logits, probabilities, token, kept = (None if f[0] is None else torch.cat(f) for f in fields)
    whole = _described(logits, probabilities, token, kept, top)
    parts = zip(*(field.chunk(len(picked)) for field in whole), strict=True)
    return [Column(*part) for part in parts]


def _described(
    logits: Tensor, probabilities: Tensor | None, token: Tensor, kept_mass: Tensor, top: int
) -> Column:
    log_probs = logits.log_softmax(-1)
    best, ids = log_probs.topk(min(top, logits.shape[-1]), -1)
    chosen = log_probs.gather(-1, token)
    if probabilities is None:
        probability, entropy = torch.ones_like(chosen), torch.zeros_like(kept_mass)
        top_sampling_probability = (ids == token).to(best.dtype)
    else:
        probability = probabilities.gather(-1, token)
        top_sampling_probability = probabilities.gather(-1, ids)
        entropy = torch.special.entr(probabilities).sum(-1) / math.log(2)
    return Column(
        token=token[:, 0],
        probability=probability[:, 0],
        log_prob_nats=chosen[:, 0],
        rank=(log_probs > chosen).sum(-1),
        entropy_bits=entropy,
        kept_mass=kept_mass,
        top_ids=ids,
        top_probability=best.exp(),
        top_sampling_probability=top_sampling_probability,
    )


def _penalized(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    # Dividing would raise a negative logit, so that one is multiplied (Keskar et al. 2019's code).
    lowered = torch.where(logits < 0, logits * penalty, logits / penalty)
    return torch.where(seen, lowered, logits)


def _distribution(scores: Tensor, how: Sampling) -> tuple[Tensor, Tensor]:
    """Probabilities by id after the cut-offs, and the share of probability that they kept."""
    probs = scores.softmax(-1)
    if not how.cuts:
        return probs, torch.ones_like(probs[:, 0])
    ordered, ids = probs.sort(stable=True, dim=-1, descending=True)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if how.top_k is not None:
        keep[:, min(how.top_k, len(keep[0])) :] = False
    if how.top_p is not None:
        # Of what top_k left, as transformers applies the two. The mass before a token, not with
        # it, so that the token that crosses top_p is kept too.
        left = ordered * keep
        keep &= left.cumsum(-1) - left < how.top_p * left.sum(-1, keepdim=True)
    if how.min_p is not None:
        keep &= ordered >= how.min_p * ordered[:, :1]
    keep[:, 0] = True  # a top_p that single precision takes for 0, too, leaves the best token
    kept = ordered * keep
    mass = kept.sum(-1)
    return torch.zeros_like(probs).scatter(-1, ids, kept / mass[:, None]), mass


def to_steps(
    columns: Sequence[Column], draws: Float[Tensor, "batch steps"] | None
) -> list[list[Step]]:
    """Columns as rows of plain numbers, in one transfer a field."""
    if not columns:
        return []
    fields = [torch.stack(part, 1).tolist() for part in zip(*columns, strict=True)]
    rows = []
    for row, values in enumerate(zip(*fields, strict=True)):
        row_draws = [None] * len(columns)
        if draws is not None:
            row_draws = draws[row, : len(columns)].tolist()
        rows.append([_step(*step) for step in zip(row_draws, *values, strict=True)])
    return rows


def _step(draw: float | None, token: int, probability: float, log_prob: float, *rest) -> Step:
    rank, entropy, kept_mass, ids, plain, sampled = rest
    return Step(
        token=token,
        probability=probability,
        log_prob_nats=log_prob,
        rank=rank,
        draw=draw,
        entropy_bits=entropy,
        kept_mass=kept_mass,
        top=tuple(zip(ids, plain, sampled, strict=True)),
    )


def _whole(least: float) -> Callable[[object], bool]:
    """Takes whole numbers from `least` on; True and 2.0 are none."""

    def fits(value: object) -> bool:
        return isinstance(value, int | np.integer) and type(value) is not bool and value >= least

    return fits


def _real(fits_in: Callable[[float], bool]) -> Callable[[object], bool]:
    """Takes numbers that fit; NaN and True do not."""

    def fits(value: object) -> bool:
        number = isinstance(value, int | float | np.integer | np.floating)
        return number and type(value) is not bool and fits_in(value)

    return fits


def _stops(value: object) -> bool:
    many = isinstance(value, Sequence) and not isinstance(value, bytes)
    return many and all(isinstance(text, str) and text for text in value)


def _seeds(value: object) -> bool:
    one, many = _whole(-math.inf), isinstance(value, list | tuple | range)
    return one(value) or (many and all(map(one, value)))


_CUTS = ("top_k", "top_p", "min_p")
_SETTINGS: tuple[tuple[str, str, Callable[[Any], bool]], ...] = (
    ("max_new_tokens", "a whole number, 0 or more", _whole(0)),
    # Below 1e-6 logits would overflow; above it a draw is already the best token, as with 0.
    ("temperature", "0 (greedy), or 1e-6 to 1e30", _real(lambda t: t == 0 or 1e-6 <= t <= 1e30)),
    ("top_k", "a whole number, 1 or more, or None", _whole(1)),
    ("top_p", "a number in (0, 1], or None", _real(lambda p: 0 < p <= 1)),
    ("min_p", "a number in [0, 1], or None", _real(lambda p: 0 <= p <= 1)),
    ("repetition_penalty", "a number, 1e-6 to 1e6", _real(lambda x: 1e-6 <= x <= 1e6)),
    ("stop", "a text or texts that are not empty", _stops),
    ("seed", "a whole number, or one a row", _seeds),
    ("top", "a whole number, 0 or more", _whole(0)),
    ("written", "a whole number, 0 or more", _whole(0)),
)
