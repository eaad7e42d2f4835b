"""The page: a template, a style sheet, a script, and plotly.js packed into it."""

import base64
import gzip
import json
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from interp.plots.theme import CONFIG, DARK

if TYPE_CHECKING:
    from jinja2 import Template


def render(*, parts: list[Any], **words: Any) -> str:
    """The whole page as text.

    Args:
        parts: sections of the page.
        words: title, author and whatever else the template names.
    """
    here = resources.files(__package__)
    figures = {part.number: part.figure for part in parts if part.figure is not None}
    drawing = {"figures": figures, "dark": DARK, "config": CONFIG}
    return _template().render(
        parts=parts,
        style=(here / "page.css").read_text(encoding="utf-8"),
        script=(here / "page.js").read_text(encoding="utf-8"),
        figures=_packed(json.dumps(drawing, allow_nan=False).encode()),
        plotly=_plotly() if figures else "",
        **words,
    )


def _packed(content: bytes) -> str:
    """Gzip without a time stamp, as text."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode("ascii")


@cache
def _template() -> "Template":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(str(resources.files(__package__)))
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    return _packed(get_plotlyjs().encode())
