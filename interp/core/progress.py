"""How far a slow call is, told to whoever listens; nobody has to, and no result ever depends on it.

An instrument says `tell("layer 2", 3, 5)`; a page or a command that wants a bar calls it inside
`with listening(sink):`. What is listening is no argument, so it is not in a result's provenance.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is being done, and what share of the whole call is behind.

    Attributes:
        stage: in words.
        share: in [0, 1].
    """

    stage: str
    share: float


Sink = Callable[[Progress], None]
_sink: ContextVar[Sink | None] = ContextVar("interp_progress", default=None)


@contextmanager
def listening(sink: Sink) -> Iterator[None]:
    """Send what is told in this block (of this thread) to `sink`.

    Example:
        >>> with listening(lambda progress: print(progress.stage, progress.share)):
        ...     tell("halfway", 1, 2)
        halfway 0.5
    """
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def tell(stage: str, done: float, of: float) -> None:
    """Say what comes next, and how much of all the work is done.

    Args:
        stage: what is done from now on, in words.
        done: how many parts of the work are behind.
        of: how many there are.
    """
    sink = _sink.get()
    if sink is not None:
        sink(Progress(stage=stage, share=min(1.0, max(0.0, done / of)) if of else 1.0))


@contextmanager
def part(low: float, high: float, name: str = "") -> Iterator[None]:
    """Within this block, 0 to 1 of what is told is `low` to `high` of the whole.

    Args:
        low: share of the work that is behind when the block begins.
        high: share that is behind when it ends.
        name: stands before each stage.
    Example:
        >>> with listening(lambda progress: print(progress.stage, progress.share)):
        ...     with part(0.5, 1.0, "controls: "):
        ...         tell("layer 0", 1, 2)
        controls: layer 0 0.75
    """
    sink = _sink.get()
    if sink is None:
        yield
        return

    def within(told: Progress) -> None:
        sink(Progress(stage=name + told.stage, share=low + (high - low) * told.share))

    with listening(within):
        yield
