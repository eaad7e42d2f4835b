"""Options of the command line, made from a function's signature and docstring.

Knows nothing of single instruments: an annotation decides what a person types and what the function
gets. What cannot be typed (a tensor, a function) is left out where it has a default.
"""

import inspect
import json
import re
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import click

from interp.core.errors import ConfigError, InterpError

FIELD = re.compile(r"^ {4}(\w+): (.*)$")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one annotation is typed and read.

    Attributes:
        type: click's type.
        metavar: what the help shows.
        read: from what click gives to what the function takes.
        many: may be given several times; the function gets a tuple.
        alone: given once, the function gets the text itself.
    """

    type: click.ParamType | type = str
    metavar: str | None = None
    read: Callable[[Any], Any] = lambda value: value
    many: bool = False
    alone: bool = False


def options_of(function: Callable[..., Any], skip: Iterable[str] = ()) -> list[click.Option]:
    """An option for each parameter that can be typed, in the signature's order.

    Args:
        function: with annotations and a docstring that has an `Args:` section.
        skip: parameters that the caller gives in another way.
    Raises:
        ConfigError: a parameter without a default cannot be typed.
    """
    told = arguments_told(function.__doc__ or "")
    made = (
        _option(parameter, kind_of(_annotation(function, parameter)), told.get(name, ""))
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in skip
    )
    return [option for option in made if option is not None]


def arguments_told(docstring: str) -> dict[str, str]:
    """The `Args:` section of a docstring: a parameter's name to its text.

    Example:
        >>> arguments_told("Do.\\n\\n    Args:\\n        k: how\\n            many.\\n    Returns:")
        {'k': 'how many.'}
    """
    told: dict[str, str] = {}
    body = inspect.cleandoc(docstring).partition("Args:\n")[2]
    name = ""
    for line in body.splitlines():
        if not line.startswith(" "):
            break
        if start := FIELD.match(line):
            name, told[start[1]] = start[1], start[2]
        elif name:
            told[name] += f" {line.strip()}"
    return told


def kind_of(annotation: Any) -> Kind | None:
    """How a value of this annotation is typed; None when it cannot be."""
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if kind := _NAMED.get(getattr(annotation, "__name__", "")):
        return kind
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return Kind(type=click.Choice([str(x) for x in inside]), read=_chosen(inside))
    if origin in (Union, types.UnionType):
        return _union(inside)
    if inside and isinstance(origin, type) and issubclass(origin, Sequence):
        return _several(kind_of(inside[0]))
    if isinstance(annotation, type) and "Result" in (c.__name__ for c in annotation.__mro__):
        return _RESULT
    return None


def _option(parameter: inspect.Parameter, kind: Kind | None, told: str) -> click.Option | None:
    required = parameter.default is inspect.Parameter.empty
    if kind is None and required:
        raise ConfigError(
            f"{parameter.name} cannot be given on the command line: use this instrument in Python."
        )
    if kind is None:
        return None
    flag = "--" + parameter.name.replace("_", "-")
    names = [f"{flag}/--no-{flag[2:]}" if kind.type is bool else flag, parameter.name]
    shown = isinstance(parameter.default, bool | int | float | str) and parameter.default != ""
    help_text = told if not shown else f"{told.rstrip('.')}. [default: {parameter.default}]"
    return click.Option(
        names,
        type=kind.type,
        metavar=None if kind.type is bool else kind.metavar,
        multiple=kind.many,
        required=required,
        default=None,
        help=help_text.lstrip(". "),
        callback=_reader(kind),
    )


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
    if not kind.many:
        return kind.read(value)
    read = [kind.read(each) for each in value]
    # What was read from a file may be several documents.
    flat = tuple(item for each in read for item in (each if isinstance(each, list) else [each]))
    return flat[0] if kind.alone and len(flat) == 1 and isinstance(flat[0], str) else flat


def _annotation(function: Callable[..., Any], parameter: inspect.Parameter) -> Any:
    """The annotation itself; one written as text is looked up where it can be."""
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, vars(inspect.getmodule(function)) | _deferred())
    except NameError:
        return None


def _deferred() -> dict[str, Any]:
    """What signatures import only for type checkers."""
    from interp.core.edits import Edit
    from interp.results.registry import class_name, instruments
    from interp.results.result import Result

    # A stand-in is enough: that a name is a result's is all that an option needs to know.
    stand_ins = {(name := class_name(each)): type(name, (Result,), {}) for each in instruments()}
    return {"Edit": Edit, "Path": Path, **stand_ins}


def _union(annotations: Sequence[Any]) -> Kind | None:
    """The first alternative that can be typed; several values, or one, where both are taken."""
    if tuple[str, int] in annotations:
        return _HOOK
    kinds = [kind_of(each) for each in annotations if each is not type(None)]
    if _RESULT in kinds and _SIMPLE[str] in kinds:
        return Kind(metavar="FOLDER|TEXT", read=_read_result_or_text)
    several = next((kind for kind in kinds if kind and kind.many), None)
    one = next((kind for kind in kinds if kind and not kind.many), None)
    if one is None or several is None:
        return one or several
    return replace(several, alone=True)


def _several(kind: Kind | None) -> Kind | None:
    if kind is None or kind.many:
        return None
    if kind.read is _read_edit:
        return Kind(metavar="FILE", read=read_edits)
    if kind is _SIMPLE[str]:
        return Kind(metavar="TEXT", read=read_text, many=True)
    return replace(kind, many=True)


def _chosen(choices: Sequence[Any]) -> Callable[[str], Any]:
    return {str(choice): choice for choice in choices}.__getitem__


def read_hook(text: str) -> str | tuple[str, int]:
    """A hook point as typed: `resid_post:2` is layer 2; anything else is a name as it stands.

    Example:
        >>> read_hook("resid_post:2"), read_hook("blocks.2.hook_resid_post")
        (('resid_post', 2), 'blocks.2.hook_resid_post')
    """
    short = re.fullmatch(r"(\w+):(-?\d+)", text)
    return (short[1], int(short[2])) if short else text


def _read_model(name: str) -> Any:
    from interp.cli.shelf import find_model
    from interp.models.io.load import load_model

    return load_model(find_model(name))


def _read_world(name: str) -> Any:
    from interp.worlds import load_world

    return load_world(name)


def read_edits(path: str) -> Any:
    """Edits from a JSON file, as `interp.edits.to_json` writes them.

    Raises:
        ConfigError: no such file, or not edits.
    """
    from interp.core.edits import from_json

    return from_json(_text(path))


def _read_edit(path: str) -> Any:
    edits = read_edits(path)
    if len(edits) != 1:
        raise ConfigError(f"One edit was needed; {path} holds {len(edits)}.")
    return edits[0]


def _read_result(folder: str) -> Any:
    from interp.results.result import load_result

    return load_result(folder)


def _read_result_or_text(text: str) -> Any:
    return _read_result(text) if (Path(text) / "result.json").exists() else text


def read_text(text: str) -> str | list[str]:
    """Text as typed; `@PATH` stands for the documents of a file (see `interp train --data`).

    Raises:
        ConfigError: there is no such file.
        TokenError: it is not UTF-8, or not JSON; says where.
    """
    if not text.startswith("@"):
        return text
    from interp.training.data.text_files import Cut, text_documents, text_files

    everything = Cut(by="document", held_out=1.0)
    return [d.text for d in text_documents(text_files(text[1:]), everything, "held_out")]


def _read_json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"JSON was needed; {text!r} came ({error}).") from error


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"A file of UTF-8 text was needed at {path}: {error}.") from error


_RESULT = Kind(metavar="FOLDER", read=_read_result)
_HOOK = Kind(metavar="HOOK", read=read_hook)
_SIMPLE: dict[Any, Kind] = {
    bool: Kind(type=bool),
    int: Kind(type=int),
    float: Kind(type=float),
    str: Kind(metavar="TEXT"),
    Path: Kind(metavar="PATH"),
}
_NAMED = {
    "Edit": Kind(metavar="FILE", read=_read_edit),
    "LanguageModel": Kind(metavar="MODEL", read=_read_model),
    "World": Kind(metavar="WORLD", read=_read_world),
    "Mapping": Kind(metavar="JSON", read=_read_json),
    "dict": Kind(metavar="JSON", read=_read_json),
}
