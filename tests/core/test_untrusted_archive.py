"""Whatever a zip from elsewhere holds, it ends in a sentence, at each door that takes one."""

import io
import json
import random
import shutil
import stat
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from warnings import catch_warnings, simplefilter

import pytest

from interp.core.errors import InterpError
from interp.core.untrusted_archive import quote
from interp.models.io import importing
from interp.report import Report, opening
from tests.dashboards.model_folders import make_model
from tests.report.findings import lens


@dataclass(frozen=True)
class Door:
    """A place where an archive of others comes in.

    Attributes:
        module: that opens it, by its `CONTENTS`.
        open: takes the archive.
        files: of an archive that is let in, by name.
        place: folder in it where an attack puts its files.
        extra: name of a file of a kind that may be there.
        listed: whether the archive lists its own files with their hashes.
    """

    module: object
    open: Callable[[io.BytesIO], object]
    files: dict[str, bytes]
    place: str
    extra: str
    listed: bool

    def zipped(self, *extra: tuple[str | zipfile.ZipInfo, bytes]) -> io.BytesIO:
        """The archive with more entries; its own list, where it has one, agrees with them."""
        files = dict(self.files)
        if self.listed:
            names = {getattr(e, "orig_filename", e): data for e, data in [*files.items(), *extra]}
            files["manifest.json"] = manifest(files["manifest.json"], names)
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive, catch_warnings():
            simplefilter("ignore")  # of a name that is there twice
            for entry, data in [*files.items(), *extra]:
                archive.writestr(entry, data)
        target.seek(0)
        return target


