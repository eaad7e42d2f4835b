"""What a command writes: refused before the work where nothing can stand there."""

import os
import stat
import tempfile
from pathlib import Path
from typing import Literal

import click

from interp.core.errors import ConfigError


class Target(click.ParamType):
    """A path that a command will write; every output option and argument is of this type.

    A trial file is written there and taken away again, so the answer is right also where
    permissions do not tell (for root, on read-only disks).

    Args:
        kind: what the command writes there.
    """

    name = "path"

    def __init__(self, kind: Literal["file", "folder"]) -> None:
        self.kind = kind

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        """The path, if the command can write there.

        Raises:
            ConfigError: something else stands there, or the place cannot be written.
        """
        path = Path(str(value))
        refuse_target(path if str(value) else None, self.kind, _called(param))
        return path


def refuse_target(path: Path | None, kind: Literal["file", "folder"], called: str) -> None:
    """Refuse a place where nothing can be written.

    Args:
        path: the place; None = no name was given.
        kind: what is to be written there.
        called: the option, as a person types it.
    Raises:
        ConfigError: something else stands there, or the place cannot be written.
    """
    try:
        wrong = "no name" if path is None else _other_kind(path, kind)
        if not wrong:
            _try_to_write(path, kind)
    except (OSError, ValueError) as error:
        wrong = f"{_shown(path)}, which cannot be written ({_reason(error)})"
    if wrong:
        raise ConfigError(f"{called} needs a {kind} to write; got {wrong}. Name another place.")


def _other_kind(path: Path, kind: str) -> str:
    """What stands there, if it is of another kind than the command writes."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if stat.S_ISDIR(mode) and kind == "file":
        return f"{_shown(path)}, which is a folder"
    if stat.S_ISREG(mode) and kind == "folder":
        return f"{_shown(path)}, which is a file"
    is_other = not (stat.S_ISDIR(mode) or stat.S_ISREG(mode))
    return f"{_shown(path)}, which is a device or pipe" if is_other else ""


def _try_to_write(path: Path, kind: str) -> None:
    """Write a trial file in the nearest folder that is there already.

    Missing folders are not made, so that several ranks may try at once. The file's name is as long
    as the longest temporary name that will be needed.
    """
    place = path.absolute()
    names = [place.name]
    folder = place if kind == "folder" and place.is_dir() else place.parent
    while not folder.exists() and folder != folder.parent:
        names.append(folder.name)
        folder = folder.parent
    longest = max(names, key=lambda name: len(os.fsencode(name)))
    with tempfile.TemporaryDirectory(prefix=".interp-", dir=folder) as trial:
        (Path(trial) / f".{longest}.0123456789ab.tmp").touch()


def _called(param: click.Parameter | None) -> str:
    """As a person types it: `--html`, or the name of an argument."""
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    return param.make_metavar(click.get_current_context()) if param else "This"


def _shown(path: Path | None) -> str:
    name = str(path)
    return repr(name if len(name) <= 120 else f"{name[:119]}…")


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error)
