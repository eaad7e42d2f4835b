"""The documentation names everything there is, links to what exists, and its examples run."""

import doctest
import inspect
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest

from interp.cli import cli
from interp.core import errors

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")])
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in ROOT.glob("interp/**/*.py")
    if path.name not in ("__init__.py", "__main__.py")
)


class Examples(doctest.DocTestParser):
    """Examples that end where the docstring's next section begins."""

    def parse(self, string: str, name: str = "<string>") -> list:
        sections = "Args|Attributes|Returns|Raises|Source"
        return super().parse(re.sub(rf"\n( +(?:{sections}):)", r"\n\n\1", string), name)


def headings(page: str) -> set[str]:
    """The headings of a page, without their marks."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return {match.strip(" `") for match in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}


def test_every_command_has_a_heading():
    names = {f"interp {name}" for name in cli.list_commands(click.Context(cli))}
    assert names - headings("commands.md") == set()


def test_every_option_is_on_the_page_of_commands():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    context = click.Context(cli)
    commands = [cli.get_command(context, name) for name in cli.list_commands(context)]
    options = [p for command in commands for p in command.params if isinstance(p, click.Option)]
    names = {tuple(option.opts + option.secondary_opts) for option in options}
    assert {each for each in names if not any(f"`{name}" in text for name in each)} == set()


def test_every_error_has_a_heading():
    kinds = inspect.getmembers(errors, inspect.isclass)
    names = {name for name, kind in kinds if issubclass(kind, errors.InterpError)}
    assert names - headings("errors.md") == set()


def test_every_dependency_has_a_line_and_no_other_has_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    wanted = {re.split(r"[\[<>=!~ ;]", line)[0] for line in project["dependencies"] + extras}
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^- \*\*([\w.-]+)\*\*:", text, flags=re.MULTILINE)) == wanted - {
        "interp"
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text)
    local = [target for target in targets if not target.startswith(("http://", "https://"))]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_readme_names_every_file_and_folder_of_the_package():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    top = [path for path in (ROOT / "interp").iterdir() if not path.name.startswith("_")]
    assert [path.name for path in top if path.name not in text] == []


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in doctest.DocTestFinder(parser=Examples()).find(module):
        runner.run(test)
    assert runner.failures == 0


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    (tmp_path / "trained_models").symlink_to(ROOT / "trained_models")
    subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=600
    )


@pytest.mark.slow
def test_the_instrument_of_the_tutorial_works_as_it_stands(tmp_path):
    text = (ROOT / "docs" / "adding_an_instrument.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", text, flags=re.DOTALL)
    for name, code in blocks:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        "import interp.analyses, interp.plots\n"
        f"interp.analyses.__path__.append({str(tmp_path / 'interp' / 'analyses')!r})\n"
        f"interp.plots.__path__.append({str(tmp_path / 'interp' / 'plots')!r})\n"
    )
    (test,) = tmp_path.glob("tests/analyses/test_*.py")
    command = [sys.executable, "-m", "pytest", "-q", "--import-mode=importlib", str(test)]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout
