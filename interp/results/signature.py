"""What a function may be given, read from its signature and its docstring.

The command line makes options of it and the dashboard widgets; neither knows single instruments.
"""

import ast
import inspect
import json
import re
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from interp.core.errors import ConfigError
from interp.results.registry import class_name, instruments

FIELD = re.compile(r"^(\w+): (.*)$")
HEADING = re.compile(r"^(Args|Returns|Raises|Example|Source):$")
REQUIRED = inspect.Parameter.empty
"""The default of a parameter that has none."""

KindName = Literal[
    "flag", "integer", "number", "text", "prompt", "choice", "path", "hook", "edit", "model",
    "world", "mapping", "result",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What values an annotation allows, as far as a person can write them down.

    Attributes:
        name: of one value.
        choices: the only values, where the annotation lists them.
        is_sequence: several values are taken, in order.
        or_one: one value alone is taken as well as a sequence.
        or_text: a text is taken as well as a result.
        or_none: None is taken too.
    """

    name: KindName
    choices: tuple[Any, ...] = ()
    is_sequence: bool = False
    or_one: bool = False
    or_text: bool = False
    or_none: bool = False


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a function.

    Attributes:
        name: as in the signature.
        kind: of its values; None for what cannot be written down (a tensor, a function).
        help: its text in the docstring's `Args:` section.
        default: its default, or `REQUIRED`.
        example: its value in the docstring's example, or `REQUIRED` where that has none.
    """

    name: str
    kind: Kind | None
    help: str = ""
    default: Any = REQUIRED
    example: Any = REQUIRED

    @property
    def is_required(self) -> bool:
        """Whether the function cannot be called without it."""
        return self.default is REQUIRED


def signature_parameters(function: Callable[..., Any], skip: Iterable[str] = ()) -> list[Parameter]:
    """Every parameter, in the signature's order.

    Args:
        function: with annotations and a docstring that has an `Args:` section.
        skip: names of parameters to leave out.
    """
    texts = arguments_help(function.__doc__ or "")
    examples = example_arguments(function)
    return [
        Parameter(
            name=name,
            kind=kind_of(_annotation(function, parameter)),
            help=texts.get(name, ""),
            default=parameter.default,
            example=examples.get(name, REQUIRED),
        )
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in skip
    ]


def docstring_sections(docstring: str) -> dict[str, str]:
    """The sections of a docstring by their headings; what stands before the first is `""`.

    Example:
        >>> docstring_sections("Do.\\n\\n    Returns:\\n        int: a.")
        {'': 'Do.', 'Returns': 'int: a.'}
    """
    lines: dict[str, list[str]] = {"": []}
    heading = ""
    for line in inspect.cleandoc(docstring).splitlines():
        if match := HEADING.match(line):
            heading = match[1]
            lines[heading] = []
        else:
            lines[heading].append(line)
    return {name: inspect.cleandoc("\n".join(body)).strip() for name, body in lines.items()}


def arguments_help(docstring: str) -> dict[str, str]:
    """The `Args:` section of a docstring: a parameter's name to its text.

    Example:
        >>> arguments_help("Do.\\n\\n    Args:\\n        k: how\\n            many.\\n    Returns:")
        {'k': 'how many.'}
    """
    texts: dict[str, str] = {}
    name = ""
    for line in docstring_sections(docstring).get("Args", "").splitlines():
        if start := FIELD.match(line):
            name, texts[start[1]] = start[1], start[2]
        elif name:
            texts[name] += f" {line.strip()}"
    return texts


def example_code(docstring: str) -> str:
    """The Python of a docstring's `Example:` section, without prompts, outputs and directives.

    Example:
        >>> example_code("Do.\\n\\n    Example:\\n        >>> f(1)  # doctest: +SKIP\\n        2")
        'f(1)'
    """
    lines = docstring_sections(docstring).get("Example", "").splitlines()
    code = [line[4:].partition("  # doctest:")[0] for line in lines if line[:3] in (">>>", "...")]
    return "\n".join(code)


def example_arguments(function: Callable[..., Any]) -> dict[str, Any]:
    """What the docstring's example gives the function, as far as it is written out there."""
    try:
        tree = ast.parse(example_code(function.__doc__ or ""))
    except SyntaxError:
        return {}
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    call = next((c for c in calls if ast.unparse(c.func) == function.__name__), None)
    if call is None:
        return {}
    arguments = dict(zip(inspect.signature(function).parameters, call.args, strict=False))
    arguments |= {each.arg: each.value for each in call.keywords if each.arg}
    return {name: ast.literal_eval(node) for name, node in arguments.items() if _is_literal(node)}


def kind_of(annotation: Any) -> Kind | None:
    """The kind of this annotation's values; None where nobody can write them down."""
    if annotation in _SIMPLE:
        return Kind(name=_SIMPLE[annotation])
    if name := _NAMED.get(getattr(annotation, "__name__", "")):
        return Kind(name=name)
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return Kind(name="choice", choices=inside)
    if origin in (Union, types.UnionType):
        return _union(inside)
    if inside and isinstance(origin, type) and issubclass(origin, Sequence):
        return _sequence(kind_of(inside[0]))
    if isinstance(annotation, type) and "Result" in (c.__name__ for c in annotation.__mro__):
        return Kind(name="result")
    return None


def read_hook(text: str) -> str | tuple[str, int]:
    """A hook point as it is written: `resid_post:2` is layer 2; anything else is a name.

    Example:
        >>> read_hook("resid_post:2"), read_hook("blocks.2.hook_resid_post")
        (('resid_post', 2), 'blocks.2.hook_resid_post')
    """
    short = re.fullmatch(r"(\w+):(-?\d+)", text)
    return (short[1], int(short[2])) if short else text


def read_mapping(text: str) -> Any:
    """What a text of JSON says.

    Raises:
        ConfigError: it is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"Needs JSON; got {text!r} ({error}).") from error


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
    from interp.results.result import Result

    # A stand-in is enough: that a name is a result's is all that anybody needs to know here.
    stand_ins = {(name := class_name(each)): type(name, (Result,), {}) for each in instruments()}
    return {"Edit": Edit, "Path": Path, **stand_ins}


def _union(annotations: Sequence[Any]) -> Kind | None:
    """The first alternative that can be written; several values, or one, where both are taken."""
    kind = _alternative([each for each in annotations if each is not types.NoneType])
    return kind and replace(kind, or_none=types.NoneType in annotations)


def _alternative(annotations: Sequence[Any]) -> Kind | None:
    if tuple[str, int] in annotations:
        return Kind(name="hook")
    kinds = [kind for kind in map(kind_of, annotations) if kind is not None]
    names = [kind.name for kind in kinds if not kind.is_sequence]
    if "result" in names and "text" in names:
        return Kind(name="result", or_text=True)
    if Kind(name="integer", is_sequence=True) in kinds and "text" in names:
        return Kind(name="prompt", is_sequence=True, or_one=True)
    several = next((kind for kind in kinds if kind.is_sequence), None)
    one = next((kind for kind in kinds if not kind.is_sequence), None)
    return replace(several, or_one=True) if one and several else one or several


def _sequence(kind: Kind | None) -> Kind | None:
    return None if kind is None or kind.is_sequence else replace(kind, is_sequence=True)


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


_SIMPLE: dict[Any, KindName] = {
    bool: "flag", int: "integer", float: "number", str: "text", Path: "path",
}  # fmt: skip
_NAMED: dict[str, KindName] = {
    "Edit": "edit",
    "LanguageModel": "model",
    "World": "world",
    "Mapping": "mapping",
    "dict": "mapping",
}
