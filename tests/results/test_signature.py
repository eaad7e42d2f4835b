"""From an annotation and a docstring to what a person may write down."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pytest
from torch import Tensor

from interp.analyses.probing.concept import Concept
from interp.core.edits import Edit
from interp.core.errors import ConfigError
from interp.core.hooks import Name
from interp.core.protocols import LanguageModel, Prompt
from interp.results.registry import instruments
from interp.results.signature import (
    REQUIRED,
    Kind,
    arguments_help,
    docstring_sections,
    example_arguments,
    example_code,
    kind_of,
    read_hook,
    read_mapping,
    signature_parameters,
)


def instrument(model: LanguageModel, prompt: Prompt, *, k: int = 5, hard: "Edit" = None) -> None:
    """Look.

    And say what is seen.

    Args:
        model: any.
        prompt: one text,
            or several.
        k: how many.
    Returns:
        Nothing.
    Example:
        >>> happy = concept(model, "happy")  # doctest: +SKIP
        >>> instrument(model, "Anna is", k=len(happy))  # doctest: +SKIP
        3
    Source:
        Nobody 2020.
    """


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        (bool, Kind(name="flag")),
        (int | None, Kind(name="integer", or_none=True)),
        (Sequence[float], Kind(name="number", is_sequence=True)),
        (str | Sequence[str], Kind(name="text", is_sequence=True, or_one=True)),
        (Sequence[str] | None, Kind(name="text", is_sequence=True, or_none=True)),
        (str | Path | None, Kind(name="text", or_none=True)),
        (Prompt, Kind(name="prompt", is_sequence=True, or_one=True)),
        (Literal["a", "b"], Kind(name="choice", choices=("a", "b"))),
        (Name | None, Kind(name="hook", or_none=True)),
        (str | Sequence[Name], Kind(name="hook", is_sequence=True, or_one=True)),
        (Sequence[Edit], Kind(name="edit", is_sequence=True)),
        (Sequence[LanguageModel], Kind(name="model", is_sequence=True)),
        (Mapping[str, int], Kind(name="mapping")),
        (Concept | str, Kind(name="result", or_text=True)),
        (Concept | None, Kind(name="result", or_none=True)),
        (Callable[[str], float], None),
        (Tensor, None),
        (Sequence[Sequence[int]], None),
    ],
)
def test_an_annotation_says_what_may_be_written_down(annotation, kind):
    assert kind_of(annotation) == kind


def test_a_parameter_has_its_text_its_default_and_its_example():
    model, prompt, k, hard = signature_parameters(instrument)
    assert model.kind == Kind(name="model") and model.is_required
    assert (prompt.help, prompt.example) == ("one text, or several.", "Anna is")
    assert (k.help, k.default, k.example) == ("how many.", 5, REQUIRED)
    assert hard.kind == Kind(name="edit")
    assert [each.name for each in signature_parameters(instrument, skip=["model", "k"])] == [
        "prompt",
        "hard",
    ]


def test_a_docstring_is_read_by_its_headings():
    texts = arguments_help(instrument.__doc__)
    assert texts == {"model": "any.", "prompt": "one text, or several.", "k": "how many."}
    sections = docstring_sections(instrument.__doc__)
    assert sections[""] == "Look.\n\nAnd say what is seen."
    assert sections["Source"] == "Nobody 2020."
    assert docstring_sections("") == {"": ""}


def test_an_example_is_python_and_its_arguments_are_values():
    code = 'happy = concept(model, "happy")\ninstrument(model, "Anna is", k=len(happy))'
    assert example_code(instrument.__doc__) == code
    assert example_arguments(instrument) == {"prompt": "Anna is"}

    def without(model: object) -> None:
        """Look."""

    assert example_code(without.__doc__) == "" and example_arguments(without) == {}


def test_a_hook_point_with_a_layer_is_a_pair_and_json_is_checked():
    assert read_hook("resid_mid:-1") == ("resid_mid", -1)
    assert read_hook("hook_embed") == "hook_embed"
    assert read_mapping('{"a": 1}') == {"a": 1}
    with pytest.raises(ConfigError, match="Needs JSON"):
        read_mapping("{")


@pytest.mark.parametrize("name", instruments())
def test_every_instrument_says_which_models_it_takes(name):
    function = instruments()[name].function
    assert instruments()[name].takes is LanguageModel
    assert not instruments()[name].accepts("a text")
    first, *others = signature_parameters(function)
    assert first.kind == Kind(name="model")
    assert [each.name for each in others if not each.help] == []
    assert docstring_sections(function.__doc__)["Source"]
