"""A recipe survives JSON and refuses what cannot be."""

import dataclasses
import math
from pathlib import Path

import pytest

from interp.core.errors import ConfigError
from interp.models.config import GPTConfig
from interp.training.data.curriculum import Stage
from interp.training.recipe.choices import TrainingPlan
from interp.training.recipe.config import MAY_CHANGE, TrainConfig, differences
from interp.training.recipe.text_source import text_source, world_source
from interp.training.sweep import Grid
from tests.training.tiny_run import tiny_config

STAGES = (Stage(steps=3, mix={"a": 1.0}), Stage(mix={"a": 0.5, "b": 2.0}))


@pytest.mark.parametrize(
    "changes", [{}, {"stages": STAGES}, {"compile": True, "grad_clip": None}, {"betas": (0.8, 0.9)}]
)
def test_it_comes_back_from_json(changes):
    config = tiny_config(**changes)
    assert TrainConfig.from_json(config.to_json()) == config


def test_an_unknown_setting_is_refused_with_the_nearest():
    values = tiny_config().to_dict() | {"batchsize": 4}
    with pytest.raises(ConfigError, match=r"'batchsize'.*Did you mean 'batch_size'"):
        TrainConfig.from_dict(values)
    stage = {"stages": [{"step": 3}]}
    with pytest.raises(ConfigError, match=r"stage setting is called 'step'.*'steps'"):
        TrainConfig.from_dict(tiny_config().to_dict() | stage)


