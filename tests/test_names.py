"""One word, one meaning: no public class has its name twice, and what is assigned is a noun."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted(
    path for folder in ("interp", "dashboards") for path in (ROOT / folder).rglob("*.py")
)
PROTOCOL_AND_CLASS = {"Tokenizer"}
"""Our own tokenizer is called what the protocol says that any tokenizer can do."""
GIVING_NAMES = (ast.arg, ast.Name, ast.Attribute, ast.FunctionDef, ast.ExceptHandler)
NO_NOUNS = {"told", "found", "held", "shown", "drawn"}


def nodes(kind: type | tuple[type, ...]) -> Iterator[tuple[Path, ast.AST]]:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, kind):
                yield path, node


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{node.lineno}"


def assigned(node: ast.AST) -> str | None:
    """The name that a node gives to something: a variable, argument, attribute or function."""
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.FunctionDef | ast.ExceptHandler):
        return node.name
    if isinstance(node.ctx, ast.Store):
        return node.id if isinstance(node, ast.Name) else node.attr
    return None


def test_no_public_class_has_the_name_of_another():
    places = defaultdict(list)
    for path, node in nodes(ast.ClassDef):
        if not node.name.startswith("_") and node.name not in PROTOCOL_AND_CLASS:
            places[node.name].append(place(path, node))
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_assigned_names_are_nouns():
    participles = defaultdict(list)
    for path, node in nodes(GIVING_NAMES):
        if assigned(node) in NO_NOUNS:
            participles[str(path.relative_to(ROOT))].append(f"{assigned(node)}:{node.lineno}")
    assert participles == {}, f"{sum(map(len, participles.values()))} names are no nouns"
