"""How the demo speaks on a command line: bars and spinners on a terminal, plain lines elsewhere."""

from contextlib import AbstractContextManager, nullcontext

import click
from rich.console import Console

from interp.cli.progress import TrainingProgress


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
