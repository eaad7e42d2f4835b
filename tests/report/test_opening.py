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
from interp.report import Report
from interp.report.script import is_plain
from tests.report.findings import lens, surprise


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


def test_a_zip_that_names_its_folders_is_refused(saved):
    refused(packed(unpacked(saved), [("results/3/", b"")]), "is a folder")


def test_what_was_changed_added_or_lost_is_named(saved):
    files = unpacked(saved)
    refused(packed(files | {"report.json": files["report.json"] + b" "}), "report.json")
    refused(packed(files | {"results/1/more.json": b"{}"}), "more.json")
    del files["data/01-first.csv"]
    refused(packed(files), "01-first.csv")


def test_what_is_no_file_is_refused(tmp_path):
    refused(tmp_path / "nowhere.zip", "cannot be read")
    refused(tmp_path, "must be a file")


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
    result = json.loads(files["results/1/result.json"])
    result["provenance"]["model_hash"] = "0\nimport os"
    del result["sha256"]
    result["sha256"] = sha256(json.dumps(result, sort_keys=True).encode()).hexdigest()
    refused(forged(files | {"results/1/result.json": _json(result)}), "Do not trust")


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
        *(
            {
                "kind": "table",
                "title": "a",
                "comment": "",
                "columns": [{"name": "a", "kind": "object", "cells": [cell]}],
            }
            for cell in (
                {"$record": ["Interval", {"value": "x", "low": 0, "high": 0, "n": 0}]},
                ["x"],
                {"x": 1},
            )
        ),
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
        "from torch import load as print\nprint('a', weights_only=False)",
        "from interp import train as set\nset('config', 'corpus', '/home/reader')",
        "import torch as interp",
        "import torch\ntorch.tensor = torch.load\ntorch.tensor('a', weights_only=False)",
        "result = 0\nresult.figure = result.save\nresult.figure('/home/reader')",
        "interp.probe(model, at=torch.load)",
        "(lambda: 0)()",
        "torch.load('a')",
        "result.save('/home/reader/.config')",
        "interp.train('config', 'corpus', '/home/reader')",
        "interp.call_that_is_no_instrument()",
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
