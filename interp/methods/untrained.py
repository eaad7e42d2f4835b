"""The control most instruments share: the same architecture, never trained."""

from collections.abc import Iterator
from contextlib import suppress

from interp.core.errors import InterpError
from interp.core.protocols import LanguageModel


def untrained_twins(model: LanguageModel, count: int, seed: int = 0) -> Iterator[LanguageModel]:
    """Fresh initialisations of the model's own config; none where it cannot make them.

    A pretrained model of another library may not know how it was initialised. An instrument then
    leaves this control out and its caption says so.
    """
    make = getattr(model, "untrained", None)
    if make is None:
        return
    for offset in range(count):
        with suppress(InterpError):
            yield make(seed + offset)
