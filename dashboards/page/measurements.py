"""The one way in which a page asks for a measurement, and for a text.

A result that was saved with the model's folder is there at once, one that was measured before comes
from memory, anything else is measured. A saved result stands in for a measurement only if it is of
these very weights and of the very same call.
"""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import streamlit as st

from dashboards.page.error_message import PageEnd
from dashboards.page.markdown import plain
from interp.core.cost import CostError, cost_limit
from interp.core.edits import Edit
from interp.core.progress import Progress, listening
from interp.core.protocols import Generation, LanguageModel
from interp.models.io.history import History
from interp.results.cache import ResultCache
from interp.results.provenance import record
from interp.results.result import Result

FOLDER = "results"
MOST_BYTES = 64 * 2**20
_cache = ResultCache(MOST_BYTES)
"""Of all results and texts together, shared by everyone who looks at this server."""


def measured(instrument: str, model: LanguageModel, **arguments: Any) -> Result:
    """What an instrument finds: saved with the model, from memory, or measured now.

    One that would cost more than the limit shows its estimate, and a button that goes on.

    Raises:
        PageEnd: that button is there, and was not pressed.
    """
    result = saved(instrument, model, **arguments)
    if result is not None:
        return result
    call = (instrument, model.hash, repr(record(arguments)))
    with within_cost(*call), _progress("Measuring …"):
        return _cache.measured(instrument, model, **arguments)


@contextmanager
def within_cost(what: str, *call: Hashable) -> Iterator[None]:
    """Around any work of a page that announces its cost: above the limit, the page asks first.

    Args:
        what: name of the work, as of an instrument.
        call: what it is done with; whoever agrees to it is not asked again.
    Raises:
        PageEnd: the estimate and a button are there, and the button was not pressed.
    """
    agreed = st.session_state.setdefault("agreed_costs", set())
    try:
        with cost_limit() if (what, *call) in agreed else nullcontext():
            yield
    except CostError as error:
        st.warning(plain(error.question), icon=":material/hourglass:")
        button = {"key": f"any_cost_{what}", "on_click": agreed.add, "args": ((what, *call),)}
        st.button("Measure all the same", **button)
        raise PageEnd from error


def knows(instrument: str, model: LanguageModel, **arguments: Any) -> bool:
    """Whether the result is at hand: saved with the model, or in memory."""
    in_memory = _cache.knows(instrument, model, **arguments)
    return in_memory or saved(instrument, model, **arguments) is not None


def forget() -> None:
    """Forget every result and text that is in memory."""
    _cache.clear()


def continued(
    model: LanguageModel, prompt: str, *, edits: Sequence[Edit] = (), **options: Any
) -> Generation:
    """The text that follows, from memory if the same was asked before."""
    with st.spinner("Writing …"):
        return _cache.generated(model, prompt, edits=list(edits), **options)


def saved(instrument: str, model: LanguageModel, **arguments: Any) -> Result | None:
    """The result that is saved with the model for this call and these weights; None if none is."""
    run = getattr(model, "history", None)
    if not isinstance(run, History):
        return None
    return _cache.saved(run.folder / FOLDER, instrument, model, **arguments)


@contextmanager
def _progress(label: str) -> Iterator[None]:
    """A spinner, and a bar from the first report of progress; both are gone at the end."""
    bar = st.empty()

    def show(progress: Progress) -> None:
        stage = plain(f"{progress.stage[:1].upper()}{progress.stage[1:]} …")
        bar.progress(progress.share, text=stage)

    try:
        with st.spinner(label), listening(show):
            yield
    finally:
        bar.empty()
