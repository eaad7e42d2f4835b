"""Presets: all make a model that runs; those that promise a size keep it."""

import pytest
import torch

from interp.core.errors import ConfigError
from interp.models.gpt import GPT
from interp.models.io.device import pick_device
from interp.models.io.presets import PRESETS, get_preset


def parameters(model: GPT) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"gpt2-small"}))
def test_a_preset_makes_a_model_that_runs(name: str) -> None:
    model = GPT(get_preset(name), seed=3)
    assert model.run([1, 2, 3]).logits.isfinite().all()
    assert get_preset(name, n_ctx=17).n_ctx == 17


def test_gpt2_small_has_the_parameters_of_gpt2() -> None:
    one_layer = parameters(GPT(get_preset("gpt2-small", n_layers=1)))
    a_layer = 12 * 768 * 768 + 13 * 768
    assert one_layer + 11 * a_layer == 124_439_808


def test_sizes_that_the_benchmarks_rely_on() -> None:
    ours = parameters(GPT(get_preset("shakespeare")))
    theirs = parameters(GPT(get_preset("nanogpt-shakespeare")))
    assert ours <= 1.15 * theirs and 0.75e6 < theirs < 0.85e6
    assert 0.25e6 < parameters(GPT(get_preset("demo"))) < 0.5e6


def test_unknown_presets_and_fields_are_refused() -> None:
    with pytest.raises(ConfigError, match="'llama-tiny'"):
        get_preset("lama-tiny")
    with pytest.raises(ConfigError, match="colour"):
        get_preset("demo", colour=3)


def test_devices() -> None:
    assert pick_device("auto").type in ("cuda", "mps", "cpu")
    with pytest.raises(ConfigError, match="auto, cuda"):
        pick_device("toaster")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no cuda device"):
            pick_device("cuda")
