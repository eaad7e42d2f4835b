"""With a real Chromium: still pictures of every figure, and a PDF on A4 with words in it."""

import io
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib

import pytest

from interp.report import Report
from interp.report.chromium import find_chromium
from interp.report.pictures import picture
from tests.report.test_opening import unpacked
from tests.report.test_saved import first

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(find_chromium() is None, reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    return first().save(tmp_path_factory.mktemp("pdf") / "report.pdf")


def test_pictures_are_the_figure_and_the_same_twice():
    figure = first().figures[0].figure
    content = picture(figure, "svg")
    root = ElementTree.fromstring(content)
    said = " ".join(root.itertext())
    assert "entropy" in said and "garden" in said
    assert root.attrib["height"] == str(figure.layout.height)
    assert picture(figure, "svg") == content
    dots = picture(figure, "png")
    width, height = int.from_bytes(dots[16:20]), int.from_bytes(dots[20:24])
    assert dots[:4] == b"\x89PNG" and (width, height) == (1920, 2 * figure.layout.height)


def test_the_zip_has_both_kinds_of_every_figure_and_opens_again():
    report = Report("Pictures", parts=first().figures)
    content = report.zip()
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    kinds = [name.rsplit(".", 1)[1] for name in names if name.startswith("figures/")]
    assert sorted(kinds) == ["png", "png", "svg", "svg"]
    again = unpacked(report.zip())
    assert [name for name, data in unpacked(content).items() if again.get(name) != data] == []
    assert Report.load(io.BytesIO(content)) == report


def test_the_pdf_is_a4_and_its_words_can_be_selected(printed):
    content = printed.read_bytes()
    assert content.startswith(b"%PDF")
    boxes = re.findall(rb"/MediaBox\s*\[([\d. ]+)\]", content)
    assert boxes and {tuple(round(float(x)) for x in box.split()) for box in boxes} == {
        (0, 0, 595, 842)
    }
    assert b"/ToUnicode" in content
    assert len(re.findall(rb"T[jJ]\b", pages(content))) > 50


@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="pdftotext is not installed")
def test_the_pdf_has_the_words_of_the_page_and_of_the_figures(printed):
    done = subprocess.run(["pdftotext", printed, "-"], capture_output=True, text=True, check=True)
    for wanted in (
        "What a small model says",
        "A. Reader",
        "As seen.",
        "Figure 2.",
        "after layer 0",
    ):
        assert wanted in done.stdout
    assert "Drawing the figure" not in done.stdout


def pages(content: bytes) -> bytes:
    """What the streams of a PDF draw."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", content, flags=re.DOTALL)
    return b"".join(map(inflated, streams))


def inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return b""
