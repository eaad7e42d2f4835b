"""The frame of the command line: light, forgiving of typing errors, and exact in its exit codes."""

import subprocess
import sys

import click
import pytest

from interp.cli import cli, main, one_line
from interp.cli.resumable import resumable
from interp.core.errors import CheckpointError

HEAVY = ("torch", "numpy", "pandas", "plotly", "transformers", "sklearn", "rich")


def leave(*arguments: str) -> int:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    return left.value.code or 0


@pytest.fixture
def failing(monkeypatch):
    """Commands `user-error` and `ctrl-c`, put in for the time of a test."""

    def user_error() -> None:
        raise CheckpointError("Needed a model folder;\n  'x' has no config.json. Train one.")

    def ctrl_c() -> None:
        with resumable("The run in runs/x"):
            raise KeyboardInterrupt

    made = {"user-error": user_error, "ctrl-c": ctrl_c}
    commands = {name: click.Command(name, callback=code) for name, code in made.items()}
    monkeypatch.setattr(cli, "get_command", lambda ctx, name: commands.get(name))


@pytest.mark.parametrize("arguments", [["models", "a\0b"], ["compare", "a", "a\0b"]])
def test_a_word_with_a_null_byte_is_refused(arguments, capsys):
    assert leave(*arguments) == 2
    assert "without null bytes" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["generate", "\udcff", "a"], ["doctor", "\udcff"]])
def test_a_byte_that_is_no_utf_8_is_spelled_out(arguments, capsys):
    assert leave(*arguments) == 2
    assert r"\udcff" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_loads_nothing_heavy(arguments):
    """No torch, no numpy: that is what keeps `interp --help` quick."""
    code = (
        "import sys\nfrom interp.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_import_interp_loads_nothing_heavy():
    code = f"import sys, interp; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_command_has_a_help_of_its_own():
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert (command.help or "").strip().endswith("."), name


def test_python_m_interp_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "interp", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("interp, version")


def test_an_unknown_command_names_the_nearest(capsys):
    assert leave("doctr") == 2
    assert "doctor" in capsys.readouterr().err


def test_a_user_error_is_one_line_and_exit_code_2(failing, capsys):
    assert leave("user-error") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == ("interp: Needed a model folder; 'x' has no config.json. Train one.\n")


def test_ctrl_c_is_exit_code_130_and_says_how_to_go_on(failing, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["interp", "train", "--out", "runs/my run"])
    assert leave("ctrl-c") == 130
    printed = capsys.readouterr().err
    assert "The run in runs/x is saved" in printed
    assert "interp train --out 'runs/my run'" in printed


def test_one_line_keeps_the_words():
    assert one_line(ValueError(" a\n b\t c ")) == "a b c"
