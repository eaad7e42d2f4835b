"""The command line: one command's file is loaded when it is used, and no torch for `--help`."""

import os
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
    if any("\0" in word for word in arguments or ()):
        return _user_error("A command needs words without null bytes, as any file name does.")
    try:
        return cli.main(args=arguments, prog_name="interp", standalone_mode=False) or 0
    except click.ClickException as error:
        error.message = _printable(error.message)
        error.show()
        return error.exit_code
    except InterpError as error:
        return _user_error(one_line(error))
    except click.Abort:
        click.echo("Stopped.", err=True)
        return Stopped.exit_code
    except OSError as error:  # A reader that went away (`| head`) is click's: quietly 1.
        return _user_error(_unreachable(error))
    except UnicodeEncodeError as error:
        return _user_error(
            f"The output needs signs that {error.encoding} cannot write; got "
            f"{error.object[error.start : error.end][:20]!a}. Set PYTHONIOENCODING=utf-8."
        )


def _user_error(text: str) -> int:
    try:
        sys.stdout.flush()
    except OSError:  # Python would try once more at its end, and print a traceback.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    click.echo(f"interp: {_printable(text)}", err=True)
    return EXIT_USER_ERROR


def _printable(text: str) -> str:
    """With bytes of an argument that are no UTF-8 spelled out: Python keeps them as surrogates."""
    return text.encode(errors="backslashreplace").decode()


def _unreachable(error: OSError) -> str:
    """An error of the operating system as a sentence: which file, why, what to do."""
    name = str(error.filename or "")
    place = f"The file {name if len(name) <= 120 else name[:119] + '…'}" if name else "A file"
    why = one_line(error) if error.strerror is None else error.strerror
    notes = " ".join(getattr(error, "__notes__", []))
    return (
        f"{place} needs to be read or written; the system refused it ({why}). Check the path and "
        f"the room on the disk. {notes}"
    ).strip()


def one_line(error: BaseException) -> str:
    """An error's text, and what was added to it on its way, without line breaks.

    Example:
        >>> one_line(InterpError("Needs a file;  \\n  got none."))
        'Needs a file; got none.'
    """
    return " ".join(" ".join([str(error), *getattr(error, "__notes__", [])]).split())
