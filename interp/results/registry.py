"""The instruments, found by file name: `analyses/<family>/x.py` is registered by being there.

This is the only place that walks `analyses/`; the package, the command line, the dashboard and the
tests ask here. Nothing of an instrument is imported before it is used.
"""

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from interp.core.errors import ConfigError, near_misses

PACKAGE = Path(__file__).resolve().parents[1]

FORMER_NAMES: Mapping[str, str] = {
    "allocation": "loss_change_allocation",
    "dials": "component_scaling",
    "gauges": "steering_metrics",
    "growth": "checkpoint_viewer",
    "head_effect": "head_ablation",
    "reading": "state_decoding",
    "scale": "scaling_law",
    "step": "gradient_step",
    "watch": "checkpoint_metrics",
}
"""Names of earlier versions to today's: saved results, links and scripts still say them."""


@dataclass(frozen=True, kw_only=True)
class Instrument:
    """One instrument by its name; its code is imported when it is first asked for.

    Attributes:
        name: file name (stem), unique among all families.
        family: the folder below `analyses/`.
        path: the source file.
    """

    name: str
    family: str
    path: Path

    @property
    def module(self) -> str:
        """Its module's dotted name."""
        return f"interp.analyses.{self.family}.{self.name}"

    @property
    def function(self) -> Callable[..., Any]:
        """The function that measures; its name is the file's."""
        return getattr(import_module(self.module), self.name)

    @property
    def result_class(self) -> type:
        """The class it returns, a `Result`: its name is the file's in CamelCase."""
        return getattr(import_module(self.module), class_name(self.name))

    @property
    def plot(self) -> Callable[..., Any]:
        """`figure` of the file of the same name below `interp/plots`.

        Raises:
            ConfigError: there is no such file.
        """
        if self.name not in _plots():
            raise ConfigError(
                f"Drawing needs interp/plots/{self.family}/{self.name}.py; there is none. "
                "Write it with a function figure(result)."
            )
        return import_module(_plots()[self.name]).figure

    @property
    def takes(self) -> type:
        """The kind of model it measures: the annotation of its first parameter."""
        # Only this one is looked up: others may be names that exist for type checkers alone.
        return next(iter(inspect.signature(self.function).parameters.values())).annotation

    def accepts(self, model: Any) -> bool:
        """Whether it can measure this model, by what the model offers."""
        return isinstance(model, self.takes)

    @property
    def summary(self) -> str:
        """The first line of its file's docstring, read without importing it."""
        return _docstring(self.path).partition("\n")[0]


def class_name(name: str) -> str:
    """The result class of an instrument.

    Example:
        >>> class_name("logit_lens")
        'LogitLens'
    """
    return "".join(word.capitalize() for word in name.split("_"))


@cache
def instruments() -> Mapping[str, Instrument]:
    """Every instrument by name, in order of the alphabet; nothing is imported.

    Raises:
        ConfigError: two files have one name.
    """
    by_name: dict[str, Instrument] = {}
    for path in sorted((PACKAGE / "analyses").glob("*/[!_]*.py"), key=lambda path: path.stem):
        if path.stem in by_name:
            raise ConfigError(
                f"An instrument's file name must be unique; {path.stem}.py stands in "
                f"{by_name[path.stem].family}/ and {path.parent.name}/. Rename one."
            )
        by_name[path.stem] = Instrument(name=path.stem, family=path.parent.name, path=path)
    return by_name


def get_instrument(name: str) -> Instrument:
    """The instrument of that name, or of the one that had it in an earlier version.

    Raises:
        ConfigError: there is none; the nearest names are shown.
    """
    name = current_name(name)
    if name not in instruments():
        raise ConfigError(f"No instrument is called {name!r}.{near_misses(name, instruments())}")
    return instruments()[name]


def current_name(name: str) -> str:
    """Today's name of an instrument: another one only for a name of an earlier version.

    Example:
        >>> current_name("probe")
        'probe'
    """
    return FORMER_NAMES.get(name, name)


@cache
def _plots() -> Mapping[str, str]:
    """Module of each figure by its file name."""
    paths = (PACKAGE / "plots").glob("*/[!_]*.py")
    return {path.stem: f"interp.plots.{path.parent.name}.{path.stem}" for path in paths}


@cache
def _docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
