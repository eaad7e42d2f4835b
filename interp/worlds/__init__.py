"""Simulated worlds, found by file name: `load_world("stories")`."""

from importlib import import_module
from pathlib import Path

from interp.core.errors import ConfigError, near_misses
from interp.worlds.world import World


def world_names() -> list[str]:
    """The worlds on offer: those in the `WORLDS` (name to maker) of each `worlds/<file>.py`."""
    return sorted(name for stem in _stems() for name in _makers(stem))


def load_world(name: str) -> World:
    """The world of that name.

    Raises:
        ConfigError: no world has this name; the nearest are shown.
    """
    for stem in _stems():
        makers = _makers(stem)
        if name in makers:
            return makers[name]()
    raise ConfigError(f"No world is called {name!r}.{near_misses(name, world_names())}")


def _stems() -> list[str]:
    here = Path(__file__).parent
    return sorted(p.stem for p in here.glob("*.py") if p.stem not in ("__init__", "world"))


def _makers(stem: str) -> dict:
    return getattr(import_module(f"interp.worlds.{stem}"), "WORLDS", {})
