"""The settings of a model: what cannot be is refused by name, whatever its kind."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.errors import ConfigError
from interp.models.config import GPTConfig
from tests.families import FAMILIES, tiny


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (dict(n_key_value_heads=3), "multiple"),
        (dict(d_model=0), "above 0"),
        (dict(n_layers=1.5), "whole number"),
        (dict(positions="rotary", d_head=5), "even"),
        (dict(norm="batch"), "one of layer, rms"),
        (dict(act="tanh"), "one of gelu"),
        (dict(dropout=1.0), "dropout"),
        (dict(positions="rotary", rope_scaling={"rope_type": "yarn"}), "linear, llama3"),
        (dict(positions="rotary", rope_scaling={"rope_type": "linear"}), "needs factor"),
        (dict(rope_scaling=0.5), "dictionary"),
        (dict(rope_scaling={"rope_type": "linear", "factor": math.nan}), "above 0 and finite"),
        (dict(rope_scaling={"rope_type": "linear", "factor": 2, "mscale": 1}), "mscale"),
        (dict(d_mlp=-4), "d_mlp must be a whole number from 0; it is -4"),
        (dict(n_key_value_heads=-1), "n_key_value_heads must be a whole number"),
        (dict(n_layers=True), "n_layers must be a whole number"),
        (dict(rope_theta="text"), "rope_theta must be a number"),
        (dict(norm_eps=-1), "norm_eps must be a number"),
        (dict(norm_eps=math.nan), "norm_eps must be a number"),
        (dict(embed_std=[]), "embed_std must be a number"),
        (dict(init_std=-1.0), "init_std must be a number"),
        (dict(tied="yes"), "tied must be true or false"),
        (dict(bias=None), "bias must be true or false"),
        (dict(norm=["layer"]), "norm must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        tiny("gpt2", **changes)


def test_settings_survive_json_and_junk_does_not() -> None:
    for cfg in FAMILIES.values():
        assert GPTConfig.from_json(cfg.to_json()) == cfg
    for junk in ("{", "[]", '{"n_layers": 1}', '{"n_layers": 1, "colour": 2}'):
        with pytest.raises(ConfigError):
            GPTConfig.from_json(junk)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 70),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(
        st.sampled_from(["rope_type", "factor"]), st.none() | st.integers(), max_size=2
    ),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(FAMILIES)), st.sampled_from(sorted(vars(FAMILIES["llama"]))), VALUES)
def test_any_value_of_any_setting_is_taken_or_refused_in_words(family, field, value) -> None:
    text = json.dumps(vars(FAMILIES[family]) | {field: value})
    try:
        cfg = GPTConfig.from_json(text)
    except ConfigError as error:
        assert len(str(error)) > 20
        return
    assert cfg == GPTConfig.from_json(cfg.to_json())
