"""How far a slow call is, for whoever listens; no result ever depends on it.

An instrument calls `report_progress("layer 2", 3, 5)`; a page or a command that wants a bar calls
it inside `with listening(sink):`. What listens is no argument, so it is not in a result's
provenance.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is being done, and what share of the whole call is finished.

    Attributes:
        stage: what is being done, in words.
        share: finished share of the whole call, in [0, 1].
        is_cost: whether the stage is an estimate of what the work ahead will cost.
    """

    stage: str
    share: float
    is_cost: bool = False


Sink = Callable[[Progress], None]
_sink: ContextVar[Sink | None] = ContextVar("interp_progress", default=None)


@contextmanager
def listening(sink: Sink) -> Iterator[None]:
    """Send the progress reported in this block (of this thread) to `sink`.

    Of the costs only the first is sent: it is the whole call's, later ones are of its parts. A
    share is never less than the one before: where one part of the work is done several times over,
    and each time begins at none, the bar waits.

    Example:
        >>> with listening(lambda progress: print(progress.stage, progress.share)):
        ...     report_progress("halfway", 1, 2)
        halfway 0.5
    """
    cost_is_sent, most = False, 0.0

    def send(progress: Progress) -> None:
        nonlocal cost_is_sent, most
        if not (progress.is_cost and cost_is_sent):
            cost_is_sent, most = cost_is_sent or progress.is_cost, max(most, progress.share)
            sink(replace(progress, share=most))

    token = _sink.set(send)
    try:
        yield
    finally:
        _sink.reset(token)


def report_progress(stage: str, done: float, of: float, *, is_cost: bool = False) -> None:
    """Report what comes next, and how much of all the work is done.

    Args:
        stage: what is done from now on, in words.
        done: how many parts of the work are finished.
        of: how many parts there are.
        is_cost: whether `stage` says what the work will cost.
    """
    sink = _sink.get()
    if sink is not None:
        share = min(1.0, max(0.0, done / of)) if of else 1.0
        sink(Progress(stage=stage, share=share, is_cost=is_cost))


@contextmanager
def progress_range(low: float, high: float, name: str = "") -> Iterator[None]:
    """Within this block, a reported share of 0 to 1 means `low` to `high` of the whole call.

    Args:
        low: share of the work that is finished when the block begins.
        high: share of the work that is finished when the block ends.
        name: put before the name of each stage.
    Example:
        >>> with listening(lambda progress: print(progress.stage, progress.share)):
        ...     with progress_range(0.5, 1.0, "controls: "):
        ...         report_progress("layer 0", 1, 2)
        controls: layer 0 0.75
    """
    sink = _sink.get()
    if sink is None:
        yield
        return

    def within(part: Progress) -> None:
        share = low + (high - low) * part.share
        sink(replace(part, stage=name + part.stage, share=share))

    with listening(within):
        yield
