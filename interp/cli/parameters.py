"""Options of the command line, made from a function's signature and docstring.

Knows nothing of single instruments: the kind of a parameter decides what a person types and what
the function gets. What cannot be typed (a tensor, a function) is left out where it has a default.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from interp.core.errors import ConfigError, InterpError
from interp.results.signature import Kind, Parameter, read_hook, read_mapping, signature_parameters


@dataclass(frozen=True, kw_only=True)
class TypedInput:
    """How one kind of value is typed and read.

    Attributes:
        type: click's type.
        metavar: what the help shows.
        read: from what click gives to what the function takes.
    """

    type: click.ParamType | type = str
    metavar: str | None = None
    read: Callable[[Any], Any] = lambda value: value


def options_of(function: Callable[..., Any], skip: Iterable[str] = ()) -> list[click.Option]:
    """An option for each parameter that can be typed, in the signature's order.

    Args:
        function: with annotations and a docstring that has an `Args:` section.
        skip: parameters that the caller gives in another way.
    Raises:
        ConfigError: a parameter without a default cannot be typed.
    """
    options = (_option(parameter) for parameter in signature_parameters(function, skip))
    return [option for option in options if option is not None]


def input_of(kind: Kind) -> TypedInput:
    """How a value of this kind is typed."""
    if kind.name == "choice":
        by_name = {str(choice): choice for choice in kind.choices}
        return TypedInput(type=click.Choice(list(by_name)), read=by_name.__getitem__)
    if kind.name == "edit" and kind.is_sequence:
        return TypedInput(metavar="FILE", read=read_edits)
    if kind.name == "text" and kind.is_sequence:
        return TypedInput(metavar="TEXT", read=_read_typed_text)
    if kind.or_text:
        return TypedInput(metavar="FOLDER|TEXT", read=_read_result_or_text)
    return _INPUTS[kind.name]


def _option(parameter: Parameter) -> click.Option | None:
    kind = parameter.kind
    if kind is None and parameter.is_required:
        raise ConfigError(
            f"{parameter.name} cannot be given on the command line: use this instrument in Python."
        )
    if kind is None:
        return None
    entry, flag = input_of(kind), "--" + parameter.name.replace("_", "-")
    return click.Option(
        [f"{flag}/--no-{flag[2:]}" if kind.name == "flag" else flag, parameter.name],
        type=entry.type,
        metavar=entry.metavar,
        multiple=_is_repeated(kind),
        required=parameter.is_required,
        default=None,
        help=_help(parameter),
        callback=_reader(kind),
    )


def _is_repeated(kind: Kind) -> bool:
    """Whether the option may be given several times; a file of edits holds them all."""
    return kind.is_sequence and kind.name != "edit"


def _help(parameter: Parameter) -> str:
    default = parameter.default
    if not isinstance(default, bool | int | float | str) or default == "":
        return parameter.help
    return f"{parameter.help.rstrip('.')}. [default: {default}]".lstrip(". ")


def _reader(kind: Kind) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Read what was typed; what was not typed stays None, so that the function's default holds."""

    def read(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        if value is None or value == ():
            return None
        try:
            return _read_all(kind, value)
        except InterpError:
            raise
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, parameter) from error

    return read


def _read_all(kind: Kind, value: Any) -> Any:
    read = input_of(kind).read
    if not _is_repeated(kind):
        return read(value)
    values = [read(each) for each in value]
    # What was read from a file may be several documents.
    flat = tuple(item for each in values for item in (each if isinstance(each, list) else [each]))
    return flat[0] if kind.or_one and len(flat) == 1 and isinstance(flat[0], str) else flat


def _read_model(name: str) -> Any:
    from interp.cli.model_folders import model_source
    from interp.models.io.load import load_model

    return load_model(model_source(name))


def _read_world(name: str) -> Any:
    from interp.worlds import load_world

    return load_world(name)


def read_edits(path: str) -> Any:
    """Edits from a JSON file, as `interp.edits.to_json` writes them.

    Raises:
        CheckpointError: no such file, or it is not text.
        ConfigError: the text does not describe edits.
    """
    from interp.core.edits import from_json
    from interp.core.files import read_text

    return from_json(read_text(path))


def _read_edit(path: str) -> Any:
    edits = read_edits(path)
    if len(edits) != 1:
        raise ConfigError(f"Needs one edit; {path} holds {len(edits)}.")
    return edits[0]


def _read_result(folder: str) -> Any:
    from interp.results.result import load_result

    return load_result(folder)


def _read_result_or_text(text: str) -> Any:
    return _read_result(text) if (Path(text) / "result.json").exists() else text


def _read_typed_text(text: str) -> str | list[str]:
    """Text as typed; `@PATH` stands for the documents of a file (see `interp train --data`).

    Raises:
        ConfigError: there is no such file.
        TokenError: it is not UTF-8, or not JSON; says where.
    """
    if not text.startswith("@"):
        return text
    from interp.training.data.text_files import HoldoutSplit, text_documents, text_files

    everything = HoldoutSplit(by="document", held_out=1.0)
    return [d.text for d in text_documents(text_files(text[1:]), everything, "held_out")]


_INPUTS: dict[str, TypedInput] = {
    "flag": TypedInput(type=bool),
    "integer": TypedInput(type=int),
    "number": TypedInput(type=float),
    "text": TypedInput(metavar="TEXT"),
    "prompt": TypedInput(metavar="TEXT", read=_read_typed_text),
    "path": TypedInput(metavar="PATH"),
    "hook": TypedInput(metavar="HOOK", read=read_hook),
    "edit": TypedInput(metavar="FILE", read=_read_edit),
    "model": TypedInput(metavar="MODEL", read=_read_model),
    "world": TypedInput(metavar="WORLD", read=_read_world),
    "mapping": TypedInput(metavar="JSON", read=read_mapping),
    "result": TypedInput(metavar="FOLDER", read=_read_result),
}
