"""What a long command says when it is stopped: the command that goes on where it was."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click


class Stopped(click.ClickException):
    """Ctrl-C in a command that can be resumed; exit code 130, as shells expect."""

    exit_code = 130

    def show(self, file: object = None) -> None:
        """The message on stderr, without click's own `Error:`."""
        click.echo(f"\n{self.message}", err=True)


@contextmanager
def resumable(what: str) -> Iterator[None]:
    """Turn Ctrl-C inside the block into one line on stderr and exit code 130.

    Args:
        what: what is kept, as the line's first words: `The run in runs/x`.
    Raises:
        Stopped: Ctrl-C was pressed.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise Stopped(f"Stopped. {what} is saved; resume with: {command_line()}") from interrupt


def command_line() -> str:
    """The command that this process runs, as a person would type it."""
    return shlex.join(["interp", *sys.argv[1:]])