def test_a_recipe_without_a_model_is_refused():
    with pytest.raises(ConfigError, match="needs model"):
        TrainConfig.from_dict({"steps": 3})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"steps": 0}, "steps must be a whole number from 1 to"),
        ({"batch_size": 9, "accumulate": 2}, "multiple of accumulate"),
        ({"context": 17}, "n_ctx=16"),
        ({"optimizer": "sgd"}, "optimizer must be 'muon' or 'adamw'"),
        ({"muon_lr": 0.0}, "muon_lr must be a number above 0"),
        ({"muon_lr": float("nan")}, "muon_lr must be a number above 0"),
        ({"compile": "yes"}, "compile must be true or false, or 'auto'"),
        ({"eval_every": -1}, "eval_every must be a whole number from 0"),
        ({"stages": (Stage(), Stage())}, "has no end"),
    ],
)
def test_impossible_values_are_refused(changes, text):
    with pytest.raises(ConfigError, match=text):
        tiny_config(**changes)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("steps", 10.5, r"steps must be a whole number from 1 to 1e\+09; got 10\.5"),
        ("batch_size", "16", "batch_size must be a whole number .*; got '16'"),
        ("muon_lr", "fast", "muon_lr must be a number above 0 .*; got 'fast'"),
        ("stages", [1], r"stages must be a list, each a Stage; got \(1,\)"),
        ("stages", [{"mix": ["full"]}], "mix must be an object of names"),
        ("betas", 0.9, "betas must be a list of 2, each a number from 0 to below 1; got 0.9"),
        ("betas", [0.9], "betas must be a list of 2"),
        ("betas", ["a", "b"], "betas must be a list of 2"),
        ("seed", "x", "seed must be a whole number .*; got 'x'"),
        ("seed", 1.5, "seed must be a whole number .*; got 1.5"),
        ("weight_decay", "x", "weight_decay must be a number .*; got 'x'"),
        ("momentum", None, "momentum must be a number from 0 to below 1; got None"),
        ("final_fraction", "0.1", "final_fraction must be a number from 0 to 1; got '0.1'"),
        ("stable_fraction", float("nan"), "stable_fraction must be a number .*; got nan"),
        ("grad_clip", "x", "grad_clip must be a number .*, or none; got 'x'"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(name, value, text):
    with pytest.raises(ConfigError, match=text):
        TrainConfig.from_dict(tiny_config().to_dict() | {name: value})


VALUES = [
    None, True, False, 0, 1, -1, 1.5, 1e20, -1e20, math.nan, math.inf, 10**400, "abc", "1", "",
    b"1", [], [1], [[]], [None], (0.5,), {}, {"a": 1}, {1: 2}, ...,
]  # fmt: skip
COUNTS = ("steps", "batch_size", "context", "accumulate", "eval_tokens", "keep_full", "log_every")
COUNTS_OR_ZERO = ("warmup_steps", "momentum_warmup_steps", "eval_every", "checkpoint_every")
RATES = ("muon_lr", "embed_lr", "head_lr", "scalar_lr", "adamw_lr")
SENSIBLE = {
    **{name: [1] for name in COUNTS},
    **{name: [0, 1] for name in COUNTS_OR_ZERO},
    **{name: [1, 1.5] for name in RATES},
    "weight_decay": [0, 1, 1.5],
    "momentum": [0],
    "momentum_start": [0],
    "final_fraction": [0, 1],
    "stable_fraction": [0, 1],
    "grad_clip": [None, 1, 1.5],
    "seed": [0, 1, -1],
    "compile": [True, False],
    "stages": [[]],
}
"""Which of the values above each field may have, written down by hand."""
NAMES = [field.name for field in dataclasses.fields(TrainConfig)]
WORLD = world_source("stories", "demo", None, None, None, 0)
TEXT = text_source(Path("text"), None, None)


def sensible(name, value):
    return any(type(value) is type(good) and value == good for good in SENSIBLE.get(name, []))


def made(make, *arguments, **settings):
    """Whether it can be made; anything but an error of ours is a bug."""
    try:
        make(*arguments, **settings)
    except ConfigError as error:
        assert len(str(error)) < 1_000
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_a_field_takes_what_makes_sense_and_nothing_else(name):
    plain = {"steps": 8, "accumulate": 1, "eval_tokens": 64, "batch_size": 4}
    for value in VALUES:
        right = sensible(name, value)
        assert made(tiny_config, **plain | {name: value}) == right, (name, value)
        recipe = tiny_config(**plain).to_dict() | {name: value}
        assert made(TrainConfig.from_dict, recipe) == right, (name, value)
        for source in (WORLD, TEXT):
            assert made(source.check, {name: value}) == right, (name, value)
            assert made(source.config, 100, "demo", {name: value}) == right, (name, value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_no_value_of_a_model_a_stage_a_plan_or_a_grid_is_a_crash(value):
    for field in dataclasses.fields(GPTConfig):
        made(WORLD.config, 100, "demo", {f"model.{field.name}": value})
    for field in dataclasses.fields(Stage):
        good = sensible("steps" if field.name == "steps" else "", value)
        good |= value is None if field.name == "steps" else value in ({}, {"a": 1})
        assert made(Stage, **{field.name: value}) == good
    for field in dataclasses.fields(TrainingPlan):
        made(lambda plan: TrainingPlan(**plan).config(), {"world": "stories", field.name: value})
    for name in ("sizes", "steps", "seeds"):
        good = sensible("steps", value) if name == "seeds" else name == "steps" and value == [1]
        assert made(Grid, **{"sizes": (4,), "steps": (1,), name: value}) == good
    made(TrainConfig.from_dict, value)
    made(TrainConfig.from_json, repr(value))


@pytest.mark.parametrize(
    ("name", "value"),
    [("model.norm_eps", 1e20), ("model.embed_std", -1), ("lr", 3), ("model.xx", 1), ("model", {})],
)
def test_senseless_settings_of_the_model_are_refused(name, value):
    with pytest.raises(ConfigError, match=name.removeprefix("model.")):
        WORLD.config(100, "demo", {name: value})


def test_differences_name_every_field_the_models_too():
    old = tiny_config()
    new = dataclasses.replace(old, seed=5, model=dataclasses.replace(old.model, dropout=0.5))
    assert differences(old, new) == {"seed": (0, 5), "model.dropout": (0.1, 0.5)}
    assert differences(old, old) == {}


def test_what_may_change_is_a_field():
    assert {field.name for field in dataclasses.fields(TrainConfig)} >= MAY_CHANGE
