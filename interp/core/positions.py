"""Where an edit acts: absolute positions, so that cached and padded runs edit the same tokens."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from operator import index
from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class EditContext:
    """What an edit may know of the pass it is in.

    Attributes:
        tokens: ids fed in this pass (one column a step when a cached run generates).
        positions: their positions, counted from the first real token of each row.
        real: False at padding.
        key_positions: positions of all columns so far, those of earlier passes too; below 0 at
            padding.
        prompt_lengths: real tokens of each row's prompt.
        memory: what was worked out for this pass: all layers ask for the same positions.
    """

    tokens: Int[Tensor, "batch pos"]
    positions: Int[Tensor, "batch pos"]
    real: Bool[Tensor, "batch pos"]
    key_positions: Int[Tensor, "batch key"]
    prompt_lengths: Int[Tensor, "batch"]
    memory: dict[Hashable, Tensor] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        tokens: Int[Tensor, "batch pos"],
        mask: Bool[Tensor, "batch key"] | None = None,
        prompt_lengths: Int[Tensor, "batch"] | None = None,
    ) -> "EditContext":
        """The context of a pass over `tokens`, the last columns of `mask` (None = all are real)."""
        mask = torch.ones_like(tokens, dtype=torch.bool) if mask is None else mask
        keys = mask.long().cumsum(1) - 1  # the n-th real token stands at n - 1, padding below 0
        lengths = mask.sum(1) if prompt_lengths is None else prompt_lengths.to(tokens.device)
        start = mask.shape[1] - tokens.shape[1]
        return cls(
            tokens=tokens,
            positions=keys[:, start:].clamp(min=0),
            real=mask[:, start:],
            key_positions=keys,
            prompt_lengths=lengths,
        )


@dataclass(frozen=True, kw_only=True)
class Where:
    """Positions an edit acts on: those that meet every clause.

    Positions count from the first real token of a row; a negative one counts back from the end of
    the prompt (-1 = its last token). Position 0, the beginning of the text, is left out unless
    `bos` is set or `positions` names it.

    Attributes:
        span: `generated` = the positions that predict new tokens: the prompt's last and all later.
        start: the first position that is changed.
        stop: the first position that no longer is.
        positions: the only positions that are changed.
        tokens: ids of tokens; only positions that are fed one of them are changed.
        bos: whether position 0, the beginning of the text, may be changed.

    Example:
        >>> context = EditContext.of(torch.tensor([[5, 6, 7]]))
        >>> Where(tokens=[7, 5]).chosen(context)
        tensor([[False, False,  True]])
    """

    span: Literal["all", "prompt", "generated"] = "all"
    start: int | None = None
    stop: int | None = None
    positions: tuple[int, ...] | None = None
    tokens: frozenset[int] | None = None
    bos: bool = False

    def __post_init__(self) -> None:
        if self.span not in ("all", "prompt", "generated"):
            raise ConfigError(f"span must be all, prompt or generated; got {self.span!r}.")
        for part in ("start", "stop"):
            if getattr(self, part) is not None:
                object.__setattr__(self, part, whole_numbers([getattr(self, part)], part)[0])
        for part, kind in (("positions", tuple), ("tokens", frozenset)):
            if getattr(self, part) is not None:
                object.__setattr__(self, part, kind(whole_numbers(getattr(self, part), part)))
        if not isinstance(self.bos, bool):
            raise ConfigError(f"bos must be True or False; got {self.bos!r:.80}.")

    def chosen(self, context: EditContext) -> Bool[Tensor, "batch pos"]:
        """True where the edit acts in this pass."""
        if self not in context.memory:
            context.memory[self] = self._choose(context)
        return context.memory[self]

    def check_within(self, context: EditContext) -> None:
        """Refuse positions that no row of a pass over whole prompts has: nothing would be changed.

        When a text is generated they may still come, so there nobody asks.

        Raises:
            ConfigError: one of `positions`, or `start`, lies beyond the longest row.
        """
        length = int(context.real.sum(1).max())
        for position in (*(self.positions or ()), *([] if self.start is None else [self.start])):
            if not -length <= position < length:
                raise ConfigError(
                    f"An edit of a run needs positions that a row has, 0-{length - 1} (or -1 to "
                    f"-{length} from the end); got {position}, where nothing would be changed."
                )

    def _choose(self, context: EditContext) -> Tensor:
        place, lengths = context.positions, context.prompt_lengths[:, None]
        chosen = context.real
        if self.span != "all":
            chosen = chosen & (place < lengths if self.span == "prompt" else place >= lengths - 1)
        if self.start is not None:
            chosen = chosen & (place >= _absolute(self.start, lengths))
        if self.stop is not None:
            chosen = chosen & (place < _absolute(self.stop, lengths))
        if self.positions is not None:
            named = [place == _absolute(position, lengths) for position in self.positions]
            chosen = chosen & torch.stack([torch.zeros_like(chosen), *named]).any(0)
        if self.tokens is not None:
            ids = torch.tensor(sorted(self.tokens), dtype=torch.long, device=place.device)
            chosen = chosen & torch.isin(context.tokens, ids)
        if not self.bos and 0 not in (self.positions or ()):
            chosen = chosen & (place > 0)
        return chosen


def whole_numbers(values: Iterable[int], part: str) -> tuple[int, ...]:
    """The numbers, if each is a whole one that a place or an id can have.

    Args:
        values: what was given.
        part: what it is called in a sentence.
    Raises:
        ConfigError: one is of another kind, or of an absurd size.
    """
    try:
        numbers = tuple(map(index, values))
    except TypeError:
        numbers = None
    if numbers is None or any(abs(number) >= 2**31 for number in numbers):
        raise ConfigError(f"{part} must be whole numbers below 2,147,483,648; got {values!r:.80}.")
    return numbers


def _absolute(position: int, lengths: Tensor) -> Tensor | int:
    return position if position >= 0 else lengths + position
