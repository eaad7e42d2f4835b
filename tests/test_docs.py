"""The documentation names everything there is, links to what exists, and its examples run."""

import doctest
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from runpy import run_path

import click
import pytest
from click.testing import CliRunner

from interp.cli import cli
from interp.core import errors
from interp.models.io.load import load_model
from interp.results.registry import get_instrument, instruments
from interp.results.signature import example_arguments, signature_parameters

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *ROOT.glob("docs/*.md")])
TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]
PLACEHOLDERS = {"x", "y", "_x", "_y", "test_x"}
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in ROOT.glob("interp/**/*.py")
    if path.name not in ("__init__.py", "__main__.py")
)


def shown_commands() -> list[list[str]]:
    """Each `interp ...` of a block, as the words that a shell would give to it."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in TODAY)
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    blocks = "\n".join(block for language, block in fences if not language)
    lines = re.findall(r"^(?:    )?interp (.+)$", blocks.replace("\\\n", " "), flags=re.MULTILINE)
    # Behind two spaces a line says what the command is for.
    commands = [shlex.split(re.split(r"  (?! *--)", line)[0]) for line in lines]
    return [list(words) for words in dict.fromkeys(map(tuple, commands))]


COMMANDS = shown_commands()
PROMPTED = [
    words
    for words in COMMANDS
    if words[0] == "run" and {"--prompt", "--text"} & set(words) and "$(" not in " ".join(words)
]
QUICK = [words for words in PROMPTED if not {"--edits", "--lens", "--world"} & set(words)]


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
    """What lies where: files and wings of the package, families of instruments, folders beside."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = re.search(r"## What lies where\n\n```\n(.*?)```", text, flags=re.DOTALL)[1]
    families = (ROOT / "interp" / "analyses").iterdir()
    inside = [path for path in [*(ROOT / "interp").iterdir(), *families] if path.name[0] != "_"]
    assert [path.name for path in inside if path.name not in tree] == []
    files = [line.split("  ")[0].strip() for line in tree.splitlines() if line[0] != " "]
    assert [name for name in files if not (ROOT / name).is_dir()] == []
    assert tree.count("\n") <= 40


def written_here(page: Path) -> set[str]:
    """Files that the page itself shows how to write, as `# interp/x.py` above their text."""
    text = page.read_text(encoding="utf-8")
    return set(re.findall(r"^```python\n# (\S+\.py)$", text, flags=re.MULTILINE))


@pytest.mark.parametrize("page", TODAY, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page):
    text = page.read_text(encoding="utf-8")
    paths = set(re.findall(r"\b(?:interp|dashboards|tests|examples|benchmarks)/[\w/]+\.py", text))
    known = {path for path in paths if (ROOT / path).exists()} | written_here(page)
    assert [path for path in paths - known if Path(path).stem not in PLACEHOLDERS] == []


@pytest.mark.parametrize("page", TODAY, ids=lambda page: page.name)
def test_every_module_and_name_that_is_written_with_dots_exists(page):
    modules = {path.removesuffix(".py").replace("/", ".") for path in written_here(page)}
    modules |= {f"interp.{name.rpartition('.')[2]}" for name in modules} | {"interp.x"}
    text = page.read_text(encoding="utf-8")
    names = set(re.findall(r"\b(?:interp|dashboards)(?:\.[A-Za-z]\w*)+", text))
    assert [name for name in names - modules if not is_known(name)] == []


def is_known(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, *rest = name.split(".")
    owner = import_module(module)
    for part in rest:
        with suppress(ModuleNotFoundError):
            import_module(f"{module}.{part}")
        module = f"{module}.{part}"
        if not hasattr(owner, part):
            return False
        owner = getattr(owner, part)
    return True


def test_the_page_of_instruments_is_what_the_docstrings_say():
    """`make docs` writes it."""
    text = (ROOT / "docs" / "instruments.md").read_text(encoding="utf-8")
    assert run_path(str(ROOT / "docs" / "instruments.py"))["page"]() == text
    assert set(instruments()) <= headings("instruments.md")


@pytest.fixture(scope="module")
def shipped():
    return load_model("stories-demo")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command[:3]))
def test_every_command_that_is_shown_can_be_typed(command):
    group, *arguments = command
    context = click.Context(cli)
    part = cli.get_command(context, group)
    while isinstance(part, click.Group):
        part = part.get_command(click.Context(part), arguments.pop(0))
    options, _, _ = part.make_parser(click.Context(part)).parse_args(arguments)
    assert set(options) <= {parameter.name for parameter in part.params}


