"""A recipe survives JSON and refuses what cannot be."""

import dataclasses

import pytest

from interp.core.errors import ConfigError
from interp.training.data.curriculum import Stage
from interp.training.recipe.config import MAY_CHANGE, TrainConfig, differences
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
        ({"steps": 0}, "steps must be at least 1"),
        ({"batch_size": 9, "accumulate": 2}, "multiple of accumulate"),
        ({"context": 17}, "n_ctx=16"),
        ({"optimizer": "sgd"}, "optimizer is one of muon, adamw"),
        ({"muon_lr": 0.0}, "muon_lr must be greater than 0"),
        ({"muon_lr": float("nan")}, "muon_lr must be greater than 0"),
        ({"compile": "yes"}, "compile is"),
        ({"eval_every": -1}, "eval_every must be at least 0"),
        ({"stages": (Stage(), Stage())}, "has no end"),
    ],
)
def test_impossible_values_are_refused(changes, text):
    with pytest.raises(ConfigError, match=text):
        tiny_config(**changes)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("steps", 10.5, "steps must be at least 1, and whole; got 10.5"),
        ("batch_size", "16", "batch_size must be at least 1, and whole; got '16'"),
        ("muon_lr", "fast", "muon_lr must be greater than 0; got 'fast'"),
        ("stages", [1], "wrong kind"),
        ("stages", [{"mix": ["full"]}], "wrong kind"),
        ("betas", 0.9, "wrong kind"),
        ("betas", [0.9], "betas are two numbers"),
        ("betas", ["a", "b"], "betas are two numbers"),
        ("seed", "x", "seed must be whole; got 'x'"),
        ("seed", 1.5, "seed must be whole; got 1.5"),
        ("weight_decay", "x", "weight_decay must be a number; got 'x'"),
        ("momentum", None, "momentum must be a number; got None"),
        ("final_fraction", "0.1", "final_fraction must be a number; got '0.1'"),
        ("stable_fraction", float("nan"), "stable_fraction must be a number; got nan"),
        ("grad_clip", "x", "grad_clip must be a number; got 'x'"),
    ],
)
def test_values_of_the_wrong_kind_are_refused(name, value, text):
    with pytest.raises(ConfigError, match=text):
        TrainConfig.from_dict(tiny_config().to_dict() | {name: value})


def test_differences_name_every_field_the_models_too():
    old = tiny_config()
    new = dataclasses.replace(old, seed=5, model=dataclasses.replace(old.model, dropout=0.5))
    assert differences(old, new) == {"seed": (0, 5), "model.dropout": (0.1, 0.5)}
    assert differences(old, old) == {}


def test_what_may_change_is_a_field():
    assert {field.name for field in dataclasses.fields(TrainConfig)} >= MAY_CHANGE
