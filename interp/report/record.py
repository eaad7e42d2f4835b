"""Parts of a report to JSON and back; the results themselves are files beside it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from interp.core.errors import CheckpointError
from interp.report.parts import FigurePart, Part, TablePart, TextPart
from interp.results import values
from interp.results.result import Result

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "interp report 1"
KINDS = ("int64", "float64", "bool")


def to_record(part: Part, result: str = "") -> dict[str, Any]:
    """One part as JSON.

    Args:
        result: where the result of a figure is.
    """
    told: dict[str, Any] = {"title": part.title}
    if isinstance(part, FigurePart):
        options = values.encode(dict(part.options), "options", {})
        return {"kind": "figure", **told, "comment": part.comment, "options": options} | {
            "result": result
        }
    if isinstance(part, TablePart):
        return {"kind": "table", **told, "comment": part.comment, "columns": _columns(part.frame)}
    return {"kind": "text", **told, "text": part.text}


def from_record(told: Any, load: Callable[[str], Result]) -> Part:
    """The part that `to_record` wrote down.

    Args:
        load: gives the result of that name.
    Raises:
        CheckpointError: not written by `to_record`.
    """
    try:
        return _part(told, load)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"A part of the report is not what this version of interp writes ({error}). Save the "
            "report again."
        ) from error


def text_of(told: Mapping[str, Any], name: str, kinds: tuple[type, ...] = (str,)) -> Any:
    """A text of a record.

    Raises:
        TypeError: another kind of value.
    """
    if not isinstance(told[name], kinds):
        raise TypeError(f"{name} must be text; {type(told[name]).__name__} came")
    return told[name]


def _part(told: Mapping[str, Any], load: Callable[[str], Result]) -> Part:
    title = text_of(told, "title")
    if told["kind"] == "figure":
        options, comment = values.decode(told["options"], {}), text_of(told, "comment")
        result = load(text_of(told, "result"))
        return FigurePart(result=result, title=title, comment=comment, options=options)
    if told["kind"] == "table":
        frame = _frame(told["columns"])
        return TablePart(frame=frame, title=title, comment=text_of(told, "comment"))
    if told["kind"] == "text":
        return TextPart(title=title, text=text_of(told, "text"))
    raise ValueError(f"no kind {told['kind']!r} of part")


def _columns(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    return [
        {
            "name": str(name),
            "kind": str(column.dtype),
            "cells": [_cell(value) for value in column.tolist()],
        }
        for name, column in frame.items()
    ]


def _cell(value: Any) -> Any:
    plain = value if isinstance(value, (bool, int, float, str, type(None))) else str(value)
    return values.encode(plain, "cell", {})


def _frame(columns: list[Mapping[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    made = [
        pd.Series(values.decode(told["cells"], {}), dtype=told["kind"])
        if told["kind"] in KINDS
        else pd.Series(values.decode(told["cells"], {}), dtype="object").infer_objects()
        for told in columns
    ]
    frame = pd.concat(made, axis=1) if made else pd.DataFrame()
    return frame.set_axis([text_of(told, "name") for told in columns], axis=1)
