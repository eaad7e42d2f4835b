"""A table of labelled texts: rows come out, or a sentence that names the place."""

import gzip

import pytest

from interp.core.errors import ConfigError
from interp.methods.data.labelled_table import read_labelled

CSV = "text,label\nAnna is here,1\nBen is there,0\n" * 3


def test_utf16_with_its_mark_is_read(tmp_path):
    (tmp_path / "a.csv").write_bytes("text,label\nAnnä,1\n".encode("utf-16"))
    assert [row.text for row in read_labelled(tmp_path / "a.csv")] == ["Annä"]


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (gzip.compress(CSV.encode(), mtime=0), "gunzip"),
        (b"PK\x03\x04" + b"\xff" * 50, "office document"),
        (CSV.encode("utf-16-le"), "iconv -f UTF-16LE"),
        (CSV.encode("utf-16-be"), "iconv -f UTF-16BE"),
        (b"text,label\na\0b,1\n", "is zero"),
        ("text,label\nAnnä,1\n".encode("latin1"), "CSV UTF-8"),
    ],
)
def test_another_kind_of_file_is_named_with_what_helps(content, advice, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=advice):
        read_labelled(tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["text", "label", "group", "word"])
def test_half_an_emoji_is_refused_with_its_row(name, tmp_path):
    row = {"text": '"Anna"', "label": '"1"', name: '"a \\ud83d"'}
    line = ", ".join(f'"{key}": {value}' for key, value in row.items())
    (tmp_path / "a.jsonl").write_text(f'{{"text": "Ben", "label": "0"}}\n{{{line}}}\n')
    with pytest.raises(ConfigError, match=f"row 2: {name} has half a surrogate pair"):
        read_labelled(tmp_path / "a.jsonl")


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000, "1e999", "NaN", "-5", '"x"', "[]"])
def test_json_of_another_form_is_refused_with_its_row(value, tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "Anna", "label": "1", "start": {value}}}\n')
    with pytest.raises(ConfigError, match="row 1"):
        read_labelled(tmp_path / "a.jsonl")
