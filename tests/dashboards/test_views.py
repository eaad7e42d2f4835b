"""Every view on every kind of text: a figure or a sentence, never a traceback, never markup."""

import json

import pytest

from interp.dashboards.views import stems
from tests.dashboards.shelves import make_model

HOSTILE = {
    "one token": "a",
    "script": "<script>alert(1)</script>",
    "bold": "<b>bold</b> **stars** [link](http://example.org) ![](http://example.org/x.png)",
    "directive": ":red[red] :smile: $x^2$ `code`",
    "emoji": "a garden 🌱👩‍👩‍👧",
    "new lines": "one\n\ntwo\r\nthree\n# four",
    "right to left": "שלום עולם مرحبا \u202egarden",
    "empty": " ",
    "too long": "a garden " * 400,
}
REFUSED = {"empty", "too long"}
READERS = ("attention", "generate", "logit_lens", "surprise")
QUICK = {"heads": {"sequences": "8"}}


def problems(test) -> list[str]:
    """Tracebacks on the page."""
    return [error.message for error in test.exception]


def figures(test) -> list[dict]:
    """The figures of the page as plotly gets them."""
    return [json.loads(element.proto.spec) for element in test.get("plotly_chart")]


def words(test) -> str:
    """Everything on the page that Markdown reads."""
    kinds = (test.markdown, test.caption, test.error, test.info, test.title, test.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


@pytest.mark.parametrize("stem", stems())
def test_without_a_model_it_says_how_to_get_one(application, tmp_path, stem):
    test = application(stem, folder=tmp_path)
    assert problems(test) == []
    assert any("no model" in info.value for info in test.info)
    assert "interp demo" in [code.value for code in test.code]


@pytest.mark.parametrize("stem", stems())
@pytest.mark.parametrize("model", ["stories-demo", "bytes"])
def test_it_opens_on_a_model(application, stem, model):
    test = application(stem, model=model, **QUICK.get(stem, {}))
    assert problems(test) == []
    assert len(test.title) == 1
    if stem in ("attention", "heads", "logit_lens", "surprise"):
        (figure,) = figures(test)
        assert figure["data"] and test.get("plotly_chart")[0].proto.alt


@pytest.mark.parametrize("stem", READERS)
def test_any_text_gives_a_figure_or_a_sentence(application, stem):
    test = application(stem, model="bytes")
    for name, text in HOSTILE.items():
        test.text_area[0].set_value(text).run()
        assert problems(test) == [], name
        assert bool(test.error) == (name in REFUSED), (name, [e.value for e in test.error])
        shown = words(test)
        assert "<script" not in shown and "![](" not in shown and ":red[" not in shown
        assert all(not element.allow_html for element in test.markdown)
        for figure in figures(test):
            drawn = json.dumps(figure)
            assert "<script" not in drawn and "<b>b" not in drawn, name


@pytest.mark.parametrize("stem", READERS)
def test_a_word_that_the_model_does_not_know_is_named_letter_by_letter(application, stem):
    test = application(stem)
    for name in ("script", "bold", "directive", "emoji", "right to left"):
        test.text_area[0].set_value(HOSTILE[name]).run()
        assert problems(test) == []
        (error,) = test.error
        assert "is not" in error.value and "<" not in error.value.replace("\\<", "")
    test.text_area[0].set_value("\n").run()
    assert problems(test) == [] and len(test.error) == 1


def test_steering_writes_both_texts_and_nothing_else_at_dose_zero(application):
    test = application("steering", dose="0.0", length="12")
    assert problems(test) == []
    plain, steered = (element.value for element in test.text)
    assert plain == steered
    test.slider(key="dose").set_value(1.5).run()
    assert test.text[0].value == plain


def test_steering_takes_examples_of_the_users_own(application):
    test = application("steering", model="bytes", length="8")
    assert problems(test) == [] and "8 texts" in test.error[0].value
    lines = "\n".join(f"{HOSTILE['script']} {n}" for n in range(12))
    test.text_area(key="positive").set_value(lines)
    test.text_area(key="negative").set_value(lines.replace("script", "b")).run()
    assert problems(test) == [] and not test.error
    assert len(test.text) == 2


def test_a_probe_is_trained_only_when_it_is_asked_for(application):
    test = application("probe")
    assert figures(test) == []
    test.slider(key="stories").set_value(100)
    test.selectbox(key="variable").set_value("mood")
    test.button[0].click().run()
    assert problems(test) == []
    assert len(figures(test)) == 1 or test.error


def test_a_damaged_model_is_a_sentence(application, tmp_path):
    folder = make_model(tmp_path / "**bold** <b>")
    (folder / "model.safetensors").write_bytes(b"no")
    test = application("logit_lens", folder=tmp_path)
    assert problems(test) == [] and len(test.error) == 1
    assert "\\<b" in test.error[0].value


def test_a_link_brings_back_what_was_seen(application):
    test = application("attention", model="bytes", prompt="a <b> c", layer="1", head="1")
    assert problems(test) == []
    assert test.text_area(key="prompt").value == "a <b> c"
    assert test.selectbox(key="layer").value == "1"
    assert "bytes" in test.caption[0].value
