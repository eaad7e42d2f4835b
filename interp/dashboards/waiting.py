"""What a reader sees while something is measured: a bar, where it is told how far it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context

import streamlit as st

from interp.dashboards.plain import plain
from interp.progress import Progress, listening


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """A spinner, and a bar from the first word of how far it is; both are gone at the end."""
    place = st.empty()
    # What a cached function draws is recorded to be drawn again; the bar must not be, so it is
    # drawn as if from here, outside of that function.
    outside = copy_context()

    def show(progress: Progress) -> None:
        told = plain(f"{progress.stage[:1].upper()}{progress.stage[1:]} …")
        outside.run(place.progress, progress.share, text=told)

    try:
        with st.spinner(words), listening(show):
            yield
    finally:
        place.empty()
