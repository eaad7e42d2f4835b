"""Progress of a run, a measurement or the demo: bars on a terminal, plain lines anywhere else."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from interp.core.display import percent
from interp.core.progress import Progress as MeasuredShare
from interp.core.progress import listening

if TYPE_CHECKING:
    from interp.training.loop import pretrain

QUIET = 2.0

HELD_OUT = (
    ("held-out loss", "loss_nats_per_token"),
    ("floor", "floor_nats_per_token"),
    ("regret", "regret_nats_per_token"),
)


class _Display:
    """Shows a bar, on a terminal, as long as its block runs."""

    _bar: Progress | None

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class TrainingProgress(_Display):
    """Shows how far a run is; call it with each `Progress`. Silent on every rank but the first.

    Args:
        steps: of the whole run.
        console: where to draw; stderr by default. There is a bar on a terminal only.
        silent: show nothing.
    """

    def __init__(self, steps: int, console: Console | None = None, silent: bool = False) -> None:
        console = console or Console(stderr=True)
        self._silent = silent
        self._reported_step: object = None
        self._bar = _bar(console) if console.is_terminal and not silent else None
        self._task = self._bar.add_task("", total=steps) if self._bar else None

    def __call__(self, progress: "pretrain.RunProgress") -> None:
        """Show one reading: `interp.train(..., progress=this)`."""
        if self._bar is not None:
            self._bar.update(self._task, completed=progress.step, description=numbers(progress))
        elif not self._silent and self._is_news(progress):
            left = seconds_left(progress)
            click.echo(
                f"step {progress.step}/{progress.steps}  {numbers(progress)}  {left:.0f} s left",
                err=True,
            )

    def _is_news(self, progress: "pretrain.RunProgress") -> bool:
        """Whether there is a new evaluation, or the end: a line each."""
        step = (progress.evaluation or {}).get("step")
        news = step != self._reported_step or progress.step == progress.steps
        self._reported_step = step
        return news


class MeasurementProgress(_Display):
    """Shows how far a measurement is, from `QUIET` seconds on; use it as the sink of `listening`.

    Args:
        console: where to draw; stderr by default. There is a bar on a terminal only; elsewhere a
            line from time to time, each twice as long after the start as the one before.
    """

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = _shares(console) if console.is_terminal else None
        self._task = self._bar.add_task("", total=1.0) if self._bar else None
        self._start = time.monotonic()
        self._next = QUIET

    def __call__(self, progress: MeasuredShare) -> None:
        """Show one report."""
        seconds = time.monotonic() - self._start
        if self._bar is not None:
            description = escape(progress.stage)
            self._bar.update(self._task, completed=progress.share, description=description)
        elif progress.is_cost or seconds >= self._next:
            self._next = max(self._next, 2 * seconds)
            click.echo(f"{percent(progress.share, 0):>4}  {progress.stage}", err=True)


@contextmanager
def measuring(any_cost: bool) -> Iterator[None]:
    """Show how far the measurements of this block are; what costs much is started only if told to.

    Args:
        any_cost: go on whatever it costs in time and memory (`--yes`).
    """
    from interp.core.cost import cost_limit

    limit = cost_limit() if any_cost else nullcontext()
    with limit, MeasurementProgress() as progress, listening(progress):
        yield


class LineDisplay:
    """The demo's display; what stays goes to stdout, what moves to stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)

    def say(self, text: str) -> None:
        """One line on stdout."""
        click.echo(text)

    def training(self, steps: int) -> TrainingProgress:
        """A bar with loss, floor and regret."""
        return TrainingProgress(steps, self._console)

    def busy(self, what: str) -> AbstractContextManager:
        """A spinner, on a terminal."""
        return self._console.status(what) if self._console.is_terminal else nullcontext()


def numbers(progress: "pretrain.RunProgress") -> str:
    """The reading in words: loss, the newest evaluation against its floor or a byte, speed."""
    parts = [f"loss {progress.loss_nats_per_token:.3f}"]
    evaluation = progress.evaluation or {}
    parts += [f"{name} {evaluation[field]:.3f}" for name, field in HELD_OUT if field in evaluation]
    if "floor_nats_per_token" not in evaluation and "loss_nats_per_byte" in evaluation:
        parts.append(f"per byte {evaluation['loss_nats_per_byte']:.3f}")
    return "  ".join([*parts, f"{progress.tokens_per_second:,.0f} tokens/s"])


def seconds_left(progress: "pretrain.RunProgress") -> float:
    """By the pace since the run began or was resumed; the bar has its own estimate."""
    fraction = progress.step / progress.steps
    return progress.seconds * (1 - fraction) / fraction if fraction else 0.0


def _bar(console: Console) -> Progress:
    return Progress(
        MofNCompleteColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def _shares(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.percentage:>3.0f}%"),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
