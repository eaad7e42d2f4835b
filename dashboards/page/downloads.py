"""The downloads of one figure: images, numbers, and the interactive figure."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from mimetypes import guess_type
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from interp.plots.theme import CONFIG
from interp.report.chromium import find_chromium, no_chromium
from interp.report.pictures import picture
from interp.report.section import provenance_rows
from interp.results.result import Result


@dataclass(frozen=True, kw_only=True)
class Download:
    """One file, made when it is downloaded.

    Attributes:
        kind: suffix of the file.
        what: is in the file, in a few words.
        make: gives its content.
    """

    kind: str
    what: str
    make: Callable[[], str | bytes]


def download_options(
    result: Result, figure: go.Figure, title: str, seen: Callable[[], go.Figure] | None = None
) -> list[Download]:
    """The files of a figure; pictures only where a Chromium can draw them.

    Args:
        result: of an instrument.
        figure: the result's.
        title: of the figure.
        seen: makes what the page shows in its place; pictures are of this.
    """
    image = seen or (lambda: figure)

    def html() -> str:
        return image().to_html(include_plotlyjs=True, config=CONFIG)

    downloads = [
        Download(kind="svg", what="vector image", make=lambda: picture(image(), "svg")),
        Download(kind="png", what="bitmap image", make=lambda: picture(image(), "png")),
        Download(kind="csv", what="the table", make=lambda: csv(result)),
        Download(kind="json", what="table, captions, provenance, figure",
                 make=lambda: json_text(result, figure, title)),
        Download(kind="html", what="interactive figure", make=html),
    ]  # fmt: skip
    return downloads if find_chromium() else downloads[2:]


def csv(result: Result) -> bytes:
    """The table, every row."""
    return result.frame().to_csv(index=False).encode("utf-8", "backslashreplace")


def json_text(result: Result, figure: go.Figure, title: str) -> str:
    """The numbers with their title, captions and provenance, and the figure as plotly reads it."""
    about = {
        "title": title,
        "finding": result.finding(),
        "caption": result.caption(),
        "provenance": provenance_rows(result.provenance),
        "python": result.code(),
        "rows": json.loads(result.frame().to_json(orient="records", double_precision=15)),
        "figure": json.loads(figure.to_json()),
    }
    return json.dumps(about, indent=1)


def downloads(
    result: Result,
    figure: go.Figure,
    title: str,
    key: str,
    seen: Callable[[], go.Figure] | None = None,
) -> None:
    """A button that opens the list of files.

    Args:
        result: of an instrument.
        figure: the result's.
        title: of the figure.
        key: of the figure; also the files' name.
        seen: as in `download_options`.
    """
    with st.popover("Download", icon=":material/download:", key=f"downloads_{key}"):
        for option in download_options(result, figure, title, seen):
            name, label = f"{key}.{option.kind}", f"{option.kind.upper()}: {option.what}"
            style = {"icon": None, "width": "stretch"}
            download_button(label, name, option.make, key=f"{option.kind}_{key}", **style)
        if find_chromium() is None:
            why = no_chromium("A picture")
            st.caption(f"For SVG use the camera icon above the figure. {why}")


def download_button(
    label: str, name: str, data: str | bytes | Callable[[], str | bytes], **widget: Any
) -> None:
    """A button that downloads one file and leaves the page as it is.

    Args:
        label: of the button.
        name: of the file; its ending gives the media type.
        data: the content, or what makes it when it is downloaded.
        widget: more options of `st.download_button`.
    """
    usual = {"mime": guess_type(name)[0], "icon": ":material/download:", "on_click": "ignore"}
    st.download_button(label, data=data, file_name=name, **{**usual, **widget})
