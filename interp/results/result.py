"""Results: numbers with their names, units and provenance. They never hold a model and never draw.

An instrument `interp/analyses/x.py` defines a function `x(model, ...)` and a class that it returns:

    @dataclass(frozen=True, kw_only=True)
    class X(Result):
        score: Float[Tensor, "layer pos"]
        tokens: tuple[str, ...]
        labels = {"token": ("pos", "tokens")}  # for `frame()`, the tidy table

        def finding(self) -> str: ...   # one line: the number, its control, n
        def caption(self) -> str: ...   # what is drawn, the control, n, the interval, the caveat

    def x(model, prompt, *, seed=0):
        call = dict(locals())           # first line: what `code()` will repeat
        ...
        return X(score=..., tokens=..., provenance=provenance(x, call))
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_type_hints

import torch

from interp.core.errors import CheckpointError, InterpError
from interp.core.files import (
    read_object,
    replacing,
    safe_load_safetensors,
    sha256_file,
    write_safetensors,
)
from interp.core.untrusted_archive import UNREADABLE
from interp.results import values
from interp.results.provenance import Provenance, provenance_from_json, provenance_to_json, show
from interp.results.registry import class_name, current_name, get_instrument, instruments
from interp.results.replay import code
from interp.results.table import table

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

FORMAT = "interp result 1"
JSON_NAME, TENSORS_NAME = "result.json", "tensors.safetensors"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an instrument found. Subclasses add fields: tensors, text, numbers, tuples, dicts.

    Tensors are copied to CPU float32 (int64 for whole numbers, bool for flags), lists become
    tuples, and each field is checked against its annotation, shapes included.
    """

    provenance: Provenance
    former_fields: ClassVar[Mapping[str, str]] = {}
    """Names that fields had in earlier versions, to today's: saved results still say them."""
    columns: ClassVar[Mapping[str, str]] = {}
    """What `frame()` holds: names with their units, to fields or annotated properties. Left out,
    every field with axes under its own name, but for vectors (`d_model`)."""
    axes: ClassVar[Mapping[str, str]] = {}
    """Axes of the table's tuples and dicts, outermost first; tensors are annotated with theirs."""
    labels: ClassVar[Mapping[str, tuple[str, str | Sequence[Any]]]] = {}
    """Columns of `frame()` that name places: to the axes that they depend on, and the names (or the
    field or property that has them). A column called as the axis replaces its numbers."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # The dataclass decorator would write methods that compare and print whole tensors.
        cls.__eq__, cls.__hash__, cls.__repr__ = Result.__eq__, Result.__hash__, Result.__repr__
        if "frame" in vars(cls):
            cls.frame = _guarded(cls.frame)

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for entry in self._own_fields():
            value = values.normalize(getattr(self, entry))
            if not values.fits(value, hints[entry]):
                place = f"{type(self).__name__}.{entry}"
                raise TypeError(f"{place} needs {hints[entry]}; got {show(value)}.")
            object.__setattr__(self, entry, value)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        names = [entry.name for entry in fields(self)]
        return all(values.same(getattr(self, name), getattr(other, name)) for name in names)

    def __hash__(self) -> int:
        return hash((type(self), self.provenance.instrument, self.provenance.model_hash))

    def __repr__(self) -> str:
        entries = (f"{name}={show(getattr(self, name))}" for name in self._own_fields())
        return f"{type(self).__name__}({', '.join(entries)})"

    def __str__(self) -> str:
        return self.finding()

    def finding(self) -> str:
        """The finding in one line: the number with its unit, the control's, n. Override it."""
        return f"{self.provenance.instrument} of {self.provenance.model}"

    def caption(self) -> str:
        """What the figure shows, with control, n, interval and the method's caveat. Override it."""
        return self.finding()

    def frame(self) -> "pd.DataFrame":
        """A tidy table, from the axes of the fields; units in the names.

        Fields of the same axes stand side by side, a row a place. Where the axes differ it has a
        row a value, and `quantity` says of which field. Controls that are repeated (over untrained
        models, random orders or directions) stand as their mean, lowest and highest value.
        """
        with _naming_damage(self):
            return table(self)

    def figure(self, **options: Any) -> "go.Figure":
        """The figure, drawn by `interp.plots.<instrument>`; never shown by itself."""
        with _naming_damage(self):
            return get_instrument(self.provenance.instrument).plot(self, **options)

    def code(self) -> str:
        """Python that makes this result again: loads the model and calls the instrument."""
        return code(self.provenance)

    def save(self, folder: str | Path) -> Path:
        """Write `result.json` and `tensors.safetensors`; a result that was there is replaced.

        Returns:
            The folder.
        """
        tensors: dict[str, torch.Tensor] = {}
        encoded = {
            name: values.encode(getattr(self, name), name, tensors) for name in self._own_fields()
        }
        folder = Path(folder)
        # Both are whole on the disk before either takes its place.
        with replacing(folder / JSON_NAME) as text, replacing(folder / TENSORS_NAME) as numbers:
            write_safetensors(numbers, tensors)
            about = {
                "format": FORMAT,
                "class": type(self).__name__,
                "provenance": provenance_to_json(self.provenance),
                "tensors_sha256": sha256_file(numbers),
                "fields": encoded,
            }
            about["sha256"] = _digest(about)
            text.write_text(json.dumps(about, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The result that `save` wrote.

        Raises:
            CheckpointError: no result, another instrument's, damaged or foreign.
        """
        about, tensors = _read(Path(folder))
        if about["class"] != cls.__name__:
            raise CheckpointError(
                f"{cls.__name__}.load needs a {cls.__name__}; {folder} holds a "
                f"{about['class']:.60}. Use interp.results.load_result(folder), which finds the "
                "class."
            )
        return cls._build(folder, about, tensors)

    @classmethod
    def _build(cls, folder: str | Path, about: dict, tensors: dict[str, torch.Tensor]) -> Self:
        try:
            saved = values.decode(about["fields"], tensors)
            own = {cls.former_fields.get(name, name): value for name, value in saved.items()}
            result = cls(provenance=provenance_from_json(about["provenance"]), **own)
        except UNREADABLE as error:
            raise CheckpointError(
                f"{folder} does not hold what a {cls.__name__} needs: {error!s:.300}. It was "
                "damaged, or written by another version of interp; make it again."
            ) from error
        object.__setattr__(result, "_folder", folder)
        with _naming_damage(result):
            _ = result.finding(), result.caption(), result.code()
        return result

    @classmethod
    def _own_fields(cls) -> list[str]:
        return [entry.name for entry in fields(cls) if entry.name != "provenance"]


def load_result(folder: str | Path) -> Result:
    """A saved result of any instrument; its class is looked up among the instruments only.

    Raises:
        CheckpointError: no result there, an unknown instrument, damaged or foreign.
    """
    about, tensors = _read(Path(folder))
    name = about["provenance"]["instrument"]
    if name not in instruments():
        raise CheckpointError(
            f"{folder} is a result of {name!r:.60}, which is no instrument of this version of "
            f"interp ({', '.join(instruments())}). Load it with the version that wrote it."
        )
    cls = instruments()[name].result_class
    if about["class"] != cls.__name__:
        raise CheckpointError(
            f"{folder}: {name} makes a {cls.__name__}, not a {about['class']:.60}."
        )
    return cls._build(folder, about, tensors)


def _guarded(method: Callable[[Result], Any]) -> Callable[[Result], Any]:
    """A method that a class has of its own, as careful with loaded results as that of all."""

    @wraps(method)
    def call(result: Result) -> Any:
        with _naming_damage(result):
            return method(result)

    return call


@contextmanager
def _naming_damage(result: Result) -> Iterator[None]:
    """Say what a file is where its values, each of its kind, do not go together.

    Raises:
        CheckpointError: something failed, and the result is one that was loaded.
    """
    try:
        yield
    except UNREADABLE as error:
        folder = getattr(result, "_folder", None)
        if folder is None or isinstance(error, InterpError):
            raise
        raise CheckpointError(
            f"{folder} does not hold what a {type(result).__name__} needs: its values do not go "
            f"together ({error!s:.200}). It was damaged, or written by another version of interp; "
            "make it again."
        ) from error


def _read(folder: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """What the folder says of itself, checked for form, and its tensors, checked by hash."""
    about = read_object(folder / JSON_NAME)
    tensors = folder / TENSORS_NAME
    if about.get("format") != FORMAT or about.pop("sha256", None) != _digest(about):
        wrong = f"{JSON_NAME} is not of the format {FORMAT!r}, or was changed after it was written"
    elif not isinstance(about.get("class"), str) or not isinstance(about.get("provenance"), dict):
        wrong = f"{JSON_NAME} names no instrument"
    elif sha256_file(tensors) != about.get("tensors_sha256"):
        wrong = f"{TENSORS_NAME} is not the one that {JSON_NAME} was written with"
    else:
        return _renamed(about), safe_load_safetensors(tensors)
    raise CheckpointError(
        f"{folder} should hold a saved result; {wrong}. "
        "Make the result again and save it with result.save(folder)."
    )


def _renamed(about: dict) -> dict:
    """With today's names, where an earlier version wrote the result."""
    name = str(about["provenance"].get("instrument"))
    about["provenance"]["instrument"] = current_name(name)
    if about["class"] == class_name(name):
        about["class"] = class_name(current_name(name))
    return about


def _digest(about: Mapping[str, Any]) -> str:
    return sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
