"""A report of others is opened with care: whatever is in the ZIP, it ends in a sentence."""

import io
import json
import os
import pickle
import zipfile
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.errors import CheckpointError
from interp.report import Report, opening
from interp.report.script import is_plain
from tests.report.findings import lens, surprise

LINK = 0o120777 << 16


@pytest.fixture(scope="module")
def saved() -> bytes:
    return Report("Saved").add(lens(), title="First").add(surprise()).zip(pictures=False)


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def packed(files: dict, entries=()) -> io.BytesIO:
    """The ZIP of the files, and of entries that are written as they are."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in [*files.items(), *entries]:
            made.writestr(name, content)
    target.seek(0)
    return target


def forged(files: dict) -> io.BytesIO:
    """The ZIP of the files with a manifest that fits them."""
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {
        name: {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
        for name, content in files.items()
        if name != "manifest.json"
    }
    return packed(files | {"manifest.json": json.dumps(manifest).encode()})


def refused(source, sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence) as caught:
        Report.load(source)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "name", ["../evil.txt", "/etc/evil.txt", "a/../../evil.txt", "C:\\evil.txt", "results/../../x"]
)
def test_names_that_leave_the_zip_are_refused(saved, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(packed(unpacked(saved), [(name, b"evil")]), "stay inside")
    refused(forged(unpacked(saved) | {name: b"evil"}), "stay inside")
    assert list(tmp_path.rglob("*")) == []


def test_links_folders_and_locked_files_are_refused(saved):
    link = zipfile.ZipInfo("results/1/link")
    link.external_attr = LINK
    refused(packed(unpacked(saved), [(link, b"/etc/passwd")]), "is a link")
    refused(packed(unpacked(saved), [("results/3/", b"")]), "a folder")


def test_a_zip_that_would_grow_too_large_is_not_unpacked(saved, monkeypatch):
    monkeypatch.setattr(opening, "MOST_BYTES", 3_000_000)
    bomb = packed(unpacked(saved), [("results/zeros", bytes(4_000_000))])
    assert len(bomb.getvalue()) < 3_000_000
    refused(bomb, "It is not opened")
    monkeypatch.setattr(opening, "MOST_PACKED", 1_000)
    refused(io.BytesIO(saved), "It is not opened")


def test_too_many_files_and_a_file_twice_are_refused(saved, monkeypatch):
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = packed(unpacked(saved), [("report.json", b"{}")])
    refused(twice, "each once")
    monkeypatch.setattr(opening, "MOST_FILES", 3)
    refused(io.BytesIO(saved), "at most 3 files")


def test_what_was_changed_added_or_lost_is_named(saved):
    files = unpacked(saved)
    refused(packed(files | {"report.json": files["report.json"] + b" "}), "report.json")
    refused(packed(files | {"results/1/more.json": b"{}"}), "more.json")
    del files["data/01-first.csv"]
    refused(packed(files), "01-first.csv")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + bytes(50)])
def test_what_is_no_zip_is_refused(content, tmp_path):
    path = tmp_path / "report.zip"
    path.write_bytes(content)
    refused(path, "must be the ZIP of a report")
    refused(tmp_path / "nowhere.zip", "cannot be read")


def test_another_zip_is_refused(saved):
    refused(packed({"a.txt": b"a"}), "manifest.json")
    files = unpacked(saved)
    files["manifest.json"] = files["manifest.json"].replace(b"report 1", b"report 9")
    refused(packed(files), "interp report 9")


class Trap:
    """Would leave a folder behind if it were unpickled."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


def test_a_pickle_is_never_read(saved, tmp_path):
    trap = pickle.dumps(Trap(str(tmp_path / "sprung")))
    files = unpacked(saved)
    about = json.loads(files["results/1/result.json"])
    about["tensors_sha256"] = sha256(trap).hexdigest()
    del about["sha256"]
    about["sha256"] = sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
    forgery = {"results/1/tensors.safetensors": trap, "results/1/result.json": _json(about)}
    refused(forged(files | forgery), "safetensors")
    assert not (tmp_path / "sprung").exists()


def test_python_that_does_more_than_the_figure_is_refused(saved):
    files = unpacked(saved)
    about = json.loads(files["report.json"])
    about["parts"][0]["options"] = {"metric='kl'); import os; os.mkdir('x'); f(a": 1}
    refused(forged(files | {"report.json": _json(about)}), "cannot be drawn")
    held = json.loads(files["results/1/result.json"])
    held["provenance"]["model_hash"] = "0\nimport os"
    del held["sha256"]
    held["sha256"] = sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()
    refused(forged(files | {"results/1/result.json": _json(held)}), "Do not trust")


@pytest.mark.parametrize(
    "part",
    [
        {},
        {"kind": "text", "title": 1, "text": "a"},
        {"kind": "film", "title": "a"},
        {"kind": "figure", "title": "a", "comment": "", "options": {}, "result": "../1"},
        {"kind": "figure", "title": "a", "comment": "", "options": {}, "result": "results/9"},
        {"kind": "figure", "title": "a", "comment": "", "options": "x", "result": "results/1"},
        {
            "kind": "figure",
            "title": "",
            "comment": "",
            "options": {"metric": "x"},
            "result": "results/1",
        },
        {"kind": "table", "title": "a", "comment": "", "columns": [{"name": "a", "kind": "int64"}]},
    ],
)
def test_a_part_of_another_shape_is_refused(saved, part):
    files = unpacked(saved)
    about = json.loads(files["report.json"]) | {"parts": [part]}
    refused(forged(files | {"report.json": _json(about)}), "report|result|inside|needed|metric")


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_any_damage_ends_in_a_sentence(place, noise):
    content = bytearray(small())
    at = place % len(content)
    content[at : at + len(noise)] = noise
    try:
        assert Report.load(io.BytesIO(bytes(content))).title == "Small"
    except CheckpointError as error:
        assert str(error)


def small(made: list = []) -> bytes:  # noqa: B006
    """A report without the page, so that most of its bytes are read."""
    if not made:
        files = unpacked(Report("Small").add(lens()).zip(pictures=False))
        kept = {name: files[name] for name in files if name not in ("report.html", "report.ipynb")}
        made.append(forged(kept).getvalue())
    return made[0]


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "from os import system",
        "exit()",
        "interp.core.files.write_text('a', 'b')",
        "interp.__loader__.get_data('a')",
        "print = exec",
        "(lambda: 0)()",
        "torch.load('a')",
        "def f(): pass",
        "result.figure(__import__('os'))",
        "if True: pass",
        "not python",
    ],
)
def test_scripts_that_do_more_are_seen(code):
    assert not is_plain(code)


def _json(value) -> bytes:
    return json.dumps(value).encode()
