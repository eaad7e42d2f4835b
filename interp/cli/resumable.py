"""What a long command says when it is stopped: the command that goes on where it was."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from interp.training.run.signals import Terminated


class Stopped(click.ClickException):
    """Ctrl-C or SIGTERM in a command that can be resumed; exit code 130 or 143, as for shells."""

    exit_code = 130

    def show(self, file: object = None) -> None:
        """The message on stderr, without click's own `Error:`."""
        click.echo(f"\n{self.message}", err=True)


@contextmanager
def resumable(what: str) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM inside the block into one line on stderr and exit code 130 or 143.

    Args:
        what: what is kept, as the line's first words: `The run in runs/x`.
    Raises:
        Stopped: Ctrl-C was pressed, or SIGTERM came.
    """
    try:
        yield
    except (KeyboardInterrupt, Terminated) as interrupt:
        by = " by SIGTERM" if isinstance(interrupt, Terminated) else ""
        stopped = Stopped(f"Stopped{by}. {what} is saved; resume with: {command_line()}")
        stopped.exit_code = getattr(interrupt, "code", stopped.exit_code)
        raise stopped from interrupt


def command_line() -> str:
    """The command that this process runs, as a person would type it."""
    return shlex.join(["interp", *sys.argv[1:]])
