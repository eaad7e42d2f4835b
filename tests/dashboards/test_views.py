"""Every view on every kind of text: a figure or a sentence, never a traceback, never markup."""

import json
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from dashboards.page import navigation
from dashboards.page.navigation import MORE, entry, stems
from interp.results.registry import FORMER_NAMES, Instrument, instruments
from tests.dashboards.model_folders import make_model

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
MARKUP = re.compile(r"(?<!\\)(<script|<b>b|!\[\]\(|:red\[|\]\(http)")
WITHOUT_A_MODEL = {"train", "report"}
QUICK = {"heads": {"sequences": "8"}, "steering": {"length": "8"}, "prediction": {"length": "8"}}


def problems(test) -> list[str]:
    """Tracebacks on the page."""
    return [error.message for error in test.exception]


def words(test) -> str:
    """Everything on the page that Markdown reads."""
    kinds = (test.markdown, test.caption, test.error, test.info, test.warning, test.title)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def figures(test) -> str:
    """The figures of the page as plotly gets them."""
    plots = [json.loads(element.proto.spec) for element in test.get("plotly_chart")]
    return json.dumps(plots)


def is_nowhere_markup(test) -> bool:
    """Whether every text that came from outside stands on the page letter by letter."""
    return (
        not MARKUP.search(words(test))
        and not any(sign in figures(test) for sign in ("<script", "<b>b"))
        and not any(element.allow_html for element in test.markdown)
    )


def is_answered(test, *, refused: bool) -> bool:
    """Whether a text is read, or refused with a sentence."""
    return bool([*test.error, *test.info, *test.warning]) if refused else not test.error


def boxes(test) -> list[str]:
    """The keys of the text areas, and of text boxes in the page's body, that take free text."""
    return [box.key for kind in (test.text_area, test.main.text_input) for box in kind]


@pytest.mark.parametrize("stem", stems())
def test_without_a_model_it_says_how_to_get_one(application, tmp_path, stem):
    test = application(stem, folder=tmp_path)
    assert problems(test) == []
    if stem not in WITHOUT_A_MODEL:
        assert any("no model" in info.value for info in test.info)
        assert "interp demo" in [code.value for code in test.code]
    assert "Report (0)" in [box.label for box in test.sidebar.expander], "the page ends, not more"


@pytest.mark.parametrize("stem", stems())
@pytest.mark.parametrize("model", ["stories-demo", "bytes"])
def test_it_opens_on_a_model(application, stem, model):
    test = application(stem, model=model, **QUICK.get(stem, {}))
    assert problems(test) == []
    assert len(test.title) == 1


@pytest.mark.slow  # not one, but all pages together
@pytest.mark.parametrize("stem", stems())
def test_any_text_gives_an_answer_or_a_sentence(application, stem):
    test = application(stem, model="bytes", **QUICK.get(stem, {}))
    for key in boxes(test):
        for name, text in HOSTILE.items():
            box = next((b for b in (*test.text_area, *test.text_input) if b.key == key), None)
            if box is None:
                break
            box.set_value(text).run()
            assert problems(test) == [], (key, name)
            assert is_nowhere_markup(test), (key, name)
            if key == "prompt":
                assert is_answered(test, refused=name in REFUSED), (name, words(test))


@pytest.mark.parametrize("stem", stems())
def test_a_word_that_the_model_does_not_know_is_named_letter_by_letter(application, stem):
    test = application(stem, **QUICK.get(stem, {}))
    if "prompt" not in boxes(test):
        return
    for name in ("script", "bold", "directive", "emoji", "right to left"):
        test.text_area(key="prompt").set_value(HOSTILE[name]).run()
        assert problems(test) == [] and is_nowhere_markup(test), name
        errors = [error.value for error in test.error if "is not" in error.value]
        assert errors, words(test)
        assert not any("<" in error.replace("\\<", "") for error in errors)
    test.text_area(key="prompt").set_value("\n").run()
    assert problems(test) == [] and is_answered(test, refused=True)


LONG = {"bytes": "a garden " * 400, "stories-demo": "It is a sunny morning. " * 60}
READ_WHOLE = ("prompt", "lesson", "start", "own_story")
"""Boxes whose text the model reads as one prompt."""


