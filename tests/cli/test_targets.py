"""Every place that a command writes to is tried before the work; no measurement is lost."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from interp.cli import cli, main
from interp.cli.targets import Target
from interp.report import Report
from interp.results.result import load_result

READ = {"data", "file", "folders", "paths", "run", "source"}
"""Parameters that are a path to read."""
MEASURED = ("run", "surprise", "--text", "It is a sunny morning.")
INSTRUMENT = "surprise"
"""`interp run` gives all instruments the same outputs."""


def commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {
        name: each.get_command(context, INSTRUMENT) if isinstance(each, click.Group) else each
        for name, each in found.items()
    }


def targets() -> list[tuple[str, str]]:
    return [
        (name, parameter.name)
        for name, command in commands().items()
        for parameter in command.params
        if isinstance(parameter.type, Target)
    ]


def arguments(name: str, target: str, place: str) -> list[str]:
    """The command with this place for that output, and something for what else it needs."""
    command = commands()[name]
    typed = [name, INSTRUMENT] if name == "run" else [name]
    for parameter in command.params:
        if parameter.name != target and parameter.required:
            value = "x" if parameter.type.name != "integer" else "1"
            typed += (
                [value] if isinstance(parameter, click.Argument) else [parameter.opts[0], value]
            )
        elif parameter.name == target:
            typed += (
                [place] if isinstance(parameter, click.Argument) else [parameter.opts[0], place]
            )
    return typed


def bad_places(kind: str, folder: Path) -> dict[str, str]:
    file = folder / "file"
    file.write_text("mine")
    return {
        "another kind": str(folder if kind == "file" else file),
        "below a file": str(file / "x"),
        "far below a file": str(file / "a" / "x"),
        "a device": "/dev/full",
        "below a device": "/dev/full/x",
        "no file system for files": "/proc/x",
        "read-only": "/sys/x",
        "a long name": str(folder / ("n" * 300)),
        "a name too long for its temporary one": str(folder / ("n" * 250)),
        "a zero byte": str(folder / "a\0b"),
        "no name": "",
    }


def leave(typed: list[str], capfd) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(typed)
    printed = capfd.readouterr()
    return left.value.code or 0, printed.out, printed.err


def test_every_path_of_a_command_is_read_or_is_a_target():
    paths = {
        (name, parameter.name)
        for name, command in commands().items()
        for parameter in command.params
        if isinstance(parameter.type, click.Path | click.File) and parameter.name not in READ
    }
    assert not paths, "give the parameter the type Target, or name it among those that are read"
    assert {name for name, _ in targets()} >= {"run", "compare", "report", "train", "ship", "demo"}


@pytest.mark.parametrize(("name", "target"), targets())
def test_a_place_that_cannot_be_written_is_refused_in_one_line(name, target, tmp_path, capfd):
    kind = next(p.type.kind for p in commands()[name].params if p.name == target)
    for why, place in bad_places(kind, tmp_path).items():
        code, out, err = leave(arguments(name, target, place), capfd)
        assert (code, out, err.count("\n")) == (2, "", 1), (why, out, err)
        advice = "without null bytes" if "\0" in place else "Name another place."
        assert err.startswith("interp: ") and advice in err, (why, err)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "mine"


def test_folders_that_are_missing_are_made_and_nothing_else_is_left(tmp_path, capfd):
    places = {name: tmp_path / "new" / name for name in ("f.html", "t.csv", "r")}
    outputs = zip(("--html", "--csv", "--out"), map(str, places.values()), strict=True)
    code, out, err = leave([*MEASURED, *(part for pair in outputs for part in pair)], capfd)
    assert code == 0, err
    result = load_result(places["r"])
    assert out.splitlines()[0] == str(result)
    table = places["t.csv"].read_text()
    assert len(table.splitlines()) == 1 + len(result.frame())
    assert "Plotly.newPlot" in places["f.html"].read_text()
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["f.html", "r", "t.csv"]
    assert sorted(p.name for p in places["r"].iterdir()) == ["result.json", "tensors.safetensors"]


@pytest.fixture
def small_files():
    """Files of at most a megabyte: a page of Plotly is larger, a result is not."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))  # Python ignores SIGXFSZ.
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("saved", [False, True])
def test_a_measurement_is_kept_when_its_page_cannot_be_written(
    saved, small_files, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "kept"))
    (tmp_path / "kept").mkdir()
    page = tmp_path / "f.html"
    page.write_text("an older page")
    out = ["--out", str(tmp_path / "r")] if saved else []
    code, _, err = leave([*MEASURED, *out, "--html", str(page)], capfd)
    assert code == 2 and err.count("\n") == 1, err
    place = err.strip().rpartition("interp report ")[2]
    kept = tmp_path / "r" if saved else tmp_path / "kept"
    assert Path(place).is_relative_to(kept)
    assert load_result(place).provenance.instrument == "surprise"
    assert page.read_text() == "an older page"
    assert not list(tmp_path.glob(".*"))


def test_a_result_that_cannot_be_written_leaves_the_older_one(small_files, tmp_path, surprise):
    import dataclasses

    surprise.save(tmp_path / "r")
    texts = ("x" * 2**21,)
    other = dataclasses.replace(
        surprise, provenance=dataclasses.replace(surprise.provenance, prompt=texts)
    )
    with pytest.raises(OSError, match="large"):
        other.save(tmp_path / "r")
    assert load_result(tmp_path / "r") == surprise
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == [
        "result.json",
        "tensors.safetensors",
    ]


@pytest.fixture(scope="module")
def surprise():
    import interp

    return interp.surprise(interp.load_model("stories-demo"), "It is a sunny morning.")


def test_a_report_is_whole_or_not_there(small_files, tmp_path, surprise):
    page = tmp_path / "report.html"
    page.write_text("an older page")
    with pytest.raises(OSError, match="large"):
        Report("One").add(surprise).save(page)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert page.read_text() == "an older page"


def command_line(*typed: str, **options) -> subprocess.CompletedProcess:
    code = [sys.executable, "-m", "interp", *typed]
    return subprocess.run(code, stderr=subprocess.PIPE, text=True, check=False, **options)


def test_an_output_that_cannot_be_printed_is_one_line():
    with Path("/dev/full").open("w") as full:
        done = command_line("worlds", stdout=full)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "No space left" in done.stderr


def test_signs_that_the_terminal_lacks_are_one_line():
    here = {**os.environ, "PYTHONIOENCODING": "shift_jis"}
    typed = ("generate", "stories-demo", "It is a", "--explain", "--max-new-tokens", "1")
    done = command_line(*typed, stdout=subprocess.DEVNULL, env=here)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "shift_jis cannot write" in done.stderr and "PYTHONIOENCODING" in done.stderr


def test_a_reader_that_went_away_is_quiet():
    reading, writing = os.pipe()
    os.close(reading)
    done = command_line("worlds", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_name_that_no_system_takes_is_one_line(capfd):
    code, out, err = leave(["models", "X" * 5000], capfd)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert len(err) < 400
