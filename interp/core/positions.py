"""Where an edit acts: absolute positions, so that cached and padded runs edit the same tokens."""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from operator import index
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
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

    @classmethod
    def of_generation(
        cls, prompts: Sequence[Sequence[int]], generated: Sequence[Sequence[int]]
    ) -> "EditContext":
        """The context of all passes of a generation as one: the last token of a row is never fed.

        Args:
            prompts: ids of each row's prompt.
            generated: ids of what followed it; a row without any was not fed at all.
        """
        pairs = zip(prompts, generated, strict=True)
        rows = [[*prompt, *new[:-1]] if len(new) else [] for prompt, new in pairs]
        lengths = torch.tensor(list(map(len, rows)))
        mask = torch.arange(max(map(len, rows))) < lengths[:, None]
        tokens = torch.zeros_like(mask, dtype=torch.long)
        tokens[mask] = torch.tensor([token for row in rows for token in row], dtype=torch.long)
        return cls.of(tokens, mask, torch.tensor(list(map(len, prompts))))


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

    def __str__(self) -> str:
        """The clauses that were given."""
        given = {part.name: getattr(self, part.name) for part in fields(self)}
        given |= {} if self.tokens is None else {"tokens": sorted(self.tokens)}
        usual = {part.name: part.default for part in fields(self)}
        clauses = (f"{name}={value!r:.80}" for name, value in given.items() if value != usual[name])
        return f"Where({', '.join(clauses)})"

    def acts_in(self, context: EditContext) -> bool:
        """Whether it chooses any position of this pass."""
        return bool(self.chosen(context).any())

    def check_within(self, *passes: EditContext) -> None:
        """Refuse what passes over whole prompts never meet: there nothing would be changed.

        When a text is generated it may still come, so there nobody asks before
        (`Generation.idle_edits` says it afterwards).

        Args:
            passes: over all texts that are read together.
        Raises:
            ConfigError: one of `positions` lies outside the longest row, or `start` behind it; or
                no token of any row meets all clauses.
        """
        length = max(map(_longest, passes))
        # A start before the first token is no place that is missing: all of the row lies behind it.
        first = max(self.start or 0, -length)
        named = (*(self.positions or ()), first)
        if beyond := [each for each in named if not -length <= each < length]:
            raise ConfigError(
                f"An edit of a run needs positions that a row has, 0-{length - 1} (or -1 to "
                f"-{length} from the end); got {beyond[0]}, where nothing would be changed."
            )
        if any(map(self.acts_in, passes)):
            return
        hint = ""
        if any(map(replace(self, bos=True).acts_in, passes)):
            hint = " Position 0 alone does, and is left out: set bos=True to change it."
        raise ConfigError(
            f"An edit of a run needs a token that meets {self}; the text has none, so that "
            f"nothing would be changed.{hint}"
        )

    def within(self, context: EditContext) -> "Where | None":
        """What a pass over some of several texts can meet of it; None = nothing."""
        length, where = _longest(context), self
        if self.start is not None and self.start < -length:  # so that all of these rows lies behind
            where = replace(where, start=None)
        if self.positions is not None:
            kept = tuple(each for each in self.positions if -length <= each < length)
            where = where if kept == self.positions else replace(where, positions=kept)
        return where if where.acts_in(context) else None

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


def from_first_token(
    activation: Float[Tensor, "batch pos ..."], mask: Bool[Tensor, "batch pos"]
) -> Float[Tensor, "batch pos ..."]:
    """Rows of a left-padded run, moved so that position 0 is the first real token.

    Edits count positions so; what stands after a row's last token is never used by a row as long.
    """
    # A row's padding is skipped by turning the row; what it wraps around to stands behind its end.
    steps = torch.arange(mask.shape[1], device=mask.device) + (~mask).sum(1, keepdim=True)
    rows = torch.arange(len(mask), device=mask.device)[:, None]
    return activation[rows, steps % mask.shape[1]]


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


def numbers_within(values: Iterable[int], part: str, count: int) -> tuple[int, ...]:
    """The numbers in order, each once, negative ones counted from the end.

    Args:
        values: what was given.
        part: what it is called in a sentence.
        count: how many there are.
    Raises:
        ConfigError: one is of another kind or outside the range.

    Example:
        >>> numbers_within([-1, 0], "layers", 4)
        (0, 3)
    """
    numbers = whole_numbers(values, part)
    if wrong := [number for number in numbers if not -count <= number < count]:
        raise ConfigError(
            f"{part} must be among 0-{count - 1} (or -1 to -{count} from the end); got {wrong[0]}."
        )
    return tuple(sorted({number % count for number in numbers}))


def _longest(context: EditContext) -> int:
    return int(context.real.sum(1).max())


def _absolute(position: int, lengths: Tensor) -> Tensor | int:
    return position if position >= 0 else lengths + position
