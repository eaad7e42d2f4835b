"""The downloads of one figure: images, numbers, and the interactive figure."""

import json
from collections.abc import Callable
from dataclasses import dataclass

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
        mime: its media type.
        what: is in the file, in a few words.
        make: gives its content.
    """

    kind: str
    mime: str
    what: str
    make: Callable[[], str | bytes]


def download_options(result: Result, figure: go.Figure, title: str) -> list[Download]:
    """The files of a figure; pictures only where a Chromium can draw them."""

    def html() -> str:
        return figure.to_html(include_plotlyjs=True, config=CONFIG)

    downloads = [
        Download(kind="svg", mime="image/svg+xml", what="vector image",
                 make=lambda: picture(figure, "svg")),
        Download(kind="png", mime="image/png", what="bitmap image",
                 make=lambda: picture(figure, "png")),
        Download(kind="csv", mime="text/csv", what="the table", make=lambda: csv(result)),
        Download(kind="json", mime="application/json", what="table, captions, provenance, figure",
                 make=lambda: json_text(result, figure, title)),
        Download(kind="html", mime="text/html", what="interactive figure", make=html),
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


def downloads(result: Result, figure: go.Figure, title: str, key: str) -> None:
    """A button that opens the list of files.

    Args:
        key: of the figure; also the files' name.
    """
    with st.popover("Download", icon=":material/download:", key=f"downloads_{key}"):
        for option in download_options(result, figure, title):
            st.download_button(
                f"{option.kind.upper()}: {option.what}",
                data=option.make,
                file_name=f"{key}.{option.kind}",
                mime=option.mime,
                key=f"{option.kind}_{key}",
                on_click="ignore",
                width="stretch",
            )
        if find_chromium() is None:
            why = no_chromium("A picture")
            st.caption(f"For SVG use the camera icon above the figure. {why}")
