"""What a report holds, part by part, before anything is drawn: figures, text and tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any

from interp.core.errors import ConfigError
from interp.results import values
from interp.results.result import Result

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_NUMBERS = count()


@dataclass(frozen=True, kw_only=True)
class Part:
    """One section of a report.

    Attributes:
        title: heading; empty for the part's own.
        number: tells parts apart while a report is edited, also after a change of words with
            `dataclasses.replace`; it is no part of what is saved or compared.
    """

    title: str = ""
    number: int = field(default_factory=_NUMBERS.__next__, compare=False, repr=False)


@dataclass(frozen=True, kw_only=True)
class FigurePart(Part):
    """A result and how it is drawn.

    Attributes:
        result: what an instrument found.
        comment: paragraphs before the figure.
        options: options of `result.figure`: text, numbers, lists and dicts of these.
    """

    result: Result
    comment: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", _plain_options(self.options))

    @cached_property
    def figure(self) -> "go.Figure":
        """The figure, drawn once."""
        return self.result.figure(**self.options)

    @property
    def heading(self) -> str:
        """The title, the figure's own or the instrument's name."""
        name = self.result.provenance.instrument.replace("_", " ").capitalize()
        return self.title or self.figure.layout.title.text or name


@dataclass(frozen=True, kw_only=True)
class TextPart(Part):
    """Paragraphs: an empty line parts them; `- ` begins a list item; **bold**, `code`."""

    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class TablePart(Part):
    """A table of its own, without its index; a copy, so that it stays as it was."""

    frame: "pd.DataFrame"
    comment: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", self.frame.reset_index(drop=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TablePart):
            return NotImplemented
        words = (self.title, self.comment) == (other.title, other.comment)
        return words and self.frame.equals(other.frame)

    __hash__ = None


def _plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as they come back from a file: lists as tuples, numbers as Python's own.

    Raises:
        ConfigError: an option that cannot be written to a file.
    """
    tensors: dict[str, Any] = {}
    try:
        plain = values.normalize(dict(options))
        values.encode(plain, "options", tensors)
    except TypeError as error:
        raise ConfigError(f"A figure's options must be text and numbers. {error}") from None
    if tensors:
        raise ConfigError(
            "A figure's options must be text and numbers, so that the report can be saved; got a "
            "tensor. Give its values as a list."
        )
    return plain