@pytest.mark.slow  # all pages with a prompt
@pytest.mark.parametrize(
    ("stem", "model"), [*((stem, "bytes") for stem in stems()), ("prediction", "stories-demo")]
)
def test_a_prompt_that_is_too_long_is_refused_in_one_sentence_before_it_is_shown(
    application, stem, model
):
    for key in set(READ_WHOLE) & set(boxes(application(stem, model=model))):
        test = application(stem, model=model, **{key: LONG[model]}, **QUICK.get(stem, {}))
        (error,) = test.error
        counts = {int(n) for n in re.findall(r"[0-9]+", error.value.replace(",", ""))}
        assert problems(test) == [] and 160 in counts and max(counts) > 160, error.value
        assert test.title and LONG[model] not in words(test)
        assert not any(LONG[model] in text.value for text in test.text)
        assert "branch" not in words(test)


@pytest.mark.parametrize("stem", stems())
def test_a_damaged_model_of_a_hostile_name_is_a_sentence(application, tmp_path, stem):
    folder = make_model(tmp_path / "**bold** <b>")
    (folder / "model.safetensors").write_bytes(b"no")
    (folder / "metrics.jsonl").write_text('{"kind": "eval", "step": "x", "loss": []}\n[1]\nno')
    test = application(stem, folder=tmp_path)
    assert problems(test) == [] and is_nowhere_markup(test)
    if stem not in WITHOUT_A_MODEL | {"home"}:
        (error,) = test.error
        assert "\\<b" in error.value


OWN = {"train", "report"}
"""Views whose boxes are a form to send and words to write, kept for the session."""
WHAT_IS_SHOWN = ("selectbox", "multiselect", "slider", "select_slider", "number_input",
                 "segmented_control", "pills", "text_area", "text_input")  # fmt: skip
NOT_LINKED = {
    *("own_name", "own_words", "positive", "negative", "tune_texts"),  # long texts of a form
    *("name", "path"),  # of a folder to import
    "mistake",  # fills the prompt and the answer, which are linked
    "stage",  # linked as a number, see the next test
}


@pytest.mark.parametrize("stem", [stem for stem in stems() if stem not in OWN])
def test_whatever_decides_what_is_shown_stands_in_the_link(application, stem):
    test = application(stem, **QUICK.get(stem, {}))
    boxes = [box for kind in WHAT_IS_SHOWN for box in getattr(test, kind)]
    bare = [box.key for box in boxes if not box.proto.query_param_key]
    assert sorted(set(bare) - NOT_LINKED) == []


def test_a_stage_of_a_prediction_stands_in_the_link(application):
    test = application("prediction", model="bytes", prompt="a garden", stage_number="3")
    before = test.segmented_control(key="stage").value
    test.button(key="back").click().run()
    assert not test.exception and test.query_params["stage_number"] in ("2", ["2"])
    assert test.segmented_control(key="stage").value != before
    for odd in ("99", "-1", "x", "<b>"):
        test = application("prediction", model="bytes", prompt="a garden", stage_number=odd)
        assert problems(test) == []


RECORDS = ("{", "[]", '{"corpus": 1, "step": "x", "sha256": []}', '{"corpus": {"source": ["<b>"]}}')


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_of_any_shape_hides_no_other_model(application, tmp_path, record):
    make_model(tmp_path / "whole", world=None)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text(record)
    test = application("home", folder=tmp_path)
    assert problems(test) == []
    assert set(test.dataframe[0].value["model"]) == {"torn", "whole"}
    assert problems(application("surprise", folder=tmp_path, model="whole")) == []


def test_a_link_brings_back_what_was_seen(application):
    test = application("attention", model="bytes", prompt="a <b> c")
    assert problems(test) == []
    assert test.text_area(key="prompt").value == "a <b> c"
    assert "bytes" in test.caption[0].value


GENERIC = [stem for stem in stems() if entry(stem).group == MORE]
"""Instruments without a view of their own."""
OF_A_RUN = {"checkpoint_viewer", "learning_curve", "loss_change_allocation"}
OF_A_FILE = {"regression_probe"}
"""They measure a table of the reader's own, which the page's example only names."""
SMALL = {
    "concept": {"n_stories": "120"},
    "continuation": {"max_new_tokens": "8", "edits": "true"},
    "influence": {"n_stories": "4"},
    "state_decoding": {"n_stories": "60", "n_test": "20", "site": "resid_mid:1"},
    "state_edit": {"n_stories": "60", "n_tune": "20", "n_test": "30"},
    "steering_metrics": {"n_texts": "2", "n_random": "2", "n_stories": "2", "max_new_tokens": "8"},
    "tuned_lens": {"n_stories": "10", "steps": "4"},
}


def small(stem: str) -> dict[str, str]:
    """Settings of an instrument that take little time, as its page's link has them."""
    return {f"{stem}_{name}": value for name, value in SMALL.get(stem, {}).items()}


