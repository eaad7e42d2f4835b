"""Figures as still pictures: one Chromium, started at the first and shared by all that follow."""

import asyncio
import atexit
import re
import threading
from collections.abc import Coroutine
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from interp.core.errors import ConfigError
from interp.report.chromium import find_chromium, no_chromium

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from kaleido import Kaleido

Kind = Literal["svg", "png"]
WIDTH, HEIGHT = 960, 420
SHARPNESS = {"svg": 1, "png": 2}
SECONDS = 90


def picture(figure: "go.Figure", kind: Kind) -> bytes:
    """A figure as it is in print.

    Args:
        figure: any figure of the house style.
        kind: `svg` (scales to any size) or `png` (two pixels a point).
    Raises:
        ConfigError: there is no Chromium, or it cannot draw.
    """
    if find_chromium() is None:
        raise ConfigError(no_chromium(f"A picture as {kind.upper()}"))
    content = _studio().draw(_named(figure), kind)
    return _same_names(content) if kind == "svg" else content


class Studio:
    """One browser in a thread of its own; figures are drawn one after the other."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._browser: Kaleido | None = None

    def draw(self, figure: "go.Figure", kind: Kind) -> bytes:
        """The picture's bytes; a browser that fails is closed, and the next figure gets another.

        Raises:
            ConfigError: the browser does not start or does not draw.
        """
        size = {"width": WIDTH, "height": figure.layout.height or HEIGHT}
        options = {"format": kind, "scale": SHARPNESS[kind], **size}
        with self._turn:
            try:
                browser = self._browser or self._open()
                return self._wait(browser.calc_fig(figure, opts=options))
            except (OSError, RuntimeError, ValueError, TimeoutError) as error:
                self._close()
                raise ConfigError(
                    f"A picture needs Chromium to draw it; it did not ({error}). Try again, or "
                    "save the figure with the camera above it."
                ) from error

    def close(self) -> None:
        """End the browser; the next figure starts another."""
        with self._turn:
            self._close()

    def _open(self) -> "Kaleido":
        from kaleido import Kaleido

        self._loop = asyncio.new_event_loop()
        threading.Thread(target=_run, args=(self._loop,), name="pictures", daemon=True).start()
        # Formulas would be fetched from another host.
        browser = Kaleido(path=find_chromium(), mathjax=False, timeout=SECONDS)
        self._browser = browser
        self._wait(browser.open())
        return browser

    def _close(self) -> None:
        loop, browser = self._loop, self._browser
        self._loop = self._browser = None
        if loop is None:
            return
        try:
            if browser is not None:
                asyncio.run_coroutine_threadsafe(browser.close(), loop).result(SECONDS)
        except (OSError, RuntimeError, ValueError, TimeoutError):
            pass  # it was broken already
        finally:
            loop.call_soon_threadsafe(loop.stop)

    def _wait(self, task: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(task, self._loop).result(SECONDS)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


@cache
def _studio() -> Studio:
    studio = Studio()
    atexit.register(studio.close)
    return studio


def _named(figure: "go.Figure") -> "go.Figure":
    """A copy whose traces have names; plotly would give them random ones."""
    import plotly.graph_objects as go

    named = go.Figure(figure.to_plotly_json())  # a copy: go.Figure(figure) would reorder its keys
    for number, trace in enumerate(named.data):
        trace.uid = f"{number:06d}"
    return named


def _same_names(svg: bytes) -> bytes:
    """The SVG with the last random name replaced, so that two exports are equal."""
    match = re.search(rb'<defs id="defs-([0-9a-f]{6})"', svg)
    return svg.replace(match.group(1), b"figure") if match else svg
