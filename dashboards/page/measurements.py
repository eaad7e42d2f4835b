"""The one way in which a page asks for a measurement, and for a text.

A result that was saved with the model's folder is there at once, one that was measured before comes
from memory, anything else is measured. A saved result stands in for a measurement only if it is of
these very weights and of the very same call.
"""

import inspect
import json
from collections.abc import Sequence
from pathlib import Path
from threading import Condition
from typing import Any

import streamlit as st
from cachetools import LRUCache, cached

from dashboards.page.model_cache import MOST_MODELS
from dashboards.page.progress_bar import waiting
from interp.core.edits import Edit
from interp.core.errors import CheckpointError
from interp.core.protocols import Generation, LanguageModel
from interp.models.io.history import History
from interp.results.provenance import describe_model, record
from interp.results.registry import get_instrument
from interp.results.result import Result, load_result
from interp.results.values import normalize, same, size_bytes

FOLDER = "results"
MOST_BYTES = 64 * 2**20
"""Of all results and texts together, shared by everyone who looks at this server."""
_memory: LRUCache = LRUCache(MOST_BYTES, getsizeof=size_bytes)
_turn = Condition()  # With it, two who ask the same at once wait for one measurement.


def measured(instrument: str, model: LanguageModel, **arguments: Any) -> Result:
    """What an instrument finds: saved with the model, from memory, or measured now.

    Models and results are never changed once they are made, so sessions can share them.
    """
    result = saved(instrument, model, **arguments)
    if result is not None:
        return result
    with waiting("Measuring …"):
        return _measured(_asked(instrument, model, arguments), instrument, model, arguments)


def knows(instrument: str, model: LanguageModel, **arguments: Any) -> bool:
    """Whether nobody has to wait for it: it is saved with the model, or in memory."""
    there = _asked(instrument, model, arguments) in _memory
    return there or saved(instrument, model, **arguments) is not None


def forget() -> None:
    """Forget every result and text that is in memory."""
    with _turn:
        _memory.clear()


def continued(
    model: LanguageModel, prompt: str, *, edits: Sequence[Edit] = (), **options: Any
) -> Generation:
    """The text that follows, from memory if the same was asked before."""
    arguments = {"prompt": prompt, "edits": list(edits), **options}
    with st.spinner("Writing …"):
        return _continued(_asked("generate", model, arguments), model, prompt, edits, options)


def saved(instrument: str, model: LanguageModel, **arguments: Any) -> Result | None:
    """The result that is saved with the model for this call and these weights; None if none is."""
    run = getattr(model, "history", None)
    if not isinstance(run, History):
        return None
    wanted = _call(instrument, arguments)
    for result in _saved(str(run.folder), model.hash):
        origin = result.provenance
        if origin.instrument == instrument and same(dict(origin.call), wanted):
            return result
    return None


def save(folder: Path, name: str, result: Result) -> Path:
    """Save a result with the model whose folder this is."""
    return result.save(folder / FOLDER / name)


def _asked(instrument: str, model: LanguageModel, arguments: dict[str, Any]) -> str:
    return json.dumps([instrument, describe_model(model), record(arguments)], sort_keys=True)


@cached(_memory, key=lambda asked, *_: asked, condition=_turn)
def _measured(
    asked: str, instrument: str, model: LanguageModel, arguments: dict[str, Any]
) -> Result:
    return get_instrument(instrument).function(model, **arguments)


@cached(_memory, key=lambda asked, *_: asked, condition=_turn)
def _continued(
    asked: str,
    model: LanguageModel,
    prompt: str,
    edits: Sequence[Edit],
    options: dict[str, Any],
) -> Generation:
    return model.generate(prompt, edits=edits, **options)


def _call(instrument: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The whole call as a result records it, what was left out with its default."""
    parameters = inspect.signature(get_instrument(instrument).function).parameters.values()
    return {
        each.name: normalize(record(arguments.get(each.name, each.default)))
        for each in parameters
        if each.name != "model"
    }


@st.cache_resource(show_spinner=False, max_entries=MOST_MODELS)
def _saved(folder: str, weights: str) -> list[Result]:
    """Those of these weights; a damaged one counts as none."""
    results = []
    for place in sorted(Path(folder, FOLDER).glob("*/result.json")):
        try:
            result = load_result(place.parent)
        except CheckpointError:
            continue
        if result.provenance.model_hash == weights:
            results.append(result)
    return results
