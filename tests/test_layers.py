"""Who may import whom, what an import may cost, and how long a file may grow."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    path for folder in ("interp", "dashboards") for path in (ROOT / folder).rglob("*.py")
)
SOURCES = [
    path
    for folder in ("interp", "dashboards", "tests", "benchmarks", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
MAY_IMPORT = {
    "core": set(),
    "worlds": {"core"},
    "results": {"core", "worlds"},
    "runs": {"core", "worlds"},
    "models": {"core"},
    "methods": {"core", "worlds", "runs"},
    "training": {"core", "worlds", "runs", "models", "methods"},
    "analyses": {"core", "worlds", "runs", "results", "methods"},
    "plots": {"core", "runs", "results", "methods", "analyses"},
    "report": {"core", "results", "plots"},
}
"""Wings of `interp` from the ground up. What stands on all of them (the command line, the demo, the
steering recipe, the dashboard) has no line here."""
BETWEEN_FAMILIES = {("interventions", "probing")}
"""Families of instruments that know another: what steers takes the concept that was found."""
MOST_FILES = 18
LONGEST_FILE = 500
HEAVY = {
    "transformers",
    "transformer_lens",
    "pandas",
    "plotly",
    "sklearn",
    "scipy",
    "streamlit",
    "jinja2",
    "tokenizers",
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def wing(module: str) -> str:
    """`interp.models.gpt` is of `models`; what stands above all wings is of its own name."""
    parts = module.split(".")
    return parts[1] if parts[0] == "interp" and len(parts) > 1 else parts[0]


def family(module: str) -> str | None:
    """`interp.analyses.lenses.logit_lens` is of `lenses`."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["interp", "analyses"] and len(parts) > 2 else None


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Modules that the file imports anywhere in it, also inside functions and for types."""
    return imports_of(path.read_text(encoding="utf-8"))


def imports_of(code: str) -> tuple[str, ...]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return tuple(sorted(names))


MODULES = {module_name(path): path for path in FILES}


def known_modules(path: Path) -> set[str]:
    """The modules of this repository that a file imports."""
    names = set(imports(path))
    modules = {name if name in MODULES else name.rpartition(".")[0] for name in names}
    return (modules & set(MODULES)) - {module_name(path)}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Modules that import one another in a ring; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def forbidden(module: str, imported: set[str]) -> list[str]:
    """The imports of a module that go up, or across from one family of instruments to another."""
    own = wing(module)
    if own not in MAY_IMPORT:
        return []
    allowed = MAY_IMPORT[own] | {own}
    wrong = {name for name in imported if name != "interp" and wing(name) not in allowed}
    across = {name for name in imported if family(name) not in (None, family(module))}
    legal = {name for name in across if (family(module), family(name)) in BETWEEN_FAMILIES}
    return sorted(wrong | (across - legal if own == "analyses" else set()))


def private(module: str, imported: set[str]) -> list[str]:
    """Imports of a `_module` from outside its folder."""
    return sorted(
        name
        for name in imported
        if name.rpartition(".")[2].startswith("_")
        and not f"{module}.".startswith(f"{name.rpartition('.')[0]}.")
    )


def test_no_module_imports_itself_through_others():
    assert circle({module_name(path): known_modules(path) for path in FILES}) == []


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_down_only(path):
    assert forbidden(module_name(path), known_modules(path)) == []


@pytest.mark.parametrize("path", [p for p in SOURCES if "tests" not in p.parts], ids=module_name)
def test_a_private_module_serves_its_own_folder_only(path):
    assert private(module_name(path), known_modules(path)) == []


def test_the_rules_see_a_breach():
    late = "def f():\n    from interp.models.gpt import GPT\n"
    typed = "if TYPE_CHECKING:\n    from interp.core.edits import Edit\n"
    assert imports_of(late) == ("interp.models.gpt.GPT",)
    assert imports_of(typed) == ("interp.core.edits.Edit",)
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) and not circle({"a": {"b"}, "b": set()})
    assert forbidden("interp.analyses.lenses.logit_lens", {"interp.models.gpt"})
    assert forbidden("interp.analyses.lenses.x", {"interp.analyses.probing.probe"})
    assert not forbidden("interp.analyses.interventions.x", {"interp.analyses.probing.concept"})
    assert private("interp.plots.lenses.x", {"interp.analyses.lenses._y"})
    assert not private("interp.analyses.lenses.x", {"interp.analyses.lenses._y"})


def test_a_folder_can_be_looked_over():
    counts: dict[str, int] = {}
    for path in FILES:
        if path.name != "__init__.py":
            folder = path.parent.relative_to(ROOT).as_posix()
            counts[folder] = counts.get(folder, 0) + 1
    assert {folder: n for folder, n in counts.items() if n > MOST_FILES} == {}


@pytest.mark.parametrize(
    "library, places",
    [
        ("streamlit", ("dashboards/", "tests/dashboards/")),
        ("transformer_lens", ("interp/models/transformer_lens", "tests/reference/", "benchmarks/")),
    ],
)
def test_a_library_stays_in_its_place(library, places):
    users = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if any(name.split(".")[0] == library for name in imports(path))
    ]
    assert [user for user in users if not user.startswith(places)] == []


def test_the_library_never_imports_the_dashboard():
    users = {
        module
        for module, path in MODULES.items()
        if wing(module) != "dashboards" and any(n.startswith("dashboards") for n in imports(path))
    }
    assert users == set()


def test_nothing_is_unpickled():
    for path in FILES:
        names = set(imports(path))
        assert not any(name.split(".")[0] in ("pickle", "joblib", "dill") for name in names), path
        calls = [
            node.func
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
        ]
        loads = [f"{ast.unparse(call)}" for call in calls]
        assert "torch.load" not in loads and "np.load" not in loads, path


def test_files_are_short_and_named_after_a_noun():
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := lines(p)) > LONGEST_FILE}
    assert long == {}
    assert [p for p in SOURCES if p.stem in ("utils", "helpers", "misc", "common")] == []


def lines(path: Path) -> int:
    return path.read_text(encoding="utf-8").count("\n")


def test_importing_interp_is_cheap():
    code = "import sys, interp; dir(interp); print(*sorted({n.split('.')[0] for n in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & (HEAVY | {"torch", "numpy"}) == set()


@pytest.mark.slow
def test_results_and_edits_load_nothing_heavier_than_torch():
    code = (
        "import sys, interp.results, interp.edits, interp.core.hooks, interp.results.replay\n"
        "print(*sorted({n.split('.')[0] for n in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & HEAVY == set()


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if path.parts[len(ROOT.parts)] in ("benchmarks", "examples")],
    ids=lambda path: path.stem,
)
def test_a_script_that_no_test_runs_imports_what_there_is(path):
    for node in ast.walk(ast.parse(path.read_text())):
        ours = isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0]
        if ours in ("interp", "dashboards"):
            module = importlib.import_module(node.module)
            for name in (each.name for each in node.names):
                if not hasattr(module, name):
                    importlib.import_module(f"{node.module}.{name}")
