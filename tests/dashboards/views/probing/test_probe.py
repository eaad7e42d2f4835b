"""The page of probes: by layer, along a story, and of a table of the reader's own."""

import json
import re
from pathlib import Path

import pytest

from dashboards.pickers.labelled_table import example, saved_upload
from interp.methods.data.labelled_table import read_labelled
from interp.worlds import load_world
from tests.dashboards.model_folders import make_model

HOSTILE = "<script>alert(1)</script> **b** :smile: ![](http://example.org/x.png)"


def words(test) -> str:
    """Everything on the page that Markdown reads, without the signs that are escaped."""
    kinds = (test.markdown, test.caption, test.error, test.info)
    captions = "\n".join(str(element.value) for kind in kinds for element in kind)
    return re.sub(r"\\[^\w\s]", "", captions)


def figures(test) -> list:
    return test.get("plotly_chart")


def upload(test, name: str, content: str | bytes):
    raw = content if isinstance(content, bytes) else content.encode()
    (uploader,) = test.get("file_uploader")
    uploader.set_value((name, raw, "text/csv")).run()
    return test


def table(n: int = 60, text: str = "a garden", labels: str = "ab") -> str:
    rows = [f'"{text} {"x" * (i % 7)} {labels[i % len(labels)]}",{labels[i % len(labels)]}'
            for i in range(n)]  # fmt: skip
    return "\n".join(["text,label", *rows])


def test_a_probe_is_trained_only_when_it_is_asked_for(application):
    test = application("probe")
    assert not figures(test)
    test.slider(key="probe_stories").set_value(100)
    test.selectbox(key="variable").set_value("mood")
    test.button[0].click().run()
    assert not test.exception and not test.error
    assert len(figures(test)) == 1
    assert not test.get("progress"), "the bar goes when the work is done"


@pytest.mark.slow
def test_a_story_is_read_with_the_world_beside_it(application):
    test = application("probe", part="Along a story", state="mood")
    assert not test.exception and not figures(test)
    test.button(key="train_decoder").click().run()
    assert not test.exception and not test.error
    (text,) = (each for each in test.get("bidi_component") if "labels" in each.proto.json)
    text = json.loads(text.proto.json)
    story = load_world("stories").sample(0, split="held_out")
    assert "".join(text["tokens"]).replace("<|bos|>", "").strip() == story.text
    assert "true\tdecoded" in text["labels"][5]
    world, read = test.dataframe[0].value, test.dataframe[1].value
    assert list(world["about"]) == list(read["about"])
    here = test.slider(key="reading_at").value
    test.button(key="reading_Right").click().run()
    assert test.slider(key="reading_at").value == here + 1
    test.toggle(key="everywhere").set_value(True).run()
    test.slider(key="reading_at").set_value(len(text["tokens"]) - 1).run()
    true, said = test.dataframe[0].value["mood"], test.dataframe[1].value
    signs = ["✓" if a == b else "✗" for a, b in zip(true, said["mood"], strict=True)]
    assert list(said["right?"]) == signs and {"—"}.isdisjoint(said["mood"])


@pytest.mark.slow
def test_a_story_of_ones_own_is_read_or_refused_in_a_sentence(application):
    test = application("probe", part="Along a story", state="place")
    test.button(key="train_decoder").click().run()
    test.text_area(key="own_story").set_value(
        "It is a sunny morning. Anna is in the garden. Ben is in the park."
    ).run()
    assert not test.exception and not test.error
    test.slider(key="reading_at").set_value(11).run()
    assert test.dataframe[0].value["place"].tolist() == ["garden", "—"]
    for text in (HOSTILE + ".", "It is a sunny morning. Zed flies.", "It is a sunny morning"):
        test.text_area(key="own_story").set_value(text).run()
        assert not test.exception and len(test.error) == 1, text
        assert "<script" not in words(test) and "![](" not in words(test)


