"""Files that are no plain text are told by their bytes, and what a reader should know is said."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import pytest

from interp.core.errors import ConfigError, InterpError, TokenError
from interp.training.data.corpus import Corpus
from interp.training.data.ordering import length, write_ordered_corpus
from interp.training.data.sources import write_text_corpus
from interp.training.data.text_files import passed_over, read_documents, text_files

TEXT = "Anna is in the garden. Ben is in the kitchen.\n" * 20


def zipped(text: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.txt", text)
    return target.getvalue()


OTHER = {
    "gunzip": gzip.compress(TEXT.encode()),
    "bunzip2": bz2.compress(TEXT.encode()),
    "unxz": lzma.compress(TEXT.encode()),
    "unzip": zipped(TEXT),
    "iconv -f UTF-16 ": TEXT.encode("utf-16"),
    "iconv -f UTF-16LE": TEXT.encode("utf-16-le"),
    "iconv -f UTF-16BE": TEXT.encode("utf-16-be"),
    "iconv -f UTF-32": TEXT.encode("utf-32"),
    "is zero": b"Anna\0" + TEXT.encode(),
}


@pytest.mark.parametrize("advice", OTHER)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.JSONL", "a.jsonl.gz"])
def test_another_kind_of_file_is_named_with_what_helps(advice, name, tmp_path):
    """Never `iconv -f latin1`, which makes rubbish of it that trains happily."""
    (tmp_path / name).write_bytes(OTHER[advice])
    with pytest.raises(TokenError) as refused:
        list(read_documents(tmp_path / name))
    assert advice in str(refused.value) and name in str(refused.value)
    assert "latin1" not in str(refused.value)
    with pytest.raises(TokenError):
        write_text_corpus(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize(
    "text", ["", "a", "ab", "é", "日本語" * 2000, "\ufeffAnna", "😀", "x" * 9000]
)
def test_plain_text_is_never_taken_for_something_else(text, tmp_path):
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert text_files(tmp_path / "a.txt") == [tmp_path / "a.txt"]


def test_endings_are_read_without_case_and_the_others_are_named(tmp_path):
    (tmp_path / ".git" / "x").mkdir(parents=True)
    (tmp_path / ".git" / "x" / "config").write_text("not shown")
    (tmp_path / "sub").mkdir()
    (tmp_path / "A.TXT").write_text("one")
    (tmp_path / "sub" / "B.JSONL").write_text('{"text": "two"}\n')
    (tmp_path / "c.jsonl.gz").write_bytes(OTHER["gunzip"])
    (tmp_path / "sub" / "notes.md").write_text("three")
    assert list(read_documents(tmp_path)) == ["one", "two"]
    assert passed_over(tmp_path) == ["c.jsonl.gz", "sub/notes.md"]


@pytest.mark.parametrize("half", ['"\\ud83d"', '"a \\udc00 b"', '"\\ude00\\ud83d"'])
@pytest.mark.parametrize("tokenizer", ["words", "characters", "bpe"])
def test_half_an_emoji_is_refused_with_its_file_and_line(half, tokenizer, tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text(f'{{"text": "whole \\ud83d\\ude00"}}\n{{"text": {half}}}\n')
    with pytest.raises(TokenError, match=r"a\.jsonl.*line 2 .*half a surrogate pair"):
        write_text_corpus(file, tmp_path / "out", tokenizer=tokenizer)


@pytest.mark.parametrize(
    "line",
    [
        '{"text": ' + "9" * 5000 + "}",
        "[" * 100_000,
        '{"text": NaN}',
        '{"text": ["a"]}',
        '{"text": 1e999}',
        "null",
        '{"text"}',
    ],
    ids=range(7),
)
def test_json_of_another_form_is_refused_with_its_line(line, tmp_path):
    (tmp_path / "a.jsonl").write_text(f'{{"text": "a", "n": NaN}}\n{line}\n')
    with pytest.raises(TokenError, match="line 2"):
        list(read_documents(tmp_path / "a.jsonl"))


def documents(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def test_held_out_documents_that_are_trained_on_are_counted(tmp_path):
    """Of 100 documents the tenth, twentieth … are held out; 30 stands at 31 too, 40 with spaces."""
    texts = [f"This is document {n}." for n in range(100)]
    texts[30] = texts[29]
    texts[40] = f" {texts[39]}\n"
    corpus = write_text_corpus(documents(tmp_path / "a.jsonl", texts), tmp_path / "c", d_vocab=300)
    (remark,) = corpus.remarks
    assert "2 of 10" in remark
    assert Corpus.open(tmp_path / "c").remarks == corpus.remarks
    ordered = write_ordered_corpus(corpus, tmp_path / "ordered", length, n_levels=2)
    assert ordered.remarks == corpus.remarks


def test_nothing_is_said_of_different_documents_and_the_hash_stays(tmp_path):
    texts = [f"This is document {n}." for n in range(40)]
    corpus = write_text_corpus(documents(tmp_path / "a.jsonl", texts), tmp_path / "c", d_vocab=300)
    assert corpus.remarks == ()
    (tmp_path / "f").mkdir()
    documents(tmp_path / "f" / "a.jsonl", texts)
    (tmp_path / "f" / "b.md").write_text("not read")
    other = write_text_corpus(tmp_path / "f", tmp_path / "d", d_vocab=300)
    assert "b.md" in other.remarks[0]
    assert other.hash == corpus.hash  # A remark is no part of the text: runs still resume.


def test_a_folder_without_text_is_a_sentence(tmp_path):
    with pytest.raises(InterpError, match="has none"):
        text_files(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        text_files(tmp_path / "x")
