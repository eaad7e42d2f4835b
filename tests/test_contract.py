"""What every instrument owes: three files of one name, one shape of function, one docstring."""

import ast
import inspect
import re
from dataclasses import is_dataclass
from pathlib import Path

import pytest

from interp.core.errors import ConfigError
from interp.results.registry import class_name, get_instrument, instruments
from interp.results.result import Result
from interp.results.table import field_axes

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = ("Args:", "Returns:", "Raises:", "Example:", "Source:")
COMPANIONS = (
    "interp/analyses/{}/{}.py",
    "interp/plots/{}/{}.py",
    "tests/analyses/{}/test_{}.py",
)
every_instrument = pytest.mark.parametrize("name", list(instruments()))


@every_instrument
def test_it_has_its_files(name):
    names = [pattern.format(get_instrument(name).family, name) for pattern in COMPANIONS]
    assert [path for path in names if not (ROOT / path).exists()] == []


@every_instrument
def test_its_function_takes_a_model_and_annotates_everything(name):
    signature = inspect.signature(get_instrument(name).function)
    parameters = list(signature.parameters.values())
    assert parameters[0].name == "model"
    bare = [p.name for p in parameters if p.annotation is inspect.Parameter.empty]
    assert bare == [] and signature.return_annotation is not inspect.Signature.empty
    assert all(p.kind is not p.VAR_POSITIONAL for p in parameters)


@every_instrument
def test_its_docstring_is_whole(name):
    text = inspect.getdoc(get_instrument(name).function) or ""
    assert text.split("\n")[0].endswith(".")
    assert [section for section in SECTIONS if section not in text] == []
    entries = text.partition("Args:")[2].partition("Returns:")[0]
    names = inspect.signature(get_instrument(name).function).parameters
    assert [n for n in names if not re.search(rf"\b{n}\b[^\n]*:", entries)] == []


@every_instrument
def test_its_result_says_what_was_found(name):
    cls = get_instrument(name).result_class
    assert issubclass(cls, Result) and is_dataclass(cls) and cls.__name__ == class_name(name)
    assert cls.__dataclass_params__.frozen
    assert cls.finding is not Result.finding or cls.__str__ is not Result.__str__
    assert cls.caption is not Result.caption


@every_instrument
def test_the_table_is_of_fields_that_there_are(name):
    cls = get_instrument(name).result_class
    names = [*cls.columns.values(), *cls.axes]
    names += [source for _, source in cls.labels.values() if isinstance(source, str)]
    assert [each for each in names if each not in cls.__dataclass_fields__ | vars(cls)] == []
    if cls.frame is Result.frame:
        axes = field_axes(cls)
        there = {axis for field in cls.columns.values() or axes for axis in axes.get(field, ())}
        asked = {axis for on, _ in cls.labels.values() for axis in on.split()}
        assert there and asked <= there


@every_instrument
def test_its_function_keeps_its_call_before_anything_else(name):
    """`code()` repeats the call only if `dict(locals())` is taken before any other assignment."""
    tree = ast.parse(get_instrument(name).path.read_text(encoding="utf-8"))
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
    body = [line for line in function.body if not isinstance(line, ast.Expr)]
    if "locals()" in ast.unparse(function):
        assert "locals()" in ast.unparse(body[0])


@every_instrument
def test_its_figure_takes_the_result_first(name):
    plot = get_instrument(name).plot
    assert next(iter(inspect.signature(plot).parameters)) == "result"


def test_an_unknown_name_is_answered_with_the_nearest():
    nearest = next(iter(instruments()))
    with pytest.raises(ConfigError, match=nearest):
        get_instrument(nearest[:-1])
