"""The notebook runs as it stands, gives the same numbers, and shows words letter by letter."""

import contextlib
import io
import json
from html.parser import HTMLParser

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

import interp
from interp.report import Report
from interp.report.notebook import as_markdown
from tests.report.findings import lens
from tests.report.test_saved import HOSTILE, first

PROMPT = "It is a rainy afternoon. Anna is in the garden."


def cells(report: Report, kind: str) -> list[str]:
    document = json.loads(report.notebook())
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in document["cells"]}) == len(document["cells"])
    return ["".join(c["source"]) for c in document["cells"] if c["cell_type"] == kind]


def executed(source: str, names: dict):
    """What the last line of a cell shows, as a notebook would."""
    *before, last = source.rstrip().splitlines()
    with contextlib.redirect_stdout(io.StringIO()):
        exec("\n".join(before), names)
        return eval(last, names)


def test_it_runs_on_the_shipped_model_and_gives_the_same_figures():
    model = interp.load_model("stories-demo")
    report = Report("First look")
    report.add(interp.logit_lens(model, PROMPT, targets=[" garden"]), metric="target")
    report.add(interp.surprise(model, PROMPT), title="Again", view="loss")
    names: dict = {}
    for part, source in zip(report.figures, cells(report, "code"), strict=True):
        figure = executed(source, names)
        assert names["result"] == part.result
        assert figure.to_json() == part.figure.to_json()


def test_tables_come_as_frames():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x'\"\\", "🌱"]})
    (source,) = cells(Report("x").add_table(frame, "Table"), "code")
    assert executed(source, {}).equals(frame)


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)


def test_words_of_others_are_no_markup():
    report = Report(HOSTILE[0], author=HOSTILE[1])
    report.add_text("\n\n".join(HOSTILE), title=HOSTILE[1])
    report.add(lens(), title=HOSTILE[0], comment=HOSTILE[1])
    text = "\n\n".join(cells(report, "markdown"))
    assert "$" not in text and "\\!\\[\\]\\(http\\:" in text
    assert Tags(text.replace("\\<", "")).seen <= {"p", "ul", "li", "h3", "code", "strong"}
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [f"# {as_markdown(HOSTILE[0])}"] + [
        f"## {as_markdown(HOSTILE[number])}" for number in (1, 0)
    ]


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_a_heading_is_one_line_without_signs(text):
    markdown = as_markdown(text)
    assert len(markdown.splitlines()) <= 1
    bare = markdown.replace("&#36;", "")
    for sign in "<>*_`[]#!$":
        assert bare.count(sign) == bare.count(f"\\{sign}")


def test_what_was_typed_stands_in_it_letter_by_letter():
    document = json.loads(first().notebook())
    typed = [
        cell["metadata"]["interp"] for cell in document["cells"] if cell["cell_type"] == "markdown"
    ]
    assert typed[0] == {"title": first().title, "author": "A. Reader", "date": "2026-01-01"}
    assert typed[1] == {"title": "By layer", "comment": "As **seen**."}
