"""A glass-box laboratory for language models: train, watch, open, steer, report.

Public names load on first use, so that `import interp` costs no more than it must.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "load_model": "interp.models.io.load",
    "GPT": "interp.models.gpt",
    "GPTConfig": "interp.models.config",
    "PRESETS": "interp.models.io.presets",
    "Tokenizer": "interp.models.tokenizer",
    "train": "interp.training.loop.pretrain",
    "TrainConfig": "interp.training.recipe.config",
    "load_world": "interp.worlds",
    "load_recipe": "interp.steering_recipe",
    "cost_limit": "interp.core.cost",
    "Report": "interp.report",
    "Result": "interp.results.result",
    "Add": "interp.core.edits",
    "Replace": "interp.core.edits",
    "Ablate": "interp.core.edits",
    "Project": "interp.core.edits",
    "Clamp": "interp.core.edits",
    "Scale": "interp.core.edits",
    "Call": "interp.core.edits",
    "Where": "interp.core.edits",
}


def __getattr__(name: str) -> Any:
    """Load a public name, or an instrument by its file name."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    registry = import_module("interp.results.registry")
    if registry.current_name(name) in registry.instruments():
        return registry.get_instrument(name).function
    raise AttributeError(f"interp has no public name {name!r}; see dir(interp).")


def __dir__() -> list[str]:
    instruments = import_module("interp.results.registry").instruments()
    return sorted({"__version__", *_PUBLIC, *instruments})
