"""A report as a notebook: words as Markdown, figures as the Python that makes them again."""

import json
import re
from typing import Any

from interp.report.document import Document
from interp.report.parts import FigurePart, Part, TablePart, TextPart
from interp.report.prose import paragraphs
from interp.report.section import model_line

_SIGNS = re.compile(r"([!-#%-+.-/:-@\[-`{-~])")


def notebook(report: Document) -> str:
    """The text of an `.ipynb` file; the same report gives the same text."""
    cells = [_head(report)]
    for part in report.parts:
        cells += _cells(part)
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    about = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(about, indent=1, allow_nan=False) + "\n"


def as_markdown(text: str) -> str:
    """One line of text that Markdown, HTML and formulas leave as it is.

    Example:
        >>> print(as_markdown("<b> costs $5"))
        \\<b\\> costs &#36;5
    """
    return _SIGNS.sub(r"\\\1", " ".join(text.split())).replace("$", "&#36;")


def figure_call(part: FigurePart) -> str:
    """Python that draws the figure of a `result`."""
    options = ", ".join(f"{name}={value!r}" for name, value in part.options.items())
    return f"result.figure({options})"


def _head(report: Document) -> dict[str, Any]:
    byline = " · ".join(as_markdown(each) for each in (report.author, report.date) if each)
    about = "The cells below load the models and make every figure again."
    typed = {"title": report.title, "author": report.author, "date": report.date}
    return _words([f"# {as_markdown(report.title)}", byline, about], typed)


def _cells(part: Part) -> list[dict[str, Any]]:
    if isinstance(part, FigurePart):
        result, typed = part.result, {"title": part.title, "comment": part.comment}
        about = _prose(f"{result}\n\n{model_line(result.provenance)}")
        words = [_heading(part.heading), _prose(part.comment), about]
        return [_words(words, typed), _python(result.code() + figure_call(part))]
    if isinstance(part, TablePart):
        typed = {"title": part.title, "comment": part.comment}
        return [_words([_heading(part.title), _prose(part.comment)], typed), _python(_table(part))]
    assert isinstance(part, TextPart)
    typed = {"title": part.title, "text": part.text}
    return [_words([_heading(part.title), _prose(part.text)], typed)]


def _table(part: TablePart) -> str:
    rows = part.frame.to_json(orient="split", index=False)
    lines = ("import io", "", "import pandas as pd", "", f"rows = {rows!r}")
    return "\n".join((*lines, 'pd.read_json(io.StringIO(rows), orient="split")'))


def _heading(title: str) -> str:
    return f"## {as_markdown(title)}" if title.strip() else ""


def _prose(text: str) -> str:
    return paragraphs(text).replace("$", "&#36;")


def _words(blocks: list[str], typed: dict[str, Any]) -> dict[str, Any]:
    """A cell of words; what a person typed stands in its metadata letter by letter."""
    source = "\n\n".join(block for block in blocks if block)
    return {"cell_type": "markdown", "metadata": {"interp": typed}, "source": _lines(source)}


def _python(source: str) -> dict[str, Any]:
    empty = {"execution_count": None, "outputs": []}
    return {"cell_type": "code", "metadata": {}, **empty, "source": _lines(source)}


def _lines(source: str) -> list[str]:
    return source.splitlines(keepends=True)
