"""A coloured text hands the browser its tokens as they are, a colour step each, and its labels."""

import base64
import json

from streamlit.testing.v1 import AppTest

from dashboards.components.coloured_text import MOST_TOKENS, flowing
from dashboards.components.colours import UNKNOWN


def drawn(**options):
    """What the component gets, as JSON."""

    def script(options):
        from dashboards.components.coloured_text import coloured_text

        coloured_text(**options)

    test = AppTest.from_function(script, args=(options,), default_timeout=300).run()
    assert not test.exception
    return json.loads(test.get("bidi_component")[0].proto.json)


def test_tokens_reach_the_browser_letter_by_letter_with_steps_and_labels():
    tokens = ["Once", "·<b>", "·cat", "⏎", "*x*"]
    data = drawn(
        tokens=tokens,
        values=[0.0, 1.0, 2.0, float("nan"), 4.0],
        labels=[f"{token}\nloss\t1" for token in tokens],
        unit="loss (nats)",
        key="text",
    )
    assert data["tokens"] == ["Once", " <b>", " cat", "⏎\n", "*x*"]
    assert list(base64.b64decode(data["steps"])) == [0, 16, 32, UNKNOWN, 63]
    assert data["labels"][1] == "·<b>\nloss\t1"
    assert (data["legend"]["low"], data["legend"]["high"]) == ("0", "4")
    assert data["note"] == "" and data["legend"]["show"]


def test_signed_values_are_coloured_about_nought():
    data = drawn(
        tokens=["a", "b"], values=[-1.0, 3.0], labels=["", ""], scale="diverging", unit="", key="t"
    )
    assert (data["legend"]["low"], data["legend"]["high"]) == ("-3", "3")
    assert list(base64.b64decode(data["steps"])) == [21, 63]


def test_what_is_too_long_is_cut_and_said_to_be():
    count = MOST_TOKENS + 5
    data = drawn(tokens=["a"] * count, values=[1.0] * count, labels=[""] * count, unit="", key="t")
    assert len(data["tokens"]) == len(data["labels"]) == MOST_TOKENS
    assert len(base64.b64decode(data["steps"])) == MOST_TOKENS
    assert "5 more" in data["note"]


def test_a_text_flows_as_it_was_written():
    assert "".join(map(flowing, ["A", "·cat", ".", "⏎", "The"])) == "A cat.⏎\nThe"
