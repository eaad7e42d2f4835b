"""Names of hook points: short and full, layer by layer, and what a wrong one says."""

import pytest
import torch

from interp.core.errors import HookNameError
from interp.core.hooks import (
    EXPENSIVE,
    SHORT,
    everything,
    find_cached,
    layer_of,
    layers_of,
    resolve,
    short_name,
)

NAMES = [full.format(layer) for layer in range(12) for full in SHORT.values() if "{}" in full]
NAMES = ["hook_embed", *NAMES, "ln_final.hook_scale"]


def test_a_short_name_is_every_layer_in_order() -> None:
    assert resolve("z", NAMES) == [f"blocks.{layer}.attn.hook_z" for layer in range(12)]
    assert layers_of(reversed(NAMES), "z") == resolve("z", NAMES)


@pytest.mark.parametrize("layer", [0, 11, -1, -12])
def test_a_layer_may_be_counted_from_the_end(layer: int) -> None:
    assert resolve(("resid_post", layer), NAMES) == [f"blocks.{layer % 12}.hook_resid_post"]


def test_every_full_name_has_its_short_name_and_layer() -> None:
    for name in NAMES:
        layer = layer_of(name)
        short = short_name(name)
        assert resolve(name, NAMES) == [name]
        assert resolve(short if layer is None else (short, layer), NAMES) == [name]


def test_everything_leaves_the_expensive_points_out() -> None:
    left_out = {short_name(name) for name in set(NAMES) - set(everything(NAMES))}
    assert left_out == EXPENSIVE


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resid_pos", "'resid_post'"),
        ("blocks.0.hook_resid_pots", "blocks.0.hook_resid_post"),
        (("patern", 1), "'pattern'"),
        (("z", 12), "layers 0-11"),
        (("z", -13), "layers 0-11"),
        ("hook_rot_q", "hook"),
    ],
)
def test_a_wrong_name_names_its_neighbours(name: object, says: str) -> None:
    with pytest.raises(HookNameError, match="No hook point") as caught:
        resolve(name, NAMES)
    assert says in str(caught.value)


def test_a_cache_is_read_by_short_and_full_names() -> None:
    cache = {name: torch.tensor(float(i)) for i, name in enumerate(resolve("z", NAMES)[:3])}
    cache["hook_embed"] = torch.tensor(9.0)
    assert find_cached(cache, ("z", 1)) == find_cached(cache, "blocks.1.attn.hook_z") == 1
    assert find_cached(cache, ("z", -1)) == 2
    assert find_cached(cache, ("embed",)) == find_cached(cache, "hook_embed") == 9
    with pytest.raises(HookNameError, match="3 layers"):
        find_cached(cache, "z")
    with pytest.raises(HookNameError, match=r"was not cached; cached: blocks\.0"):
        find_cached(cache, ("pattern", 0))