def manifest(old: bytes, files: dict[str, bytes]) -> bytes:
    entries = {
        name: {"sha256": sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
        if name != "manifest.json"
    }
    return json.dumps(json.loads(old) | {"files": entries}).encode()


@pytest.fixture(scope="module")
def model_files(tmp_path_factory) -> dict[str, bytes]:
    folder = make_model(tmp_path_factory.mktemp("theirs") / "garden", world=None)
    return {f"garden/{path.name}": path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def report_files() -> dict[str, bytes]:
    content = Report("Saved").add(lens(), title="First").zip(pictures=False)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(params=["model", "report"])
def door(request, tmp_path) -> Door:
    if request.param == "report":
        files = request.getfixturevalue("report_files")
        return Door(opening, Report.load, files, "results/1/", "more.json", True)
    files = request.getfixturevalue("model_files")

    def take(source: io.BytesIO) -> Path:
        return importing.import_model(source, tmp_path / "shelf", "new")

    return Door(importing, take, files, "garden/", "more.json", False)


def entry(name: str) -> zipfile.ZipInfo:
    """An entry with this very name, whatever `zipfile` would make of it."""
    info = zipfile.ZipInfo("x")
    info.filename = info.orig_filename = name
    return info


def refused(door: Door, source: io.BytesIO, match: str, around: Path) -> None:
    """It is refused in a sentence or two, and nothing is left of it anywhere near."""
    (around / "shelf").mkdir(exist_ok=True)
    before = sorted(around.rglob("*"))
    with pytest.raises(InterpError, match=match) as caught:
        door.open(source)
    sentence = str(caught.value)
    assert sentence.isprintable() and len(sentence) < 500 and ".tmp" not in sentence
    assert sorted(around.rglob("*")) == before


def test_what_is_as_it_should_be_is_let_in(door):
    assert door.open(door.zipped())


NAMES = [
    ("../evil.json", "stay inside"),
    ("/etc/evil.json", "stay inside"),
    ("a/../../evil.json", "stay inside"),
    ("results/../../evil.json", "stay inside"),
    ("C:\\evil.json", "stay inside"),
    ("garden\\..\\evil.json", "stay inside"),
    ("garden/a\x00.json", "stay inside"),
    ("garden/a\nb.json", "printable"),
    ("garden/a\u202egnp.json", "printable"),
    ("garden/" + "a" * 300 + ".json", "short"),
    ("garden/weights.bin", "pickle"),
    ("garden/model.pt", "pickle"),
    ("garden/weights.PKL", "pickle"),
    ("garden/more.zip", "none of these"),
    ("garden/run.py", "none of these"),
    ("garden/**bold** <b>.exe", "none of these"),
]


@pytest.mark.parametrize(("name", "match"), NAMES, ids=[quote(name) for name, _ in NAMES])
def test_names_that_leave_the_folder_and_foreign_kinds_are_refused(
    door, tmp_path, monkeypatch, name, match
):
    monkeypatch.chdir(tmp_path)
    refused(door, door.zipped((entry(name), b"{}")), match, tmp_path)


def test_links_and_devices_are_refused(door, tmp_path):
    for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK):
        info = zipfile.ZipInfo(door.place + door.extra)
        info.external_attr = (kind | 0o777) << 16
        refused(door, door.zipped((info, b"/etc/passwd")), "is a link", tmp_path)


def test_a_locked_file_is_refused(door, tmp_path):
    source = door.zipped((door.place + door.extra, b"{}"))
    content = bytearray(source.getvalue())
    at = content.rindex(b"PK\x01\x02")  # the last entry of the directory: bit 0 says locked
    content[at + 8] |= 1
    refused(door, io.BytesIO(bytes(content)), "without a password", tmp_path)


@pytest.mark.parametrize("twin", [str, str.upper])
def test_a_file_that_is_there_twice_is_refused(door, tmp_path, twin):
    name = next(name for name in door.files if name.startswith(door.place))
    folder, _, last = name.rpartition("/")
    info = entry(f"{folder}/{twin(last)}")
    refused(door, door.zipped((info, door.files[name])), "twice", tmp_path)


def test_too_many_files_are_refused(door, tmp_path, monkeypatch):
    limits = replace(door.module.CONTENTS, most_files=len(door.files))
    monkeypatch.setattr(door.module, "CONTENTS", limits)
    refused(door, door.zipped((door.place + door.extra, b"{}")), "at most .* files", tmp_path)
    assert door.open(door.zipped())


def test_a_bomb_is_refused_by_what_is_said_and_by_what_comes(door, tmp_path, monkeypatch):
    most = sum(map(len, door.files.values())) + 2**19
    monkeypatch.setattr(door.module, "CONTENTS", replace(door.module.CONTENTS, most_bytes=most))
    size = most + 1_000_003
    bomb = door.zipped((door.place + door.extra, bytes(size)))
    assert len(bomb.getvalue()) < most
    refused(door, bomb, "this one has more", tmp_path)
    modest = bomb.getvalue().replace(struct.pack("<I", size), struct.pack("<I", 1))
    assert modest != bomb.getvalue()
    refused(door, io.BytesIO(modest), "unpacked|more", tmp_path)


def test_a_zip_over_its_bound_is_not_even_opened(door, tmp_path, monkeypatch):
    limits = replace(door.module.CONTENTS, most_packed=1000)
    monkeypatch.setattr(door.module, "CONTENTS", limits)
    refused(door, door.zipped(), "as a zip", tmp_path)


@pytest.mark.parametrize("start", [b"\x80\x04\x95\x00\x00\x00\x00\x01", b"PK\x03\x04abcdefgh"])
def test_a_pickle_or_a_zip_under_another_name_is_refused(door, tmp_path, start):
    refused(door, door.zipped((door.place + door.extra, start)), "false name", tmp_path)


def test_damage_is_refused_however_the_zip_is_packed(door, tmp_path):
    for way in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        info = zipfile.ZipInfo(door.place + door.extra)
        info.compress_type = way
        content = bytearray(door.zipped((info, bytes(range(256)) * 40)).getvalue())
        at = content.index(info.filename.encode()) + len(info.filename)
        content[at + 10 : at + 40] = bytes(30)
        refused(door, io.BytesIO(bytes(content)), "unpacked", tmp_path)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04" + bytes(50)])
def test_what_is_no_zip_is_refused(door, tmp_path, content):
    refused(door, io.BytesIO(content), "or damaged", tmp_path)


def test_half_a_zip_and_another_zip_are_refused(door, tmp_path):
    whole = door.zipped().getvalue()
    refused(door, io.BytesIO(whole[: len(whole) // 2]), "damaged", tmp_path)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", b"a")
    refused(door, other, door.module.CONTENTS.needed, tmp_path)


def test_a_file_without_a_name_is_refused(door, tmp_path):
    refused(door, door.zipped((entry(""), b"{}")), "must stay inside", tmp_path)


def test_zips_with_changed_bytes_end_in_a_sentence_or_open(door, tmp_path):
    """Half the changes are in the zip's own lists, at its end; the rest anywhere."""
    whole = door.zipped().getvalue()
    lists = whole.index(b"PK\x01\x02")
    (tmp_path / "shelf").mkdir()
    for seed in range(40):
        draw, content = random.Random(seed), bytearray(whole)
        for _ in range(draw.choice([1, 1, 2, 8])):
            place = draw.randrange(lists if seed % 2 else 0, len(content))
            content[place] = draw.choice([0, 1, 0x7F, 0xFF])
        try:
            door.open(io.BytesIO(bytes(content)))
        except InterpError as error:
            assert len(str(error)) < 900
        shutil.rmtree(tmp_path / "shelf" / "new", ignore_errors=True)
    assert [path.name for path in tmp_path.rglob("*")] == ["shelf"]


@pytest.mark.parametrize("lies", [False, True])
def test_json_that_would_fill_the_memory_is_not_read(door, tmp_path, lies):
    most = door.module.CONTENTS.most_json
    name = f"{door.place}{door.extra}"
    zipped = door.zipped((name, b"[" + b"0," * (most // 2)))
    if lies:  # The size in the zip's list is one byte.
        content = zipped.getvalue()
        zipped = io.BytesIO(content.replace(struct.pack("<I", most + 1), struct.pack("<I", 1)))
    tracemalloc.start()
    try:
        refused(door, zipped, "JSON of at most|changed, added|cannot be unpacked", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()


def test_what_a_report_does_not_list_is_never_unpacked(report_files, tmp_path):
    """Neither in memory nor on the disk: its bytes are damaged, and nobody notices."""
    door = Door(opening, Report.load, report_files, "", "x.json", False)
    content = door.zipped(("data/bomb.csv", b"0" * 100)).getvalue()
    damaged = content.replace(zlib.crc32(b"0" * 100).to_bytes(4, "little"), b"\0\0\0\0")
    assert damaged != content
    with pytest.raises(InterpError, match=r"1 were changed, added or lost, 'data/bomb\.csv'"):
        Report.load(io.BytesIO(damaged))


def test_a_large_report_is_checked_without_holding_it_in_memory(report_files):
    door = Door(opening, Report.load, report_files, "", "x.json", True)
    zipped = door.zipped(("data/large.csv", bytes(40 * 2**20)))
    tracemalloc.start()
    try:
        Report.load(zipped)
        assert tracemalloc.get_traced_memory()[1] < 30 * 2**20
    finally:
        tracemalloc.stop()
