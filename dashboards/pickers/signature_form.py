"""Widgets made from a function's signature, as the command line makes its options.

Knows nothing of single instruments. Every widget stands in the address bar, under the form's name
and the parameter's.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboards.page import header, model_cache
from dashboards.page.link import linked
from dashboards.page.markdown import plain
from dashboards.page.model_list import Entry, entries
from dashboards.pickers import own_concepts
from dashboards.pickers.choice import forget_what_is_gone
from dashboards.steering.concept_sliders import concept_sliders
from interp.core.errors import ConfigError, InterpError
from interp.core.hooks import layer_of, short_name
from interp.core.protocols import LanguageModel
from interp.results.signature import REQUIRED, Parameter, read_hook, read_mapping
from interp.worlds.world import World

COLUMNS = 3
READ_BY_THE_MODEL = ("prompt", "text")
"""Names of texts that the model reads: they get a row of their own."""
MOST = 10_000
"""Whole numbers that a page takes, where ten times the default is not more: a link that asked for a
billion stories would fill the server's memory."""
SHORTEST_AREA = 68
OF_THE_WORLD: dict[str, Callable[[World], Iterable[str]]] = {
    "level": lambda world: world.levels,
    "levels": lambda world: world.levels,
    "variable": lambda world: world.variables,
    "variables": lambda world: world.variables,
    "concepts": lambda world: [word for group in world.concepts.values() for word in group],
}
"""Parameters that every instrument calls by one name, whose values the world knows."""
NOT_GIVEN = REQUIRED
"""What a widget gives that says nothing: the function's own default holds."""


@dataclass(frozen=True, kw_only=True)
class SignatureForm:
    """What was chosen.

    Attributes:
        arguments: of the function, as far as they were given.
        missing: required parameters that were left empty.
        in_python_only: parameters that no widget can give.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    in_python_only: tuple[Parameter, ...] = ()


@dataclass(frozen=True, kw_only=True)
class OpenedModel:
    """What a widget may depend on: the model that is opened, and where it comes from."""

    model: LanguageModel
    entry: Entry


def signature_form(
    name: str, parameters: Sequence[Parameter], model: LanguageModel, entry: Entry
) -> SignatureForm:
    """Draw the widgets, and say what was chosen.

    Args:
        name: that begins the widgets' keys.
        parameters: of the function that will be called, without the model.
        model: that it will be called with.
        entry: where the model comes from: its world is the one that is meant.
    Raises:
        TokenError: the model cannot read the prompt.
        ConfigError: something typed cannot be read.
    """
    opened = OpenedModel(model=model, entry=entry)
    values: dict[str, Any] = {}
    fields = [each for each in parameters if is_offered(each)]
    for parameter in (each for each in fields if _is_wide(each)):
        values[parameter.name] = _wide(parameter, f"{name}_{parameter.name}", opened)
    narrow = [each for each in fields if not _is_wide(each)]
    first = [each for each in narrow if _comes_first(each)]
    values |= grid(name, first, opened)
    rest = [each for each in narrow if each not in first]
    if rest:
        with st.expander("Settings", icon=":material/tune:"):
            values |= grid(name, rest, opened)
    return SignatureForm(
        arguments={key: value for key, value in values.items() if value is not NOT_GIVEN},
        missing=tuple(p.name for p in fields if p.is_required and values[p.name] is NOT_GIVEN),
        in_python_only=tuple(each for each in parameters if each not in fields),
    )


def grid(name: str, parameters: Sequence[Parameter], opened: OpenedModel) -> dict[str, Any]:
    """Small widgets side by side, the tall ones last; what they say by the parameter's name."""
    values = {}
    columns: list[DeltaGenerator] = []
    for number, parameter in enumerate(sorted(parameters, key=_is_tall)):
        if number % COLUMNS == 0:
            columns = st.columns(COLUMNS)
        with columns[number % COLUMNS]:
            values[parameter.name] = _WIDGETS[parameter.kind.name](
                parameter, f"{name}_{parameter.name}", opened
            )
    return values


def is_offered(parameter: Parameter) -> bool:
    """Whether a widget can give it; a saved result cannot be picked on a page."""
    kind = parameter.kind
    if kind is None or (kind.name == "result" and not kind.or_text):
        return False
    return not (kind.name in ("path", "mapping") and kind.is_sequence)


def title_of(name: str) -> str:
    """A name of the code in words.

    Example:
        >>> title_of("n_stories"), title_of("k"), title_of("loss_change_allocation")
        ('Stories (n)', 'k', 'Loss change allocation')
    """
    words = re.sub("^n_(.*)", r"\1 (n)", name).replace("_", " ")
    return words if len(words) == 1 else words[:1].upper() + words[1:]


