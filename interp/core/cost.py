"""What a measurement will cost, from shapes, told before it starts; a large one asks first.

An instrument says its passes with `announce` before the first of them. What would take longer or
more memory than the limit raises `CostError`, which names the estimate and what makes it smaller.
Whoever wants the large one says so, and no result depends on it:

    with interp.cost_limit(seconds=600, gigabytes=8):
        interp.tuned_lens(model, texts)

`cost_limit(seconds=0)` never starts: the `CostError` that it raises has the estimate in `.cost`.
"""

import math
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

from interp.core.errors import InterpError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel

SECONDS, GIGABYTES = 60.0, 3.0
"""What is done without asking: processor time, and memory with the model's own weights."""
LONG = 2.0
"""Seconds from which on a reader is told before the work starts."""
OPERATIONS, KEPT, ALIVE = 60, 16, 6
"""Of a pass: tensor operations a layer; tensors of the stream's width a layer that a gradient
keeps; tensors as large as the largest that live at once without a gradient."""
QUIET_CORE = 1.7e-11, 3e-10, 4.5e-9, 4e-6
"""`_Speed` of one usual core without other work: a processor that is busy, and so looks slower, is
taken for such a one, or what is a minute's work in the morning would be refused at noon."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """An estimate; right within a factor of about three.

    Attributes:
        seconds: processor time (time of an accelerator, where the model is on one), on this
            machine, or on a usual one without other work where this one looks slower.
        gigabytes: peak memory in 10^9 bytes, the model's own weights among them.
    """

    seconds: float
    gigabytes: float

    def __str__(self) -> str:
        minutes = self.seconds >= 120
        amount = self.seconds / 60 if minutes else self.seconds
        time = f"about {amount:,.0f} {'min' if minutes else 's'}"
        return f"{time if amount >= 1 else 'less than 1 s'} and {self.gigabytes:.1f} GB"


@dataclass(frozen=True, kw_only=True)
class Passes:
    """Passes of one kind through a model.

    Attributes:
        count: how many.
        tokens: in each pass, all rows together.
        width: tokens of a row; 0 = `tokens`.
        logits: positions of a pass whose logits are made.
        gradients: whether each is followed by a backward pass.
    """

    count: float
    tokens: float
    width: float = 0
    logits: float = 0
    gradients: bool = False


@dataclass(frozen=True, kw_only=True)
class Work:
    """All that a measurement is about to do; its fields are the arguments of `announce`."""

    passes: tuple[Passes, ...] = ()
    copies: float = 0.0
    draws: float = 0
    operations: float = 0.0
    calls: float = 0.0
    kept: float = 0.0


class CostError(InterpError, RuntimeError):
    """A measurement that would cost more than the limit.

    Attributes:
        cost: the estimate.
        question: the message up to how to go on, for whoever offers a way of their own.
        smaller: arguments with which it is within the limit, where they are known.
    """

    def __init__(self, question: str, cost: Cost, smaller: Mapping[str, Any] | None = None) -> None:
        super().__init__(
            f"{question} To go on as it is: --yes on the command line, "
            "`with interp.cost_limit():` in Python."
        )
        self.cost, self.question, self.smaller = cost, question, dict(smaller or {})


@dataclass(frozen=True, kw_only=True)
class _Limit:
    seconds: float = SECONDS
    gigabytes: float = GIGABYTES

    def allows(self, cost: Cost) -> bool:
        return cost.seconds <= self.seconds and cost.gigabytes <= self.gigabytes


_USUAL = _Limit()
_limit: ContextVar[_Limit] = ContextVar("interp_cost_limit", default=_USUAL)


@contextmanager
def cost_limit(*, seconds: float = math.inf, gigabytes: float = math.inf) -> Iterator[None]:
    """Within this block (of this thread) measurements may cost this much, instead of the default.

    Args:
        seconds: processor time; without a number, any.
        gigabytes: peak memory in 10^9 bytes; without a number, any.
    """
    token = _limit.set(_Limit(seconds=seconds, gigabytes=gigabytes))
    try:
        yield
    finally:
        _limit.reset(token)


def announce(
    model: LanguageModel,
    *passes: Passes,
    smaller: str,
    copies: float = 0.0,
    draws: float = 0,
    operations: float = 0.0,
    calls: float = 0.0,
    kept: float = 0.0,
) -> Cost:
    """Say what a measurement is about to do; it goes on only if that is within the limit.

    Args:
        model: that is measured.
        passes: all its passes, those of its controls among them.
        smaller: what asks the smaller question, as an order: `Choose fewer layers (layers=).`
        copies: how many sets of all weights are held at once beside the model's own (gradients,
            moved weights, untrained models: of several two, as one is there while the next is
            drawn).
        draws: how many sets of all weights are drawn at random (untrained models, directions).
        operations: multiplications and additions beside the passes.
        calls: small steps in Python, as one a neuron, beside the passes.
        kept: numbers kept at once beside the passes' own.
    Returns:
        Cost: the estimate.
    Raises:
        CostError: it is above the limit.
    """
    work = Work(
        passes=passes, copies=copies, draws=draws, operations=operations, calls=calls, kept=kept
    )
    return announce_work(model, lambda: work, smaller=smaller)


def announce_work(
    model: LanguageModel,
    work: Callable[..., Work],
    asked: Mapping[str, Any] | None = None,
    choices: Mapping[str, range] | None = None,
    *,
    smaller: str,
) -> Cost:
    """As `announce`, and a refusal names arguments with which the work is within the limit.

    Args:
        model: that is measured.
        work: what is done when these arguments are given.
        asked: the arguments as they came.
        choices: for an argument smaller values, the largest first; for one that is a sequence, how
            many of its members. The first argument is given up to its last value before the second
            is touched.
        smaller: what else asks a smaller question, as an order.
    Returns:
        Cost: the estimate.
    Raises:
        CostError: it is above the limit.
    """
    asked, limit = dict(asked or {}), _limit.get()
    cost = _estimate(model, work(**asked))
    if not limit.allows(cost):
        smaller_values = _fitting(model, work, asked, choices or {}, limit)
        fits = f"Within that: {_written(smaller_values)}. " if smaller_values else ""
        raise CostError(
            f"This measurement of {model.name} needs {cost}; up to {limit.seconds:g} s and "
            f"{limit.gigabytes:g} GB are spent without asking. {fits}{smaller}",
            cost,
            smaller_values,
        )
    if cost.seconds >= LONG:
        report_progress(str(cost), 0, 1, is_cost=True)
    return cost


def _fitting(
    model: LanguageModel,
    work: Callable[..., Work],
    asked: Mapping[str, Any],
    choices: Mapping[str, range],
    limit: _Limit,
) -> dict[str, Any]:
    """The arguments to change and their values; empty where even the smallest are too much."""
    changed: dict[str, Any] = {}

    def fits(name: str, value: int) -> bool:
        whole = asked[name]
        changed[name] = value if isinstance(whole, int) else whole[:value]
        return limit.allows(_estimate(model, work(**asked | changed)))

    for name, values in choices.items():
        if not values:
            continue
        # What a smaller value costs is never more, so that the first that fits is found by halves.
        first = bisect_left(values, True, key=partial(fits, name))
        if fits(name, values[min(first, len(values) - 1)]):
            return changed
    return {}


def _written(arguments: Mapping[str, Any]) -> str:
    """As they are typed in Python; of texts how many, and of many numbers in a row the range."""
    parts = []
    for name, value in arguments.items():
        text = repr(list(value) if isinstance(value, tuple) else value)
        if isinstance(value, tuple) and value and isinstance(value[0], str):
            text = f"{name}[:{len(value)}]"
        elif isinstance(value, tuple) and len(value) > 3 and value == tuple(range(len(value))):
            text = f"range({len(value)})"
        parts.append(f"{name}={text}")
    return ", ".join(parts)


def _estimate(model: LanguageModel, work: Work) -> Cost:
    cfg, speed = model.cfg, _speed(model.cfg.d_model, model.device)
    inner, outer = _n_weights(cfg)
    size = model.weight("W_E").element_size()
    seconds = work.draws * (inner + outer) * speed.draw
    seconds += work.operations * speed.operation + work.calls * speed.call
    largest = 0.0
    for each in work.passes:
        width = each.width or each.tokens
        mixing = 2 * width * cfg.n_layers * cfg.n_heads * cfg.d_head
        multiplied = each.tokens * (2 * inner + mixing)
        multiplied += each.logits * 2 * cfg.d_model * cfg.d_vocab
        # A pass of few tokens is as slow as the weights are read, not as they are multiplied.
        read = (inner + (cfg.d_model * cfg.d_vocab if each.logits else 0)) * speed.read
        once = max(multiplied * speed.operation, read)
        once += cfg.n_layers * OPERATIONS * speed.call + each.logits * cfg.d_vocab * speed.read
        seconds += each.count * once * (3 if each.gradients else 1)
        scores = cfg.n_heads * width
        layer = KEPT * cfg.d_model + 4 * cfg.d_mlp + 2 * scores
        widest = max(cfg.d_mlp, 3 * cfg.n_heads * cfg.d_head, scores)
        values = layer * cfg.n_layers if each.gradients else ALIVE * widest
        largest = max(largest, each.tokens * values + 3 * each.logits * cfg.d_vocab)
    total = (1 + work.copies) * (inner + outer) * size + 4 * (largest + work.kept)
    return Cost(seconds=seconds, gigabytes=total / 1e9)


def _n_weights(cfg: object) -> tuple[int, int]:
    """Weights of all blocks, and of embedding and unembedding."""
    key_values = getattr(cfg, "n_key_value_heads", 0) or cfg.n_heads
    attention = 2 * cfg.d_model * cfg.d_head * (cfg.n_heads + key_values)
    mlp = 0 if cfg.attn_only else (2 + getattr(cfg, "gated", False)) * cfg.d_model * cfg.d_mlp
    tables = 1 if getattr(cfg, "tied", False) else 2
    return cfg.n_layers * (attention + mlp), tables * cfg.d_vocab * cfg.d_model


@dataclass(frozen=True)
class _Speed:
    """Seconds: a multiplication or addition, a weight read, a random number, a tensor call."""

    operation: float
    read: float
    draw: float
    call: float


@cache
def _speed(d_model: int, device: torch.device) -> _Speed:
    """How fast this machine is at the sizes of a model: some hundredths of a second, once."""
    rows, columns = torch.ones(256, d_model), torch.ones(d_model, 4 * d_model)
    rows, columns, table = (each.to(device) for each in (rows, columns, torch.ones(1024, 4096)))
    few, row = torch.ones(8, device=device), torch.ones(4096, 1, device=device)

    def seconds(work: Callable[[], object]) -> float:
        return min(_time(work, device) for _ in range(3))

    measured = (
        seconds(lambda: rows @ columns) / (2 * rows.numel() * columns.shape[1]),
        seconds(lambda: table @ row) / table.numel(),
        seconds(lambda: table.normal_()) / table.numel(),
        seconds(lambda: [few + 1 for _ in range(100)]) / 100,
    )
    if device.type == "cpu":  # Where the clock ticks coarsely, a time may look like none.
        measured = (
            max(value, usual / 20) for value, usual in zip(measured, QUIET_CORE, strict=True)
        )
    return _Speed(*map(min, measured, QUIET_CORE))


def _time(work: Callable[[], object], device: torch.device) -> float:
    on_processor = device.type == "cpu"
    clock = time.process_time if on_processor else time.perf_counter
    start = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return max(clock() - start, 1e-9)
