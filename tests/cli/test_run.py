"""`interp run` makes, saves and draws what an instrument finds; `interp report` gathers it."""

import click
import pytest
from click.testing import CliRunner

from interp.cli import cli
from interp.cli.commands import report, run
from interp.core.errors import InterpError
from interp.results.registry import instruments
from interp.results.result import load_result
from tests.cli.conftest import TEXT


def invoke(command: click.Command, *arguments: object):
    return CliRunner().invoke(command, list(map(str, arguments)))


@pytest.mark.slow
def test_a_finding_is_printed_saved_drawn_and_reported(tiny_folder, tmp_path):
    done = invoke(
        run.command,
        *("logit_lens", "--model", tiny_folder, "--prompt", TEXT, "--targets", " garden", "--k", 2),
        *("--out", tmp_path / "r" / "lens", "--html", tmp_path / "lens.html"),
        *("--csv", tmp_path / "lens.csv"),
    )
    assert done.exit_code == 0, done.output
    result = load_result(tmp_path / "r" / "lens")
    assert done.output.splitlines()[0] == str(result)
    assert result.provenance.call["targets"] == (" garden",)
    assert len((tmp_path / "lens.csv").read_text().splitlines()) == 1 + len(result.frame())
    assert "Plotly.newPlot" in (tmp_path / "lens.html").read_text()
    page = tmp_path / "report.html"
    gathered = invoke(report.command, tmp_path / "r", "--out", page, "--title", "One lens")
    assert gathered.exit_code == 0, gathered.output
    assert "One lens" in page.read_text(encoding="utf-8")


def test_a_report_of_nothing_is_refused(tmp_path):
    refused = invoke(report.command, tmp_path)
    assert isinstance(refused.exception, InterpError)
    assert "interp run" in str(refused.exception)


def test_an_instrument_that_does_not_exist_names_the_nearest():
    refused = invoke(run.command, "logit_lense")
    assert refused.exit_code == 2 and "logit_lens" in refused.output


def test_the_list_names_every_instrument_without_importing_it():
    listed = invoke(run.command, "--help").output
    assert [name for name in instruments() if name not in listed] == []


@pytest.mark.parametrize("name", instruments())
def test_every_instrument_has_a_help_page(name):
    page = invoke(cli, "run", name, "--help")
    assert page.exit_code == 0, page.output
    assert all(option in page.output for option in ("--model", "--step", "--out", "--html"))


def test_a_switch_overrules_how_the_models_files_begin_a_text(tmp_path):
    begun, repeated = {}, {}
    for flag in ("--bos", "--no-bos", None):
        folder = tmp_path / str(flag)
        typed = ["run", "attention", "--prompt", "Anna is in the", "--out", str(folder)]
        done = CliRunner().invoke(cli, [*typed, *([flag] if flag else [])])
        assert done.exit_code == 0, done.output
        result = load_result(folder)
        begun[flag], repeated[flag] = result.tokens[0], result.provenance.bos
        assert (f"bos={repeated[flag]}" in result.code()) == (flag is not None)
    assert begun == {"--bos": "<|bos|>", "--no-bos": "·Anna", None: "<|bos|>"}
    assert repeated == {"--bos": True, "--no-bos": False, None: None}


def test_generate_begins_a_text_as_it_is_told():
    typed = ["generate", "stories-demo", "Anna is in the", "--temperature", "0", "--explain"]
    typed += ["--max-new-tokens", "3"]
    default, with_it, without = (
        CliRunner().invoke(cli, [*typed, *flag]).output for flag in ((), ("--bos",), ("--no-bos",))
    )
    assert default == with_it != without
