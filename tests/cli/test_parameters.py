"""From a signature to options, and from what was typed to what the function takes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import click
import pytest
from click.testing import CliRunner

from interp.analyses.probing.concept import Concept
from interp.cli.parameters import input_of, options_of
from interp.core.edits import Add, Edit, to_json
from interp.core.errors import ConfigError
from interp.core.hooks import Name
from interp.core.protocols import Prompt
from interp.results.registry import instruments
from interp.results.signature import kind_of


def instrument(
    model: object,
    prompt: Prompt,
    *,
    targets: Sequence[str] = (),
    doses: Sequence[float] = (0.0, 1.0),
    site: Name = "resid_post",
    sites: str | Sequence[Name] = "resid_post",
    labels: str | Path | None = None,
    kind: Literal["linear", "mlp"] = "linear",
    tested: bool = True,
    k: int | None = None,
    about: Mapping[str, int] | None = None,
    concept: Concept | str = "happy",
    judge: Callable[[str], float] | None = None,
    seed: int = 0,
) -> None:
    """Look.

    Args:
        model: any.
        prompt: one text,
            or several.
        k: how many.
    Returns:
        Nothing.
    """


def typed(*arguments: str) -> dict:
    """What the function would be called with."""
    values: dict = {}
    options = options_of(instrument, skip=["model"])
    command = click.Command("x", params=options, callback=lambda **typed: values.update(typed))
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return {name: value for name, value in values.items() if value is not None}


def test_what_is_not_typed_is_left_to_the_function():
    assert typed("--prompt", "a") == {"prompt": "a"}


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--targets", " mat", "--targets", " dog"], "targets", (" mat", " dog")),
        (["--targets", " mat"], "targets", (" mat",)),
        (["--doses", "0", "--doses", "0.5"], "doses", (0.0, 0.5)),
        (["--site", "resid_mid:3"], "site", ("resid_mid", 3)),
        (["--site", "blocks.1.hook_resid_pre"], "site", "blocks.1.hook_resid_pre"),
        (["--sites", "resid_mid"], "sites", "resid_mid"),
        (["--sites", "resid_mid:3"], "sites", (("resid_mid", 3),)),
        (["--sites", "a", "--sites", "b:-1"], "sites", ("a", ("b", -1))),
        (["--labels", "x.csv"], "labels", "x.csv"),
        (["--kind", "mlp"], "kind", "mlp"),
        (["--no-tested"], "tested", False),
        (["--k", "3"], "k", 3),
        (["--concept", "sad"], "concept", "sad"),
        (["--about", '{"a": 1}'], "about", {"a": 1}),
    ],
)
def test_each_annotation_is_read_as_the_function_takes_it(arguments, name, value):
    assert typed("--prompt", "p", *arguments)[name] == value


def test_several_prompts_are_several():
    assert typed("--prompt", "a", "--prompt", "b")["prompt"] == ("a", "b")


def test_an_at_sign_reads_the_documents_of_a_file(tmp_path):
    (tmp_path / "two.jsonl").write_text('{"text": "One."}\n{"text": "Two."}\n')
    assert typed("--prompt", f"@{tmp_path / 'two.jsonl'}")["prompt"] == ("One.", "Two.")


def test_what_cannot_be_typed_is_left_out():
    assert "judge" not in {option.name for option in options_of(instrument, skip=["model"])}


def test_a_parameter_that_must_be_given_and_cannot_be_typed_is_refused():
    def needs_code(model: object, judge: Callable[[str], float]) -> None:
        """Look."""

    with pytest.raises(ConfigError, match="judge"):
        options_of(needs_code, skip=["model"])


def test_edits_are_read_from_a_file(tmp_path):
    edits = [Add(hook=("resid_post", 0), vector=[1.0, 0.0])]
    (tmp_path / "edits.json").write_text(to_json(edits))
    entry = input_of(kind_of(Sequence[Edit]))
    assert to_json(entry.read(str(tmp_path / "edits.json"))) == to_json(edits)


@pytest.mark.parametrize("name", instruments())
def test_every_instrument_can_be_run_from_the_command_line(name):
    options = options_of(instruments()[name].function, skip=["model"])
    assert all(option.help for option in options), [o.name for o in options if not o.help]
