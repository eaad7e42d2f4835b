"""The results of "these weights, this call": in memory, and saved in folders.

A result stands in for a measurement only if it is of the very same weights and of the very same
call, what was left out of the call counted with its default.
"""

import inspect
import json
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from interp.core.cache import ByteBoundedCache
from interp.core.edits import Where
from interp.core.errors import CheckpointError
from interp.core.protocols import Generation, LanguageModel
from interp.results.provenance import describe_model, record
from interp.results.registry import get_instrument
from interp.results.result import JSON_NAME, Result, load_result
from interp.results.values import normalize, same


class ResultCache:
    """Measurements and generated texts that are made once, for all who share this cache.

    Models and results are never changed once they are made, so threads can share them.

    Args:
        most_bytes: how much memory it may fill; the least recently used goes first.
    """

    def __init__(self, most_bytes: int) -> None:
        self.memory = ByteBoundedCache(most_bytes)

    def measured(self, instrument: str, model: LanguageModel, /, **arguments: Any) -> Result:
        """What an instrument finds: from memory, or measured now.

        Args:
            instrument: name of the instrument.
            model: the model to measure.
            arguments: the instrument's arguments by name.
        """
        function = get_instrument(instrument).function
        return self.memory.get_or_make(
            _key(instrument, model, arguments), lambda: function(model, **arguments)
        )

    def generated(self, model: LanguageModel, prompt: str, /, **options: Any) -> Generation:
        """The text that follows a prompt: from memory, or generated now.

        Args:
            model: the model that writes.
            prompt: the text to go on from.
            options: options of `model.generate` by name.
        """
        return self.memory.get_or_make(
            _key("generate", model, {"prompt": prompt, **options}),
            lambda: model.generate(prompt, **options),
        )

    def knows(self, instrument: str, model: LanguageModel, /, **arguments: Any) -> bool:
        """Whether the result of this call is in memory."""
        return _key(instrument, model, arguments) in self.memory

    def saved(
        self, folder: str | Path, instrument: str, model: LanguageModel, /, **arguments: Any
    ) -> Result | None:
        """The result of this call that is saved in a folder of results; None if none is.

        Args:
            folder: where each result is a folder.
            instrument: name of the instrument.
            model: the model whose weights the result must be of.
            arguments: the instrument's arguments by name.
        """
        # What is on disk is read once, and again when a result is added, replaced or removed.
        files = [(path.name, _written_at(path)) for path in _places(folder)]
        results = self.memory.get_or_make(
            (str(folder), model.hash, tuple(files)), lambda: saved_results(folder, model.hash)
        )
        return result_of_call(results, instrument, arguments)

    def clear(self) -> None:
        """Forget what is in memory; files stay."""
        self.memory.clear()


def saved_results(folder: str | Path, weights: str) -> list[Result]:
    """The results of these weights that are saved in a folder; a damaged one counts as none.

    Args:
        folder: where each result is a folder; there may be no such folder.
        weights: the model's hash.
    """
    results = []
    for place in _places(folder):
        try:
            result = load_result(place)
        except CheckpointError:
            continue
        if result.provenance.model_hash == weights:
            results.append(result)
    return results


def result_of_call(
    results: Iterable[Result], instrument: str, arguments: Mapping[str, Any]
) -> Result | None:
    """The first of the results that this very call would give again; None if none would.

    Args:
        results: results of one model's weights.
        instrument: name of the instrument.
        arguments: the instrument's arguments by name.
    """
    call, usual = _whole_call(instrument, arguments), _whole_call(instrument, {})
    for result in results:
        origin = result.provenance
        # What was no parameter yet when the result was made counts with its default, too.
        if origin.instrument == instrument and same(usual | dict(origin.call), call):
            return result
    return None


def _whole_call(instrument: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The call as a result records it, what was left out with its default."""
    parameters = inspect.signature(get_instrument(instrument).function).parameters.values()
    return {
        parameter.name: normalize(record(arguments.get(parameter.name, parameter.default)))
        for parameter in parameters
        if parameter.name != "model"
    }


def _key(what: str, model: LanguageModel, arguments: Mapping[str, Any]) -> Hashable:
    places = {name: value for name, value in arguments.items() if isinstance(value, Where)}
    rest = {name: value for name, value in arguments.items() if name not in places}
    # A result says the model's name and folder, so copies of one model have results of their own.
    text = json.dumps([what, describe_model(model), record(rest)], sort_keys=True)
    # A function or a large array is only described, as another one would be: never the same call.
    return object() if '{"$other": "a ' in text else (text, frozenset(places.items()))


def _written_at(path: Path) -> int:
    """When it was written last, in nanoseconds; 0 where somebody took it away meanwhile."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _places(folder: str | Path) -> list[Path]:
    return sorted(path.parent for path in Path(folder).glob(f"*/{JSON_NAME}"))