def test_every_instrument_has_a_page():
    assert set(instruments()) <= set(stems())
    assert all(entry(stem).title and entry(stem).icon for stem in stems())


@pytest.mark.parametrize("stem", GENERIC)
def test_a_page_made_from_a_signature_measures_what_its_link_says(application, stem):
    test = application(stem, **small(stem))
    assert "Method and source" in [box.label for box in test.expander]
    test.button(key="run").click().run()
    assert problems(test) == []
    if stem in OF_A_RUN | OF_A_FILE:
        assert test.error and not test.get("plotly_chart")
        return
    assert not test.error, words(test)
    assert len(test.get("plotly_chart")) == 1
    test.toggle(key=f"code_{stem}").set_value(True).run()
    (code,) = (block.value for block in test.code if f"interp.{stem}(" in block.value)
    numbers = {name: n for name, n in SMALL.get(stem, {}).items() if n.isdecimal()}
    assert all(f"{name}={n}" in code for name, n in numbers.items())


def test_a_changed_setting_waits_for_the_button(application):
    test = application("head_ablation", model="bytes", prompt="a garden, a garden")
    assert not test.get("plotly_chart")
    test.button(key="run").click().run()
    assert test.get("plotly_chart")
    test.selectbox(key="head_ablation_kind").set_value("zero").run()
    assert not test.get("plotly_chart")
    assert any("Nothing is measured yet" in caption.value for caption in test.caption)
    test.selectbox(key="head_ablation_kind").set_value("mean").run()
    assert test.get("plotly_chart"), "what was measured is there again"


def test_what_is_missing_or_cannot_be_read_is_a_sentence(application):
    test = application("concept")
    test.text_area(key="concept_positive").set_value("").run()
    assert test.button(key="run").disabled
    assert any("positive" in caption.value for caption in test.caption)
    test = application("state_edit", state_edit_doses="1, two")
    (error,) = test.error
    assert "two" in error.value and "numbers" in error.value
    test = application("state_edit", model="bytes")
    assert any("world" in info.value for info in test.info)


@pytest.mark.slow  # forty-eight pages
@pytest.mark.parametrize("stem", GENERIC)
@pytest.mark.parametrize("number", ["0", "-1", "1000000000000000000000", "x"])
def test_any_number_gives_an_answer_or_a_sentence(application, stem, number):
    counts = dict.fromkeys(("n_untrained", "untrained", "shuffles", "layer", "k"), number)
    sizes = SMALL.get(stem, {}) | counts
    test = application(stem, **{f"{stem}_{name}": value for name, value in sizes.items()})
    assert problems(test) == []


NEEDS_CODE = '''"""Judge a text by code."""
from collections.abc import Callable
from pathlib import Path
from interp.core.protocols import LanguageModel

def judged(model: LanguageModel, judge: Callable[[str], float], *, k: int = 1) -> None:
    """Judge.

    Args:
        judge: of texts.
    Example:
        >>> judged(model, len)  # doctest: +SKIP
    """
'''
OF_PATHS = NEEDS_CODE.replace("model: LanguageModel", "model: Path")


def put(monkeypatch, folder, code: str) -> None:
    """An instrument `judged` beside those that are there."""
    path = folder / "judged.py"
    path.write_text(code)
    new = Instrument(name="judged", family="behavior", path=path)
    spec = spec_from_file_location(new.module, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setitem(sys.modules, new.module, module)
    monkeypatch.setattr(navigation, "instruments", lambda: {**instruments(), "judged": new})


def test_an_instrument_that_needs_code_says_so_with_the_python(application, monkeypatch, tmp_path):
    put(monkeypatch, tmp_path, NEEDS_CODE)
    test = application("judged")
    assert problems(test) == [] and not test.error
    assert any("`judge`" in info.value for info in test.info)
    assert any(
        "load_model(" in code.value and "judged(model, len)" in code.value for code in test.code
    )
    assert "run" not in [button.key for button in test.button]


def test_an_instrument_is_not_offered_for_a_model_of_another_kind(
    application, monkeypatch, tmp_path
):
    put(monkeypatch, tmp_path, OF_PATHS)
    test = application("judged")
    assert problems(test) == [] and not test.error
    assert ["Judged needs a Path" in info.value for info in test.info] == [True]
    assert "run" not in [button.key for button in test.button]


@pytest.mark.parametrize("former", FORMER_NAMES)
def test_a_former_address_leads_to_the_page_of_today(application, former):
    test = application(former)
    assert problems(test) == []
    assert test.title[0].value == application(FORMER_NAMES[former]).title[0].value