def test_a_table_is_shown_and_a_probe_trained_on_it(application):
    test = upload(application("probe", model="bytes", table_from="My own"), "mine.csv", table())
    assert not test.exception and not test.error
    assert list(test.dataframe[1].value["rows"]) == [30, 30]
    test.button(key="train_table").click().run()
    assert not test.exception and not test.error and len(figures(test)) == 1
    test.toggle(key="code_probe").set_value(True).run()
    (code,) = test.code
    assert "mine.csv" in code.value
    frame: dict = {}
    exec(code.value, frame)
    assert re.sub(r"\W", "", frame["result"].finding()) in re.sub(r"\W", "", words(test))


BAD = {
    "no label": ("a.csv", "text,mood\nx,y\n", "the first line must be"),
    "one class": ("a.csv", table(labels="a"), "got 60 rows, all labelled"),
    "too few": ("a.csv", table(n=6), "or more; got 6"),
    "an empty label": ("a.csv", table() + '\n"x",', "row 61"),
    "over-long": ("a.csv", table() + "\n" + "x" * 20_001 + ",a", "row 61"),
    "beyond the context": ("a.csv", table() + "\n" + "qz" * 200 + ",a", "Row 61"),
    "not UTF-8": ("a.csv", table().encode() + b"\n\xff\xfe,a", "UTF-8"),
    "not text": ("a.csv", b"text,label\n\0\0", "needs to be text"),
    "too many cells": ("a.csv", table() + "\none,two,three", "row 61"),
    "not JSON": ("a.jsonl", '{"text": "a", "label": "b"}\nno', "row 2"),
    "hostile": ("a.csv", f"{HOSTILE},label\n", "the first line must be"),
    "hostile label": ("a.csv", table(labels="a").replace(",a", f",{HOSTILE}"), "all labelled"),
}  # fmt: skip


def test_a_table_that_cannot_be_used_is_a_sentence(application):
    test = application("probe", model="bytes", table_from="My own")
    for name, (file, content, said) in BAD.items():
        upload(test, file, content)
        assert not test.exception, name
        (error,) = test.error
        message = error.value.replace("\\", "").replace("\u2060", "")
        assert said in message, (name, message)
        assert "<script" not in words(test) and "![](" not in words(test), name
        assert not test.button or all(b.key != "train_table" for b in test.button), name


def test_a_word_that_the_model_does_not_know_names_the_row(application):
    test = application("probe", part="My own table")
    rows = [
        f"It is a sunny morning. Anna is in the {place}.,{place}" for place in ("garden", "park")
    ] * 30
    upload(test, "a.csv", "\n".join(["text,label", *rows, "It is a zebra.,park"]))
    assert not test.exception and "Row 61" in test.error[0].value


def test_hostile_cells_stay_letters(application):
    test = application("probe", model="bytes", table_from="My own")
    upload(test, f"{HOSTILE}.csv", table(text=HOSTILE, labels="ab"))
    assert not test.exception and not test.error
    test.button(key="train_table").click().run()
    assert not test.exception and not test.error
    texts = words(test) + json.dumps([each.proto.spec for each in figures(test)])
    assert "<script" not in texts and "![](" not in texts
    assert all(not element.allow_html for element in test.markdown)


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\x.csv", "<b>.csv", "", "a/b.exe"])
def test_a_file_is_kept_in_its_own_folder_whatever_its_name(name):
    path = saved_upload(name, b"text,label")
    assert path.read_bytes() == b"text,label"
    assert path.parent == saved_upload("other.csv", b"text,label").parent
    assert path.suffix in (".csv", ".txt")


def test_the_example_table_can_be_used(tmp_path: Path):
    path = tmp_path / "moods.csv"
    path.write_text(example(load_world("stories")), encoding="utf-8")
    assert len({row.label for row in read_labelled(path)}) == 6


def test_without_a_world_a_ready_table_is_used_at_once_and_ones_own_offered(application, tmp_path):
    make_model(tmp_path / "only", world=None)
    test = application("probe", folder=tmp_path)
    assert not test.exception and not test.get("file_uploader")
    test.button(key="train_table").click().run()
    assert not test.exception and not test.error and len(figures(test)) == 1
    test.selectbox(key="table_from").set_value("own").run()
    assert not test.exception and len(test.get("file_uploader")) == 1
    assert "40 rows or more of two labels or more, 4 of each" in words(test)
