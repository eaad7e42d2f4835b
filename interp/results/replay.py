"""A recorded call as Python that repeats it.

What could not be written down (`$other`, see `provenance.py`) the Python asks the reader for.
"""

import inspect
from collections.abc import Mapping
from typing import Any

from interp.results.provenance import MODEL_FIELDS, Provenance, record
from interp.results.registry import current_name, instruments

WIDTH = 96


def code(origin: Provenance) -> str:
    """Python that makes the result again; each line can be pasted into a notebook."""
    script = _Script()
    call = script.call(origin, "result")
    lines = [*sorted(script.imports), "", *script.lines, call, "print(result)"]
    return "\n".join(lines) + "\n"


def load_call(about: Mapping[str, Any]) -> str:
    """The call that opens a model again, from what `describe_model` says of it.

    Example:
        >>> load_call({"source": "runs/mine", "step": 64, "dtype": "float32", "bos": None})
        "interp.load_model('runs/mine', step=64)"
    """
    options = "" if about["step"] is None else f", step={about['step']}"
    if about["dtype"] != "float32":
        options += f", dtype=torch.{about['dtype']}"
    if about.get("bos") is not None:
        options += f", bos={about['bos']}"
    return f"interp.load_model({(about['source'] or about['model'])!r}{options})"


class _Script:
    """Lines that name the arguments which are not plain literals."""

    def __init__(self) -> None:
        self.imports = {"import interp"}
        self.lines: list[str] = []

    def call(self, origin: Provenance, name: str) -> str:
        loaded = {field: getattr(origin, field) for field in MODEL_FIELDS}
        parts = [self.model("model", loaded)]
        instrument = current_name(origin.instrument)
        for argument, value in origin.call.items():
            if not _is_default(instrument, argument, value):
                parts.append(f"{argument}={self.literal(argument, value)}")
        line = f"{name} = interp.{instrument}({', '.join(parts)})"
        if len(line) <= WIDTH:
            return line
        lines = [f"{name} = interp.{instrument}(", *(f"{part}," for part in parts)]
        return "\n    ".join(lines) + "\n)"

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
        if about["dtype"] != "float32":
            self.imports.add("import torch")
        line = load_call(about)
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


def _is_default(instrument: str, argument: str, value: Any) -> bool:
    """Whether leaving the argument out gives the same call in this version of interp."""
    if instrument not in instruments():
        return False
    parameter = inspect.signature(instruments()[instrument].function).parameters.get(argument)
    if parameter is None or parameter.default is inspect.Parameter.empty:
        return False
    return record(parameter.default) == value
