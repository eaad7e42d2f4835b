"""Who may import whom, what an import may cost, and how long a file may grow."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "interp"
FILES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [
    path
    for folder in ("interp", "tests", "benchmarks", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
FIRST = "the first group"
MAY_IMPORT = {
    FIRST: {FIRST},
    "worlds": {"worlds", "errors"},
    "models": {FIRST, "models"},
    "training": {FIRST, "worlds", "models", "training"},
    "analyses": {FIRST, "worlds", "analyses"},
    "plots": {FIRST, "analyses", "plots"},
    "report": {FIRST, "analyses", "plots", "report"},
}
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


def layer(module: str) -> str:
    """`interp.models.gpt` is of `models`; a file right under `interp` is of the first group."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] == "__main__":
        return "everything"
    return parts[1] if (PACKAGE / parts[1]).is_dir() else FIRST


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Modules that the file imports anywhere in it, also inside functions and for types."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return tuple(sorted(found))


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def forbidden(path: Path) -> list[str]:
    """The imports of this file that go against the direction."""
    own = layer(module_name(path))
    if own not in MAY_IMPORT:
        return []
    wrong = []
    for name in imports(path):
        if not name.startswith("interp.") or name == "interp.__version__":
            continue
        allowed = MAY_IMPORT[own]
        if layer(name) not in allowed and name.split(".")[1] not in allowed:
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_go_down_only(path):
    exceptions = {
        # The protocol of a world is what tells a world from other arguments of a call.
        "interp.reproduce": {"interp.worlds.world.World"},
    }
    assert set(forbidden(path)) - exceptions.get(module_name(path), set()) == set()


def test_the_rule_sees_a_breach(tmp_path):
    inside = ast.parse("def f():\n    from interp.models.gpt import GPT\n")
    assert any(isinstance(node, ast.ImportFrom) for node in ast.walk(inside))
    assert layer("interp.models.gpt") not in MAY_IMPORT["analyses"]


@pytest.mark.parametrize(
    "library, places",
    [
        ("streamlit", ("interp/dashboards/", "tests/dashboards/")),
        ("transformer_lens", ("interp/models/lens", "tests/reference/", "benchmarks/")),
    ],
)
def test_a_library_stays_in_its_place(library, places):
    users = [
        path.relative_to(ROOT).as_posix()
        for path in SOURCES
        if any(name.split(".")[0] == library for name in imports(path))
    ]
    assert [user for user in users if not user.startswith(places)] == []


def test_nobody_imports_the_dashboard_but_the_command_that_starts_it():
    users = {
        module_name(path)
        for path in FILES
        if layer(module_name(path)) != "dashboards"
        and any(name.startswith("interp.dashboards") for name in imports(path))
    }
    assert users == {"interp.cli.commands.dashboard"}


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
def test_the_first_group_loads_nothing_heavier_than_torch():
    code = (
        "import sys, interp.results, interp.edits, interp.hooks, interp.reproduce\n"
        "print(*sorted({n.split('.')[0] for n in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) & HEAVY == set()
