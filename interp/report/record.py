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
CELLS = (bool, int, float, str, type(None))


def to_record(part: Part, result: str = "") -> dict[str, Any]:
    """One part as JSON.

    Args:
        part: one part of a report.
        result: name of the folder that a figure's result is in.
    """
    heading: dict[str, Any] = {"title": part.title}
    if isinstance(part, FigurePart):
        options = values.encode(dict(part.options), "options", {})
        return {"kind": "figure", **heading, "comment": part.comment, "options": options} | {
            "result": result
        }
    if isinstance(part, TablePart):
        return {
            "kind": "table",
            **heading,
            "comment": part.comment,
            "columns": _columns(part.frame),
        }
    return {"kind": "text", **heading, "text": part.text}


def from_record(record: Any, load: Callable[[str], Result]) -> Part:
    """The part that `to_record` wrote down.

    Args:
        record: what `to_record` gave for one part.
        load: gives the result in the folder of a name.
    Raises:
        CheckpointError: not written by `to_record`.
    """
    try:
        return _part(record, load)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"A part of the report is not what this version of interp writes ({error}). Save the "
            "report again."
        ) from error


def text_entry(record: Mapping[str, Any], name: str, kinds: tuple[type, ...] = (str,)) -> Any:
    """A text of a record.

    Args:
        record: what a file says of a part or of a report.
        name: name of the entry.
        kinds: kinds of value that are allowed.
    Raises:
        TypeError: another kind of value.
    """
    if not isinstance(record[name], kinds):
        raise TypeError(f"{name} must be text; got {type(record[name]).__name__}")
    return record[name]


def _part(record: Mapping[str, Any], load: Callable[[str], Result]) -> Part:
    title = text_entry(record, "title")
    if record["kind"] == "figure":
        options, comment = values.decode(record["options"], {}), text_entry(record, "comment")
        result = load(text_entry(record, "result"))
        return FigurePart(result=result, title=title, comment=comment, options=options)
    if record["kind"] == "table":
        frame = _frame(record["columns"])
        return TablePart(frame=frame, title=title, comment=text_entry(record, "comment"))
    if record["kind"] == "text":
        return TextPart(title=title, text=text_entry(record, "text"))
    raise ValueError(f"no kind {record['kind']!r} of part")


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
    plain = value if isinstance(value, CELLS) else str(value)
    return values.encode(plain, "cell", {})


def _frame(columns: list[Mapping[str, Any]]) -> "pd.DataFrame":
    import pandas as pd

    made = [
        pd.Series(_read_cells(column), dtype=column["kind"])
        if column["kind"] in KINDS
        else pd.Series(_read_cells(column), dtype="object").infer_objects()
        for column in columns
    ]
    frame = pd.concat(made, axis=1) if made else pd.DataFrame()
    return frame.set_axis([text_entry(column, "name") for column in columns], axis=1)


def _read_cells(column: Mapping[str, Any]) -> list[Any]:
    """What `_cell` wrote down.

    Raises:
        TypeError: something else, which no table of the page can show.
    """
    cells = list(values.decode(column["cells"], {}))
    if odd := [type(cell).__name__ for cell in cells if not isinstance(cell, CELLS)]:
        raise TypeError(f"a table's cells must be text and numbers; got {odd[0]}")
    return cells
