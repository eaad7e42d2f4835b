"""A report is complete, small, the same twice, and nothing in it is anyone's markup but its own."""

import base64
import gzip
import json
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.report import Report
from interp.report.figures import compact, round_bits
from interp.report.prose import paragraphs
from interp.report.tables import cell, text_table
from tests.toy import Toy, make_toy, provenance_of_toy

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=a>",
    "<b>",
    "{{ 7*7 }}",
)


class Page(HTMLParser):
    """What a browser would load, run and show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.blobs: dict[str, str] = {}
        self.handlers: list[str] = []
        self._open: str | None = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.loads += [v or "" for k, v in attrs if k in ("src", "srcset", "data", "action")]
        self.loads += (
            [attributes["href"]] if "href" in attributes and tag in ("a", "link", "base") else []
        )
        self.handlers += [name for name in attributes if name.startswith("on")]
        self._open = attributes.get("id") if tag == "script" else None

    def handle_data(self, data):
        if self._open:
            self.blobs[self._open] = self.blobs.get(self._open, "") + data

    def handle_endtag(self, tag):
        self._open = None


def figures_of(page: str) -> dict:
    """The drawings that the page holds, by number."""
    packed = Page(page).blobs["figures"]
    return json.loads(gzip.decompress(base64.b64decode(packed)))["figures"]


def hostile_report() -> Report:
    origin = provenance_of_toy(prompt=HOSTILE[0], model=HOSTILE[1], call={"prompt": HOSTILE[1]})
    toy = make_toy(tokens=HOSTILE, provenance=origin, note=HOSTILE[0])
    report = Report(HOSTILE[0], author=HOSTILE[1], date=HOSTILE[2] + "\ud800")
    report.add_text("\n\n".join(HOSTILE), title=HOSTILE[1])
    report.add_table(pd.DataFrame({HOSTILE[0]: HOSTILE}), HOSTILE[1], comment=HOSTILE[0])
    return report.add(toy, title=HOSTILE[0], comment=HOSTILE[1])


def test_the_same_results_give_the_same_bytes(tmp_path):
    def make(name):
        report = Report("Twice", author="A. Reader", date="2026-01-01")
        for seed in range(3):
            report.add(make_toy(seed=seed), comment="As **before**.")
        return report.save(tmp_path / name).read_bytes()

    assert make("a.html") == make("b.html")


def test_a_saved_result_gives_the_same_page(tmp_path):
    toy = make_toy()
    again = type(toy).load(toy.save(tmp_path))
    assert Report("x").add(toy).html() == Report("x").add(again).html()


@pytest.mark.slow
def test_thirty_figures_fit_in_three_megabytes(tmp_path):
    report = Report("Thirty")
    for seed in range(30):
        tokens = tuple(f" token{i}" for i in range(48))
        report.add(make_toy(tokens=tokens, layers=24, seed=seed))
    size = len(report.save(tmp_path / "report.html").read_bytes())
    assert size <= 3_000_000, f"{size:,} bytes"


def test_nothing_is_loaded_from_anywhere():
    page = Page(hostile_report().html())
    assert [place for place in page.loads if not place.startswith("#")] == []
    assert set(page.tags) & {"link", "img", "iframe", "object", "embed", "base"} == set()
    assert page.tags.count("script") == 3


def test_text_of_others_is_never_markup():
    text = hostile_report().html()
    page = Page(text)
    assert page.tags.count("b") == 1, "only the figure's number is bold"
    assert page.handlers == [] and "img" not in page.tags
    assert "49" not in Page(text).loads and "{{ 7*7 }}" in text
    (figure,) = figures_of(text).values()
    text = json.dumps(figure).replace("<br>", "").replace("<extra></extra>", "")
    assert "<" not in text


def test_every_figure_has_what_a_reader_needs():
    toy = make_toy()
    text = Report("Complete").add(toy, comment="A comment.").html()
    for needed in ("Figure 1.", "A comment.", "shuffled 0.01", "stories-demo", "0123456789abcdef"):
        assert needed in text
    for needed in ("interp.load_model(", "interp.toy(", "512", 'role="img"', "score_nats"):
        assert needed in text
    assert text.count("<tr>") == 1 + len(toy.frame())


def test_the_finding_is_said_once():
    class Wordy(Toy):
        def caption(self) -> str:
            return f"What is drawn. {self.finding()}. Bands: 95 % intervals."

    text = Report("Once").add(Wordy(**vars(make_toy()))).html()
    assert "What is drawn. Bands: 95 % intervals." in text
    assert text.count(">mean score") == 1


def test_long_tables_are_cut_and_say_so():
    text = Report("Long").add(make_toy(tokens=tuple("abcdefghij") * 20)).html()
    assert "The first 40 of 600 rows" in text and text.count("<tr>") == 41


def test_figures_are_small_and_keep_four_digits():
    toy = make_toy(score=torch.randn(3, 4) * 1000)
    figure, title = compact(toy.figure(title="A title"))
    assert title == "A title" and "title" not in figure["layout"]
    assert "template" not in figure["layout"]
    packed = figure["data"][0]["z"]
    numbers = np.frombuffer(base64.b64decode(packed["bdata"]), dtype=np.float32).reshape(3, 4)
    np.testing.assert_allclose(numbers, toy.score.numpy(), rtol=1e-4)
    assert packed["shape"] == "3, 4" and packed["dtype"] == "f4"


@given(st.lists(st.floats(width=32, allow_subnormal=False), min_size=1))
@settings(max_examples=200, deadline=None)
def test_rounding_is_close_and_keeps_what_is_special(numbers):
    given_ = np.array(numbers, dtype=np.float32)
    given_ = given_[np.abs(given_) < 1e38]
    np.testing.assert_allclose(round_bits(given_), given_, rtol=2.0**-15, atol=1e-37)
    special = np.array([np.nan, np.inf, -np.inf, 0.0, 123457.0], dtype=np.float32)
    np.testing.assert_array_equal(round_bits(special), special)


@pytest.mark.parametrize("numbers", [np.arange(5), np.array([2**40]), np.array([-200, 3])])
def test_whole_numbers_stay_exact(numbers):
    packed = compact(go.Figure(go.Scatter(x=numbers, y=numbers)))[0]["data"][0]["x"]
    kind = {"i1": np.int8, "i2": np.int16, "i4": np.int32, "f8": np.float64}[packed["dtype"]]
    unpacked = np.frombuffer(base64.b64decode(packed["bdata"]), dtype=kind)
    np.testing.assert_array_equal(unpacked, numbers)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_prose_never_lets_markup_through(text):
    page = Page(paragraphs(text))
    assert set(page.tags) <= {"p", "ul", "li", "h3", "code", "strong"}


def test_prose_knows_its_few_marks():
    assert paragraphs("## Head\n\n- a\n- **b**\n\nuse `x < 1`") == (
        "<h3>Head</h3>\n<ul><li>a</li><li><strong>b</strong></li></ul>\n"
        "<p>use <code>x &lt; 1</code></p>"
    )


def test_cells_are_readable():
    values = [1.0, 0.000123456, np.float32(0.1), np.int64(7), True, None, float("nan"), "a" * 500]
    cells = [cell(value) for value in values]
    assert cells[:7] == ["1", "0.0001235", "0.1", "7", "yes", "", ""] and len(cells[7]) == 240
    table = text_table(pd.DataFrame({"a": ["x"], "b": [1.5]}), 5)
    assert table.numeric == (False, True) and table.rows == (("x", "1.5"),)


def test_a_table_shows_signs_that_turn_text_round_as_escapes():
    """As tokens are shown: what is read is what is there, in the order in which it is there."""
    from interp.report.tables import cell

    hidden = "\u202egarden\u2066 \x1b[31m\u200b"
    assert cell(hidden) == "\\u202egarden\\u2066 \\x1b[31m\\u200b"
    assert cell("Sœur 日本 é\n") == "Sœur 日本 é\n"
