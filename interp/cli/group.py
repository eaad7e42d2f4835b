"""A group of commands whose file names are its registry."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from interp.core.errors import near_misses


class LazyGroup(click.Group):
    """Commands found by file name: `<package>/<name>.py` defines `command`.

    A file is imported when its command is used, or when the help lists it; so each keeps what is
    heavy inside its functions.
    """

    def __init__(self, *args: Any, package: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.package = package

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the files, sorted."""
        folder = Path(find_spec(self.package).submodule_search_locations[0])
        return sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command of that name, loaded now; None when there is no such file."""
        if name not in self.list_commands(ctx):
            return None
        return import_module(f"{self.package}.{name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is answered with the nearest known ones."""
        name = args[0]
        if name.startswith("-") or self.get_command(ctx, name):
            return super().resolve_command(ctx, args)
        ctx.fail(f"No command is called {name!r}.{near_misses(name, self.list_commands(ctx))}")
