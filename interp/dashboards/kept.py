"""Results that travel with a model's folder, so that what takes long is there at once.

A kept result stands in for a measurement only if it is of these very weights and of the very same
call; anything else is measured.
"""

import inspect
from pathlib import Path
from typing import Any

import streamlit as st

from interp.dashboards import session
from interp.dashboards.shelf import Entry
from interp.errors import CheckpointError
from interp.instruments import get_instrument
from interp.protocols import LanguageModel
from interp.reproduce import record
from interp.results import Result, load_result
from interp.values import normalize, same

FOLDER = "results"


def measured(entry: Entry, instrument: str, model: LanguageModel, **arguments: Any) -> Result:
    """What an instrument finds: kept with the model, from memory, or measured now."""
    found = find(entry, instrument, model, **arguments)
    return session.measured(instrument, model, **arguments) if found is None else found


def knows(entry: Entry, instrument: str, model: LanguageModel, **arguments: Any) -> bool:
    """Whether nobody has to wait for it: it is kept with the model, or in memory."""
    there = session.knows(instrument, model, **arguments)
    return there or find(entry, instrument, model, **arguments) is not None


def find(entry: Entry, instrument: str, model: LanguageModel, **arguments: Any) -> Result | None:
    """The result that is kept for this call and these weights; None when there is none."""
    wanted = _call(instrument, arguments)
    for result in _kept(str(entry.folder.resolve()), model.hash):
        told = result.provenance
        if told.instrument == instrument and same(dict(told.call), wanted):
            return result
    return None


def keep(folder: Path, name: str, result: Result) -> Path:
    """Save a result with the model whose folder this is."""
    return result.save(folder / FOLDER / name)


def _call(instrument: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The whole call as a result records it, what was left out with its default."""
    parameters = inspect.signature(get_instrument(instrument).function).parameters.values()
    return {
        each.name: normalize(record(arguments.get(each.name, each.default)))
        for each in parameters
        if each.name != "model"
    }


@st.cache_resource(show_spinner=False, max_entries=session.MOST_MODELS)
def _kept(folder: str, weights: str) -> list[Result]:
    """Those of these weights; a damaged one counts as none."""
    found = []
    for place in sorted(Path(folder, FOLDER).glob("*/result.json")):
        try:
            result = load_result(place.parent)
        except CheckpointError:
            continue
        if result.provenance.model_hash == weights:
            found.append(result)
    return found
