"""What a reader sees while something is measured: a bar, where it is told how far it is."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from dashboards.page.markdown import plain
from interp.core.progress import Progress, listening


@contextmanager
def waiting(words: str) -> Iterator[None]:
    """A spinner, and a bar from the first word of how far it is; both are gone at the end."""
    place = st.empty()

    def show(progress: Progress) -> None:
        text = plain(f"{progress.stage[:1].upper()}{progress.stage[1:]} …")
        place.progress(progress.share, text=text)

    try:
        with st.spinner(words), listening(show):
            yield
    finally:
        place.empty()
