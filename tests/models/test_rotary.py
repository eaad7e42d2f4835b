"""Rotary positions against the code that Llama itself runs."""

import pytest
import torch

from interp.models.rotary import rotary_tables, rotate

LLAMA3 = dict(
    rope_type="llama3",
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=64,
)

FACTORS = [1.0, 1.0, 1.0, 1.5, 2.0, 3.0, 8.0, 8.0]
LONGROPE = dict(
    rope_type="longrope",
    short_factor=FACTORS,
    long_factor=FACTORS,
    attention_factor=1.0,
    original_max_position_embeddings=64,
)
LINEAR = dict(rope_type="linear", factor=3.0)


@pytest.mark.reference
@pytest.mark.parametrize("scaling", [None, LLAMA3, LINEAR, LONGROPE])
def test_angles_are_those_of_transformers(scaling: dict[str, object] | None) -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    parameters = dict(scaling or dict(rope_type="default"), rope_theta=5000.0)
    config = LlamaConfig(
        hidden_size=64,
        num_attention_heads=4,
        max_position_embeddings=512,
        rope_parameters=parameters,
    )
    x = torch.randn(2, 512, 4, 16, generator=torch.Generator().manual_seed(0))
    cos, sin = LlamaRotaryEmbedding(config)(x, torch.arange(512)[None])
    theirs, _ = apply_rotary_pos_emb(x.transpose(1, 2), x.transpose(1, 2), cos, sin)
    cos, sin = (table[:, None] for table in rotary_tables(16, 512, 5000.0, scaling))
    torch.testing.assert_close(rotate(x, cos, sin), theirs.transpose(1, 2), atol=1e-5, rtol=1e-5)


def test_only_the_distance_between_two_positions_matters() -> None:
    cos, sin = (table[:, None] for table in rotary_tables(8, 40, 100.0, None))
    q, k = torch.randn(2, 8, generator=torch.Generator().manual_seed(1))
    turned = [rotate(x.expand(1, 40, 1, 8), cos, sin)[0, :, 0] for x in (q, k)]
    products = turned[0] @ turned[1].T
    for distance in (0, 3, 17):
        along = products.diagonal(-distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), atol=1e-4, rtol=1e-4)
