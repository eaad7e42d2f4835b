"""When which level is drawn: pure functions from the share of the run to a mixture of levels.

A pacing turns levels, easiest first, into the stages of a run. Its two controls are made of the
same stages: `anti` takes them backwards in time, `shuffled` draws their average mixture from the
first step to the last. So all three draw every level equally often, and differ in the order alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from interp.core.errors import ConfigError, near_misses
from interp.training.data.curriculum import Stage

Order = Literal["curriculum", "anti", "shuffled"]
ORDERS: tuple[Order, ...] = get_args(Order)
PIECES = 20
"""Most stages that a pacing which moves all the time is cut into."""


def step(share: float, n: int) -> list[float]:
    """One level after the other, each alone and for as long as the others.

    Args:
        share: share of the run that is over, from 0 to 1.
        n: number of levels, easiest first.
    Returns:
        The share of each level; they sum to 1.

    Example:
        >>> step(0.4, 4)
        [0.0, 1.0, 0.0, 0.0]
    """
    reached = min(int(share * n), n - 1)
    return [float(level == reached) for level in range(n)]


def overlapping(share: float, n: int) -> list[float]:
    """One level fades out while the next one fades in; two at a time at most.

    The first and the last stand alone for a while, so that every level gets as much as the others.

    Example:
        >>> overlapping(0.5, 4), overlapping(0.1, 4)
        ([0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0])
    """
    place = min(max(share * n - 0.5, 0.0), n - 1.0)
    return [max(0.0, 1.0 - abs(place - level)) for level in range(n)]


def linear(share: float, n: int) -> list[float]:
    """A pool that grows evenly from the easiest level to all of them; nothing leaves it.

    Example:
        >>> linear(1.0, 4)
        [0.25, 0.25, 0.25, 0.25]
    """
    return _pool((1 + share * (n - 1)) / n, n)


def root(share: float, n: int) -> list[float]:
    """A pool that grows fast at first, with the root of the time.

    Source: Platanios et al. 2019, "Competence-based Curriculum Learning" (their square root).

    Example:
        >>> root(0.0, 4), root(1.0, 2)
        ([1.0, 0.0, 0.0, 0.0], [0.5, 0.5])
    """
    # The paper's c(t) = sqrt(t (1 - c0^2) + c0^2), c0 = 1 / n: the easiest level alone at first.
    return _pool(math.sqrt(share * (1 - n**-2) + n**-2), n)


PACINGS: Mapping[str, Callable[[float, int], list[float]]] = {
    "step": step,
    "overlapping": overlapping,
    "linear": linear,
    "root": root,
}


def paced(
    levels: Sequence[str],
    steps: int,
    *,
    pacing: str = "step",
    order: Order = "curriculum",
    last: float = 0.0,
) -> tuple[Stage, ...]:
    """The stages of a run: a pacing over its levels, or one of the two controls.

    Args:
        levels: levels of the corpus, easiest first.
        steps: updates of the run.
        pacing: `step`, `overlapping`, `linear` or `root`.
        order: `curriculum`, `anti` (the same stages backwards) or `shuffled` (their average).
        last: share of the run, at its end, that draws the hardest level alone in every order, so
            that no order is measured fresh from other text.
    Returns:
        Stages with `steps` steps together; the last one goes on should the run be lengthened.
    Raises:
        ConfigError: no such pacing or order, fewer than two levels or one of them twice, or `last`
            is no share below 1.

    Example:
        >>> [(stage.steps, dict(stage.mix)) for stage in paced(["a", "b"], 10)]
        [(5, {'a': 1.0, 'b': 0.0}), (5, {'a': 0.0, 'b': 1.0})]
        >>> [dict(stage.mix) for stage in paced(["a", "b"], 10, order="shuffled")]
        [{'a': 0.5, 'b': 0.5}]
    """
    _check(levels, pacing, order, last)
    paced_steps = steps - round(last * steps)
    count = len(levels) if pacing == "step" else PIECES
    pieces = _pieces(levels, paced_steps, PACINGS[pacing], min(count, paced_steps))
    if order == "anti":
        pieces = pieces[::-1]
    if order == "shuffled":
        pieces = [(paced_steps, _average(pieces, levels))] if pieces else []
    if paced_steps < steps:
        pieces = [*pieces, (steps - paced_steps, {levels[-1]: 1.0})]
    return tuple(Stage(steps=n, mix=mix) for n, mix in pieces)


def pacing_by_name(name: str) -> tuple[str, Order]:
    """A pacing and an order from one word: `linear`, `anti-linear`, `shuffled-linear`.

    Raises:
        ConfigError: it is none of them.

    Example:
        >>> pacing_by_name("anti-step")
        ('step', 'anti')
    """
    known = {pacing: (pacing, "curriculum") for pacing in PACINGS}
    known |= {f"{order}-{pacing}": (pacing, order) for order in ORDERS[1:] for pacing in PACINGS}
    if name not in known:
        raise ConfigError(
            f"A curriculum is one of {', '.join(PACINGS)}, or one of its controls (`anti-step`, "
            f"`shuffled-step` …); got {name!r}.{near_misses(name, known)}"
        )
    return known[name]


def _pool(reach: float, n: int) -> list[float]:
    """Equal shares for the levels that a pool reaches; the newest one comes in by and by."""
    room = [min(max(reach * n - level, 0.0), 1.0) for level in range(n)]
    total = sum(room)
    return [part / total for part in room]


def _pieces(
    levels: Sequence[str], steps: int, pacing: Callable[[float, int], list[float]], count: int
) -> list[tuple[int, dict[str, float]]]:
    """The run in pieces, each with the mixture of its middle."""
    ends = [round(steps * (i + 1) / count) for i in range(count)]
    pieces, start = [], 0
    for end in ends:
        mix = pacing((start + end) / (2 * steps), len(levels))
        pieces.append((end - start, dict(zip(levels, mix, strict=True))))
        start = end
    return pieces


def _average(
    pieces: Sequence[tuple[int, Mapping[str, float]]], levels: Sequence[str]
) -> dict[str, float]:
    steps = sum(n for n, _ in pieces)
    return {level: sum(n * mix[level] for n, mix in pieces) / steps for level in levels}


def _check(levels: Sequence[str], pacing: str, order: str, last: float) -> None:
    if pacing not in PACINGS:
        raise ConfigError(f"No pacing is called {pacing!r}.{near_misses(pacing, PACINGS)}")
    if order not in ORDERS:
        raise ConfigError(f"An order is one of {', '.join(ORDERS)}; got {order!r}.")
    given = ", ".join(levels) or "none"
    if len(set(levels)) != len(levels) or len(levels) < 2:
        raise ConfigError(
            f"A curriculum needs two levels or more, each once; got {given}. Take a world with "
            "levels (`stories`, `homes`), or sort the corpus into some."
        )
    if not 0 <= last < 1:
        raise ConfigError(f"The last part is a share of the run from 0 to below 1; got {last}.")
