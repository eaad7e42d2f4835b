"""An instrument's call as JSON, and as Python that repeats it.

Arguments that JSON cannot hold are recorded as one-entry objects: `$world`, `$model`, `$edits`,
`$tensor` (small ones), `$result` (by its own provenance), `$set`, `$float`; what cannot be written
down at all is `$other`, a description, and the Python asks the reader for it.
"""

import inspect
import json
import math
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from interp.protocols import LanguageModel
from interp.worlds.world import World

if TYPE_CHECKING:
    from interp.results import Provenance

LARGEST_TENSOR = 1024
LARGEST_TEXT = 20_000
WIDTH = 96
MODEL_FIELDS = ("model", "model_hash", "step", "source", "dtype")


def describe_model(model: LanguageModel) -> dict[str, Any]:
    """Name, weights' hash, step, precision, and what `load_model` was given (empty: not saved)."""
    return {
        "model": model.name,
        "model_hash": model.hash,
        "step": model.step,
        "source": str(getattr(model, "source", None) or ""),
        "dtype": str(model.weight("W_E").dtype).removeprefix("torch."),
    }


def record(value: Any) -> Any:
    """One argument as JSON; nothing is refused."""
    from interp.results import Result

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
    if isinstance(value, Result):
        told = value.provenance
        return {"$result": {name: getattr(told, name) for name in told.__dataclass_fields__}}
    if isinstance(value, World):
        return {"$world": value.name}
    if isinstance(value, LanguageModel):
        return {"$model": describe_model(value)}
    return _record_edits([value]) or {"$other": f"a {type(value).__name__}"}


def code(told: "Provenance") -> str:
    """Python that makes the result again; each line can be pasted into a notebook."""
    script = _Script()
    call = script.call(told, "result")
    lines = [*sorted(script.imports), "", *script.lines, call, "print(result)"]
    return "\n".join(lines) + "\n"


class _Script:
    """Lines that name the arguments which are not plain literals."""

    def __init__(self) -> None:
        self.imports = {"import interp"}
        self.lines: list[str] = []

    def call(self, told: "Provenance", name: str) -> str:
        loaded = {field: getattr(told, field) for field in MODEL_FIELDS}
        parts = [self.model("model", loaded)]
        for argument, value in told.call.items():
            if not _is_default(told.instrument, argument, value):
                parts.append(f"{argument}={self.literal(argument, value)}")
        line = f"{name} = interp.{told.instrument}({', '.join(parts)})"
        if len(line) <= WIDTH:
            return line
        return (
            "\n    ".join([f"{name} = interp.{told.instrument}(", *(f"{p}," for p in parts)])
            + "\n)"
        )

    def literal(self, name: str, value: Any) -> str:
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(self.literal(name, item) for item in value)}]"
        if not isinstance(value, Mapping):
            return repr(value)
        mark = next(iter(value), "")
        if not mark.startswith("$"):
            pairs = (f"{key!r}: {self.literal(name, item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        return getattr(self, f"_{mark[1:]}")(name, value[mark])

    def model(self, name: str, about: Mapping[str, Any]) -> str:
        options = "" if about["step"] is None else f", step={about['step']}"
        if about["dtype"] != "float32":
            self.imports.add("import torch")
            options += f", dtype=torch.{about['dtype']}"
        line = f"interp.load_model({(about['source'] or about['model'])!r}{options})"
        unsaved = "" if about["source"] else "; never saved: save_model(...) it, and load that"
        return self._name(name, f"{line}  # weights {about['model_hash']}{unsaved}")

    def _model(self, name: str, about: Mapping[str, Any]) -> str:
        return self.model(name, about)

    def _world(self, name: str, world: str) -> str:
        return self._name(name, f"interp.load_world({world!r})")

    def _edits(self, name: str, text: str) -> str:
        self.imports.add("from interp.edits import from_json")
        return self._name(name, f"from_json({text!r})")

    def _tensor(self, name: str, about: Mapping[str, Any]) -> str:
        self.imports.add("import torch")
        return f"torch.tensor({self.literal(name, about['values'])}, dtype=torch.{about['dtype']})"

    def _result(self, name: str, about: Mapping[str, Any]) -> str:
        from interp.results import Provenance

        self.lines.append(self.call(Provenance(**about), name))
        return name

    def _float(self, name: str, text: str) -> str:
        return f'float("{float(text)}")'

    def _set(self, name: str, items: list) -> str:
        return f"set({self.literal(name, items)})"

    def _other(self, name: str, what: str) -> str:
        return self._name(name, f"...  # give your own here: it was {what}".replace("\n", " "))

    def _name(self, name: str, expression: str) -> str:
        """A line `name = expression`; the same line twice is written once."""
        taken = {line.split(" = ")[0]: line.split(" = ", 1)[1] for line in self.lines}
        free = name
        while free in taken and taken[free] != expression:
            free += "_2"
        if free not in taken:
            self.lines.append(f"{free} = {expression}")
        return free


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
    if not all(type(item).__module__ == "interp.edits" for item in value):
        return None
    from interp.edits import Call, to_json

    if any(isinstance(item, Call) for item in value):
        return {"$other": "a list of edits with a function of yours (Call)"}
    return {"$edits": to_json(value)}


def _is_default(instrument: str, argument: str, value: Any) -> bool:
    """Whether leaving the argument out gives the same call in this version of interp."""
    from interp.instruments import instruments

    if instrument not in instruments():
        return False
    parameter = inspect.signature(instruments()[instrument].function).parameters.get(argument)
    if parameter is None or parameter.default is inspect.Parameter.empty:
        return False
    return record(parameter.default) == value
