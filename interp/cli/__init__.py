"""The command line: one command's file is loaded when it is used, and no torch for `--help`."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from interp import __version__
from interp.cli.group import LazyGroup
from interp.cli.resumable import Stopped
from interp.core.errors import InterpError

EXIT_USER_ERROR = 2


@click.group(cls=LazyGroup, package="interp.cli.commands", no_args_is_help=True)
@click.version_option(__version__, prog_name="interp")
def cli() -> None:
    """A glass-box laboratory for language models: train, inspect, steer, report."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave: 0 = done, 2 = something to mend, 130 = Ctrl-C.

    Args:
        arguments: as on the command line, without the program's name; None = `sys.argv`.
    Raises:
        SystemExit: always, with the exit code.
    """
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        return cli.main(args=arguments, prog_name="interp", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except InterpError as error:
        click.echo(f"interp: {one_line(error)}", err=True)
        return EXIT_USER_ERROR
    except click.Abort:
        click.echo("Stopped.", err=True)
        return Stopped.exit_code


def one_line(error: BaseException) -> str:
    """An error's text without line breaks.

    Example:
        >>> one_line(InterpError("Needs a file;  \\n  got none."))
        'Needs a file; got none.'
    """
    return " ".join(str(error).split())