@pytest.mark.parametrize("command", PROMPTED, ids=lambda command: command[1])
def test_every_prompt_that_is_shown_can_be_read_by_the_shipped_model(command, shipped):
    for option in {"--prompt", "--text"} & set(command):
        assert shipped.to_tokens(command[command.index(option) + 1])[0].shape[1] > 1


@pytest.mark.parametrize("name", list(instruments()))
def test_every_prompt_of_an_example_can_be_read_by_the_shipped_model(name, shipped):
    function = get_instrument(name).function
    examples = example_arguments(function)
    for parameter in signature_parameters(function)[1:]:
        if parameter.kind and parameter.kind.name == "prompt" and parameter.name in examples:
            assert shipped.to_tokens(examples[parameter.name])[0].shape[1] > 1


@pytest.mark.slow
@pytest.mark.parametrize("command", QUICK, ids=lambda command: command[1])
def test_a_command_of_one_prompt_runs_as_it_is_shown(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 0, done.output


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


def test_the_python_on_the_page_of_models_runs_on_the_shipped_one():
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    scope = {"model": load_model("stories-demo")}
    for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
        exec(block, scope)
    assert scope["run"].logits.shape[-1] == scope["model"].cfg.d_vocab


@pytest.fixture(scope="module")
def with_a_new_instrument(tmp_path_factory):
    """A copy of the repository with the three files of the tutorial, and nothing else changed."""
    copy = tmp_path_factory.mktemp("copy")
    for folder in ("interp", "dashboards", "docs", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "trained_models").symlink_to(ROOT / "trained_models")
    (copy / "pyproject.toml").symlink_to(ROOT / "pyproject.toml")
    text = (ROOT / "docs" / "adding_an_instrument.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n# (\S+)\n(.*?)```", text, flags=re.DOTALL)
    assert len(blocks) == 3
    for name, code in blocks:
        assert not (copy / name).exists()
        (copy / name).write_text(code, encoding="utf-8")
    return copy


def run_in(copy: Path, *arguments: str) -> str:
    """What Python says with these arguments in the copy; it must not fail."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env={**ENVIRONMENT, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_new_instrument_passes_its_tests_and_the_contract(with_a_new_instrument):
    files = ("tests/analyses/lenses/test_stream_norm.py", "tests/test_contract.py")
    run = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "stream_norm")
    words = run_in(with_a_new_instrument, *run, *files, "tests/test_layers.py")
    assert re.search(r"\d\d+ passed", words)


@pytest.mark.slow
def test_the_new_instrument_is_in_the_package_and_a_command(with_a_new_instrument):
    run_in(with_a_new_instrument, "-c", "import interp; assert interp.stream_norm.__doc__")
    asked = ("-m", "interp", "run", "stream_norm", "--prompt", "It is a sunny morning.")
    words = run_in(
        with_a_new_instrument, *asked, "--html", "a.html", "--csv", "a.csv", "--out", "kept"
    )
    assert words.startswith("The stream grows ") and "untrained" in words
    assert "plotly" in (with_a_new_instrument / "a.html").read_text(encoding="utf-8")
    table = (with_a_new_instrument / "a.csv").read_text(encoding="utf-8").splitlines()
    assert table[0] == "layer,pos,token,norm" and len(table) == 1 + 4 * 7
    run_in(with_a_new_instrument, "-m", "interp", "report", "kept", "--out", "report.html")
    report = (with_a_new_instrument / "report.html").read_text(encoding="utf-8")
    assert "The stream grows" in report and "plotly" in report


@pytest.mark.slow
def test_the_new_instrument_has_its_section_in_the_documentation(with_a_new_instrument):
    run_in(with_a_new_instrument, "docs/instruments.py")
    text = (with_a_new_instrument / "docs" / "instruments.md").read_text(encoding="utf-8")
    section = text.partition("### stream_norm\n")[2].partition("\n### ")[0]
    for words in ("**Control**: the same norms", "- `untrained` = `3`", "Heimersheim"):
        assert words in section


@pytest.mark.slow
def test_the_new_instrument_has_a_page_in_the_dashboard(with_a_new_instrument):
    program = """
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash
from dashboards import launch

test = AppTest.from_file(str(launch.APP), default_timeout=300)
test._page_hash = calc_hash("stream_norm")
test.run()
assert not test.exception, test.exception
assert [title.value for title in test.title] == ["Stream norm"], test.title
test.button(key="run").click().run()
assert not test.exception and not test.error, (test.exception, test.error)
print(*(each.value for each in (*test.markdown, *test.caption)))
"""
    assert "The stream grows" in run_in(with_a_new_instrument, "-c", program)
