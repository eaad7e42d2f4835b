"""Results with their provenance: made, saved, loaded, repeated, drawn; and the registry.

The public names load on first use: whoever asks the registry for names alone pays for no tensor.
"""

from importlib import import_module
from typing import Any

_PUBLIC = {
    "Result": "interp.results.result",
    "load_result": "interp.results.result",
    "Provenance": "interp.results.provenance",
}


def __getattr__(name: str) -> Any:
    """Load a public name."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(
        f"interp.results has no public name {name!r}; it has {', '.join(_PUBLIC)}."
    )


def __dir__() -> list[str]:
    return sorted(_PUBLIC)
