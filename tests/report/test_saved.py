"""What is saved comes back: words, order, options and numbers; and twice the same bytes."""

import io
import json
import zipfile
from hashlib import sha256

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interp.core.errors import CheckpointError, ConfigError
from interp.report import Report
from interp.report.parts import FigurePart, TablePart, TextPart
from tests.report.findings import lens, surprise
from tests.toy import make_toy

METRICS = ("probability", "entropy", "kl", "target")
HOSTILE = (
    "<script>alert(1)</script>",
    "![](http://example.org/x)",
    "$x^2$ `a` **b**",
    "שלום\u202e",
    "🌱",
)
words = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40))


def first() -> Report:
    report = Report("What a small model says", author="A. Reader", date="2026-01-01")
    report.add(lens(), title="By layer", comment="As **seen**.", metric="entropy")
    report.add_text("Between the two.", title="Words")
    report.add_table(
        pd.DataFrame({"a": [1, 2], "b": [0.5, float("nan")], "c": ["x", None]}), "Table"
    )
    return report.add(surprise())


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_all_of_it_comes_back(tmp_path):
    report = first()
    again = Report.load(report.save(tmp_path / "report.zip"))
    assert again == report
    assert [type(part) for part in again.parts] == [FigurePart, TextPart, TablePart, FigurePart]
    assert again.html() == report.html() and again.notebook() == report.notebook()
    assert again.figures[0].options == {"metric": "entropy"}


@given(
    st.tuples(words, words, words),
    st.lists(st.tuples(words, words, st.sampled_from(METRICS)), max_size=2),
    words,
)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_words_come_back_letter_by_letter(head, figures, prose):
    report = Report(*head)
    report.add_text(prose, title=prose)
    for title, comment, metric in figures:
        report.add(lens(), title=title, comment=comment, metric=metric)
    again = Report.load(io.BytesIO(report.zip(pictures=False)))
    assert again == report
    assert [part.title for part in again.parts] == [prose, *(title for title, _, _ in figures)]


def test_twice_the_same_bytes():
    assert first().zip(pictures=False) == first().zip(pictures=False)
    assert first().notebook() == first().notebook()


def test_the_manifest_tells_size_and_hash_of_every_file():
    content = first().zip(pictures=False)
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        manifest = json.loads(packed.read("manifest.json"))
        listed = manifest["files"]
        assert sorted(listed) == sorted(set(packed.namelist()) - {"manifest.json"})
        for name, about in listed.items():
            content = packed.read(name)
            assert about == {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
        table = pd.read_csv(io.BytesIO(packed.read("data/01-by-layer.csv")))
    assert list(table.columns) == list(lens().frame().columns)
    assert len(table) == len(lens().frame())
    assert {"report.html", "report.ipynb", "report.json", "results/2/result.json"} <= set(listed)


def test_without_a_chromium_there_is_a_sentence_with_the_command(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("BROWSER_PATH", raising=False)
    with pytest.raises(ConfigError, match="install"):
        first().save(tmp_path / "report.pdf")
    assert list(tmp_path.iterdir()) == []
    content = first().zip()
    assert not [name for name in names(content) if name.startswith("figures/")]
    manifest = json.loads(zipfile.ZipFile(io.BytesIO(content)).read("manifest.json"))
    assert "left out" in manifest["pictures"] and "install" in manifest["pictures"]


@pytest.mark.parametrize("suffix", [".html", ".ipynb", ".HTM", ""])
def test_the_suffix_says_what_is_written(tmp_path, suffix):
    path = first().save(tmp_path / f"report{suffix}")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("{" if suffix == ".ipynb" else "<!doctype html>")


def test_other_suffixes_and_options_that_no_file_can_hold_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\.ipynb"):
        first().save(tmp_path / "report.docx")
    with pytest.raises(ConfigError, match="text and numbers"):
        FigurePart(result=make_toy(), options={"title": object()})
    with pytest.raises(ConfigError, match="tensor"):
        FigurePart(result=make_toy(), options={"title": make_toy().score})


def test_a_result_of_an_unknown_instrument_is_named():
    content = Report("x").add(make_toy()).zip(pictures=False)
    with pytest.raises(CheckpointError, match="'toy', which is no instrument"):
        Report.load(io.BytesIO(content))