def _is_wide(parameter: Parameter) -> bool:
    is_of_the_frame = parameter.name in (*READ_BY_THE_MODEL, "seed")
    return is_of_the_frame or parameter.kind.name in ("prompt", "edit", "world")


def _comes_first(parameter: Parameter) -> bool:
    """Numbers, and what is rarely changed, stand behind a click."""
    names = ("text", "choice", "hook", "result", "path", "model", "mapping")
    return parameter.is_required or parameter.kind.name in names


def _is_tall(parameter: Parameter) -> bool:
    kind = parameter.kind
    return kind.name == "mapping" or (kind.name == "text" and kind.is_sequence)


def _wide(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    """What takes a row of its own, or has its place in every page's frame."""
    kind = parameter.kind
    if parameter.name == "seed" and kind.name == "integer":
        return header.seed_input()
    if kind.name == "world":
        return _world(parameter, key, opened)
    if kind.name == "edit":
        return _edits(parameter, key, opened)
    if parameter.is_required and kind.name in ("prompt", "text"):
        return header.prompt_input(opened.model, opened.entry)
    return _text_area(parameter, key)


def _shared(parameter: Parameter, key: str) -> dict[str, Any]:
    """What all widgets are told."""
    words = {"label": title_of(parameter.name), "help": parameter.help or None}
    return {**words, "key": key}


def _first(parameter: Parameter, otherwise: Any) -> Any:
    """What the widget begins with: the default, or the example of the docstring."""
    usual = parameter.example if parameter.is_required else parameter.default
    return otherwise if usual is REQUIRED or usual is None else usual


def _flag(parameter: Parameter, key: str, opened: OpenedModel) -> bool:
    return linked(st.toggle, value=bool(_first(parameter, False)), **_shared(parameter, key))


def _integer(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    if parameter.kind.is_sequence:
        return _listed(parameter, key, int, "whole numbers")
    usual = _first(parameter, None)
    most = max(MOST, 10 * abs(usual or 0))
    value = linked(
        st.number_input, min_value=0 if usual is None or usual >= 0 else -most, max_value=most,
        value=usual,
        step=1, placeholder="not set", **_shared(parameter, key),
    )  # fmt: skip
    return _given(value)


def _number(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    if parameter.kind.is_sequence:
        return _listed(parameter, key, float, "numbers")
    usual = _first(parameter, None)
    # A tenth of the default's leading digit, so that one press changes it but a little.
    step = 10.0 ** (math.floor(math.log10(abs(usual))) - 1) if usual else 0.1
    value = linked(
        st.number_input, min_value=0.0 if usual is None or usual >= 0 else None,
        value=usual and float(usual),
        step=step, format="%g", placeholder="not set", **_shared(parameter, key),
    )  # fmt: skip
    return _given(value)


def _text(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    if options := _words_of_world(parameter, opened):
        # A world without the default: its last level is the hardest, as 'full' is elsewhere.
        return _picked(parameter, key, options, otherwise=len(options) - 1)
    if parameter.kind.is_sequence:
        return _lines(parameter, key, opened)
    options = {"max_chars": header.LONGEST_PROMPT, **_shared(parameter, key)}
    return linked(st.text_input, value=str(_first(parameter, "")), **options) or NOT_GIVEN


def _words_of_world(parameter: Parameter, opened: OpenedModel) -> dict[str, str]:
    """What the model's world offers for this parameter; nothing where it has no say."""
    world, name = header.world_of(opened.entry), parameter.name
    if world is None or name not in OF_THE_WORLD:
        return {}
    return {word: word for word in OF_THE_WORLD[name](world)}


def _text_area(parameter: Parameter, key: str, **options: Any) -> Any:
    usual = _first(parameter, "")
    written = usual if isinstance(usual, str) else "\n".join(map(str, usual))
    options = {"height": SHORTEST_AREA, "max_chars": header.LONGEST_PROMPT, **options}
    return linked(st.text_area, value=written, **options, **_shared(parameter, key)) or NOT_GIVEN


def _lines(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    """Texts, one per line; a single one stands for itself where the function takes one."""
    text = _text_area(parameter, key, placeholder="one per line")
    lines = () if text is NOT_GIVEN else tuple(line for line in text.splitlines() if line.strip())
    if not lines:
        return NOT_GIVEN
    return lines[0] if parameter.kind.or_one and len(lines) == 1 else lines


def _listed(parameter: Parameter, key: str, read: Callable[[str], Any], what: str) -> Any:
    """Numbers, parted by commas.

    Raises:
        ConfigError: something else was typed.
    """
    usual = ", ".join(f"{value:g}" for value in _first(parameter, ()))
    text = (
        linked(st.text_input, value=usual, placeholder="0, 1, 2", **_shared(parameter, key)) or ""
    )
    try:
        return tuple(map(read, text.replace(",", " ").split())) or NOT_GIVEN
    except ValueError as error:
        raise ConfigError(
            f"{title_of(parameter.name)} needs {what}, parted by commas; got {text!r}."
        ) from error


def _choice(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    return _picked(parameter, key, {str(each) or "none": each for each in parameter.kind.choices})


def _hook(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    return _picked(parameter, key, hook_options(opened.model))


def hook_options(model: LanguageModel) -> dict[str, Any]:
    """The model's hook points as they are written, `resid_post:2`, to their names."""
    written = {}
    for full in model.hook_names:
        layer = layer_of(full)
        text = full if layer is None else f"{short_name(full)}:{layer}"
        written[text] = read_hook(text)
    return written


def _model(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    """Other models of this machine; they are opened when they are picked."""
    others = {each.name: each for each in entries() if each != opened.entry}
    picked = _picked(parameter, key, others)
    if picked is NOT_GIVEN:
        return NOT_GIVEN
    if isinstance(picked, Entry):
        return model_cache.opened(picked, None)
    return tuple(model_cache.opened(each, None) for each in picked)


def _picked(
    parameter: Parameter, key: str, options: dict[str, Any], otherwise: int | None = None
) -> Any:
    """One or several of the options; nothing where nothing is picked.

    Args:
        parameter: that is given.
        key: of the widget.
        options: values by what is read.
        otherwise: number of the first one picked where the default is none of them.
    """
    kind, usual = parameter.kind, _first(parameter, None)
    forget_what_is_gone(key, options)
    if kind.is_sequence:
        # One name may stand for a list: `resid_post`, at every layer.
        several = (usual,) if isinstance(usual, str) else usual or ()
        chosen = [name for name, value in options.items() if value in several]
        picked = linked(
            st.multiselect, options=list(options), default=chosen, **_shared(parameter, key)
        )
        return tuple(options[name] for name in picked) or NOT_GIVEN
    values = list(options.values())
    first = 0 if parameter.is_required else otherwise if usual is not None else None
    index = values.index(usual) if usual in values else first
    name = linked(
        st.selectbox, options=list(options), index=index if options else None,
        placeholder="not set",
        **_shared(parameter, key),
    )  # fmt: skip
    return _given(None if name is None else options[name])


def _mapping(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    text = _text_area(parameter, key, placeholder='{"name": 1}')
    return NOT_GIVEN if text is NOT_GIVEN else read_mapping(text)


def _world(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    """The world whose text the model was trained on; it can be left out where it need not be."""
    world = header.world_of(opened.entry)
    if world is None or parameter.is_required:
        return NOT_GIVEN if world is None else world
    words = {**_shared(parameter, key), "label": f"Use the world '{world.name}'"}
    return world if linked(st.toggle, value=True, **words) else NOT_GIVEN


def _edits(parameter: Parameter, key: str, opened: OpenedModel) -> Any:
    """Concepts with their doses, as the page of steering has them."""
    words = {**_shared(parameter, key), "label": "Add concepts to the activations"}
    if not parameter.is_required and not linked(st.toggle, value=False, **words):
        return NOT_GIVEN
    concepts = own_concepts.concept_list(opened.model, header.world_of(opened.entry))
    edits: list[Any] = []
    try:
        edits = [each.edit() for each in concept_sliders(opened.model, opened.entry, concepts)]
    except InterpError as error:
        st.info(plain(str(error)), icon=":material/info:")
    own_concepts.concept_form(opened.model, concepts)
    if not edits:
        return NOT_GIVEN
    return edits if parameter.kind.is_sequence else edits[0]


def _given(value: Any) -> Any:
    """The value; where nothing was chosen, the function's default holds."""
    return NOT_GIVEN if value is None else value


_WIDGETS: dict[str, Callable[[Parameter, str, OpenedModel], Any]] = {
    "flag": _flag,
    "integer": _integer,
    "number": _number,
    "text": _text,
    "choice": _choice,
    "path": _text,
    "hook": _hook,
    "model": _model,
    "mapping": _mapping,
    "result": _text,
}
