"""A glass-box laboratory for language models: train, watch, open, steer, report.

Public names load on first use, so that `import interp` costs no more than it must.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "load_model": "interp.models.load",
    "GPT": "interp.models.gpt",
    "GPTConfig": "interp.models.gpt",
    "PRESETS": "interp.models.presets",
    "Tokenizer": "interp.models.tokenizer",
    "train": "interp.training.pretrain",
    "TrainConfig": "interp.training.config",
    "load_world": "interp.worlds",
    "load_recipe": "interp.recipe",
    "Report": "interp.report",
    "Result": "interp.results",
    "Add": "interp.edits",
    "Replace": "interp.edits",
    "Ablate": "interp.edits",
    "Project": "interp.edits",
    "Clamp": "interp.edits",
    "Scale": "interp.edits",
    "Call": "interp.edits",
    "Where": "interp.edits",
}
_INSTRUMENTS = {
    path.stem
    for path in (Path(__file__).parent / "analyses").glob("*.py")
    if not path.stem.startswith("_")
}


def __getattr__(name: str) -> Any:
    """Load a public name, or an instrument by its file name."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    if name in _INSTRUMENTS:
        return getattr(import_module(f"interp.analyses.{name}"), name)
    raise AttributeError(f"interp has no public name {name!r}; see dir(interp).")


def __dir__() -> list[str]:
    return sorted({"__version__", *_PUBLIC, *_INSTRUMENTS})
