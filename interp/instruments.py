"""The instruments, found by file name: `analyses/x.py` is registered by being there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.errors import ConfigError, near_misses

if TYPE_CHECKING:
    from interp.results import Result


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One instrument by its name; its code is imported when it is first asked for."""

    name: str

    @property
    def function(self) -> Callable[..., "Result"]:
        """`interp.analyses.<name>.<name>`."""
        return getattr(import_module(f"interp.analyses.{self.name}"), self.name)

    @property
    def result_class(self) -> "type[Result]":
        """The class it returns: its name is the file's in CamelCase."""
        module = import_module(f"interp.analyses.{self.name}")
        return getattr(module, class_name(self.name))

    @property
    def plot(self) -> Callable[..., Any]:
        """`interp.plots.<name>.figure`."""
        return import_module(f"interp.plots.{self.name}").figure


def class_name(name: str) -> str:
    """The result class of an instrument.

    Example:
        >>> class_name("logit_lens")
        'LogitLens'
    """
    return "".join(word.capitalize() for word in name.split("_"))


@cache
def instruments() -> Mapping[str, Instrument]:
    """Every instrument by name, in order of the alphabet; nothing is imported."""
    folder = Path(__file__).parent / "analyses"
    stems = sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))
    return {stem: Instrument(name=stem) for stem in stems}


def get_instrument(name: str) -> Instrument:
    """The instrument of that name.

    Raises:
        ConfigError: there is none; the nearest names are shown.
    """
    if name not in instruments():
        raise ConfigError(f"No instrument is called {name!r}.{near_misses(name, instruments())}")
    return instruments()[name]
