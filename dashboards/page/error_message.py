"""An error that a user can fix is a message on the page; any other shows its traceback."""

from collections.abc import Callable
from functools import wraps

import streamlit as st

from dashboards.page.markdown import plain
from interp.core.errors import InterpError


class PageEnd(Exception):
    """All that the page can show is drawn. Unlike `st.stop`, it leaves the sidebar to be drawn."""


def guarded(render: Callable[[], None]) -> Callable[[], None]:
    """The page, ending in an error message where it cannot go on."""

    @wraps(render)
    def page() -> None:
        try:
            render()
        except InterpError as error:
            st.error(plain(str(error)), icon=":material/error:")
        except PageEnd:
            pass

    return page
