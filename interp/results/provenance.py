"""Where a result came from, and how an instrument's arguments are written down as JSON.

Arguments that JSON cannot hold are recorded as one-entry objects: `$world`, `$model`, `$edits`,
`$tensor` (small ones), `$result` (by its own provenance), `$set`, `$float`; what cannot be written
down at all is `$other`, a description.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import torch
from torch import Tensor

from interp import __version__
from interp.core.edits import Call, Edit, to_json
from interp.core.errors import ModelMismatchError
from interp.core.protocols import LanguageModel
from interp.results import values
from interp.worlds.world import World

LARGEST_TENSOR, LARGEST_TEXT = 1024, 20_000
ADDED_FIELDS = ("bos", "text_start")
"""Fields that version 0.1 did not have."""
MODEL_FIELDS = ("model", "model_hash", "step", "source", "dtype", "bos", "text_start")


def describe_model(model: LanguageModel) -> dict[str, Any]:
    """What names a model: weights, precision, what `load_model` was given, how its texts begin."""
    first = [] if model.tokenizer.bos_token_id is None else [model.tokenizer.bos_token_id]
    return {
        "model": model.name,
        "model_hash": model.hash,
        "step": model.step,
        "source": str(getattr(model, "source", None) or ""),
        "dtype": str(model.weight("W_E").dtype).removeprefix("torch."),
        "bos": getattr(model, "bos", None),
        "text_start": "".join(model.tokenizer.display(first)),
    }


def record(value: Any) -> Any:
    """One argument as JSON; nothing is refused."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return record(value.item())
    if isinstance(value, (list, tuple)):
        return _record_sequence(value)
    if isinstance(value, (set, frozenset)):
        return {"$set": tuple(record(item) for item in sorted(value, key=repr))}
    if isinstance(value, Mapping):
        return {str(key): record(item) for key, item in value.items()}
    if isinstance(value, (Tensor, np.ndarray)):
        return _record_array(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(getattr(value, "provenance", None), Provenance):
        return {"$result": _known_fields(value.provenance)}
    if isinstance(value, World):
        return {"$world": value.name}
    if isinstance(value, LanguageModel):
        return {"$model": describe_model(value)}
    return _record_edits([value]) or {"$other": f"a {type(value).__name__}"}


def _record_sequence(value: list | tuple) -> Any:
    if value and (edits := _record_edits(list(value))):
        return edits
    letters = sum(len(item) for item in value if isinstance(item, str))
    if letters > LARGEST_TEXT:
        digest = sha256(json.dumps(list(map(str, value))).encode()).hexdigest()[:16]
        return {"$other": f"{len(value)} texts of {letters:,} characters, SHA-256 {digest}"}
    return tuple(record(item) for item in value)


def _record_array(value: "Tensor | np.ndarray") -> dict[str, Any]:
    dtype = str(value.dtype).removeprefix("torch.")
    if (value.numel() if isinstance(value, Tensor) else value.size) > LARGEST_TENSOR:
        return {"$other": f"a {dtype} array of shape {list(value.shape)}"}
    return {"$tensor": {"dtype": dtype, "values": record(value.tolist())}}


def _record_edits(value: list) -> dict[str, Any] | None:
    """Interventions as their own JSON; None when these are none."""
    if not all(isinstance(item, Edit) for item in value):
        return None
    if any(isinstance(item, Call) for item in value):
        return {"$other": "a list of edits with a function of yours (Call)"}
    return {"$edits": to_json(value)}


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a result came from: enough to make it again and to see that it is the same.

    Attributes:
        instrument: file name (stem) of the analysis.
        model: the model's name.
        model_hash: hash of the weights that were measured.
        source: what `load_model` was given; empty for a model that was never saved.
        step: training step of the checkpoint; None for a model without one.
        code_version: `interp.__version__`.
        call: the arguments by name, as JSON (see `interp.results.replay`).
        prompt: the text or texts that were read; None where a world or data set gave them.
        hooks: hook points that were read.
        edits: interventions as JSON text; empty when there were none.
        seed: seed of everything that was drawn.
        dtype: precision of the weights.
        bos: what `load_model` was told of the beginning-of-text token; None = as the files say.
        text_start: the token that was put before every text; empty where none was.
        device: where the model ran.
        world: the world's name; empty when none was used.
    """

    instrument: str
    model: str
    model_hash: str
    source: str = ""
    step: int | None = None
    code_version: str = ""
    call: Mapping[str, Any] = field(default_factory=dict)
    prompt: Any = None
    hooks: tuple[str, ...] = ()
    edits: str = ""
    seed: int | None = None
    dtype: str = "float32"
    bos: bool | None = None
    text_start: str = ""
    device: str = "cpu"
    world: str = ""

    def __post_init__(self) -> None:
        for entry in fields(self):
            object.__setattr__(self, entry.name, values.normalize(getattr(self, entry.name)))

    def refuse_other(self, model: LanguageModel, need: str, remedy: str) -> None:
        """Refuse a model with other weights than those that were measured.

        Args:
            model: any language model.
            need: how the message begins: `A tuned lens needs the weights it was tuned on`.
            remedy: what to do then.
        Raises:
            ModelMismatchError: the weights are others; both models are named.
        """
        if model.hash != self.model_hash:
            raise ModelMismatchError(
                f"{need}, {self.model} (weights {self.model_hash}, step {self.step}); got "
                f"{model.name} (weights {model.hash}, step {model.step}). {remedy}"
            )


def provenance(
    instrument: Any,
    call: Mapping[str, Any],
    *,
    hooks: tuple[str, ...] = (),
    prompt: Any = None,
) -> Provenance:
    """Provenance from the arguments an instrument was called with.

    Args:
        instrument: the instrument's function (its name is the file's).
        call: the instrument's arguments by name, `model` among them; `prompt`, `edits`, `world` and
            `seed` are taken from there.
        hooks: hook points that were read.
        prompt: the text that was read, where it is not an argument.
    """
    model = call["model"]
    arguments = {name: record(value) for name, value in call.items() if name != "model"}
    edits = arguments.get("edits")
    return Provenance(
        instrument=instrument.__name__,
        **describe_model(model),
        code_version=__version__,
        call=arguments,
        prompt=arguments.get("prompt") if prompt is None else record(prompt),
        hooks=tuple(str(hook) for hook in hooks),
        edits=edits.get("$edits", "") if isinstance(edits, dict) else "",
        seed=call.get("seed"),
        device=str(model.device),
        world=getattr(call.get("world"), "name", ""),
    )


def provenance_to_json(origin: Provenance) -> dict[str, Any]:
    return values.encode(_known_fields(origin), "provenance", {})


def _known_fields(origin: Provenance) -> dict[str, Any]:
    """The fields by name, less those that version 0.1 did not have where nothing is known.

    A result may stand in a saved call, which must stay the same call when it is opened again.
    """
    values_by_name = {entry.name: getattr(origin, entry.name) for entry in fields(origin)}
    return {
        entry.name: values_by_name[entry.name]
        for entry in fields(origin)
        if entry.name not in ADDED_FIELDS or values_by_name[entry.name] != entry.default
    }


def provenance_from_json(about: dict[str, Any]) -> Provenance:
    entries = values.decode(about, {})
    hints = get_type_hints(Provenance)
    for name, value in entries.items():
        if not values.fits(value, hints[name]):
            raise TypeError(f"provenance.{name} is {show(value)}")
    if not isinstance(getattr(torch, entries.get("dtype", "float32"), None), torch.dtype):
        raise ValueError(f"provenance.dtype is {show(entries['dtype'])}")
    return Provenance(**entries)


def show(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
