"""The untrained twin: the same architecture and tokenizer, other weights, the same for a seed."""

import pytest
import torch

from interp.core.errors import ConfigError
from interp.methods.untrained import untrained_twins
from tests.analyses.handmade import word_tokenizer
from tests.conftest import FAMILIES, tiny


@pytest.mark.parametrize("family", FAMILIES)
def test_a_twin_has_the_sizes_and_none_of_the_weights(family):
    model = tiny(family, seed=3)
    first, again, other = *untrained_twins(model, 1, 7), *untrained_twins(model, 2, 7)
    assert first.hash == again.hash != other.hash and first.hash != model.hash
    assert first.hook_names == model.hook_names and first.cfg.d_model == model.cfg.d_model
    assert first.tokenizer is model.tokenizer and "untrained" in first.name
    assert not first.training


def test_a_model_that_cannot_start_anew_has_none():
    class Frozen:
        def untrained(self, seed=0):
            raise ConfigError("It is not known how this model starts.")

    assert list(untrained_twins(Frozen(), 2)) == [] == list(untrained_twins(object(), 2))


@pytest.mark.reference
def test_a_model_of_transformers_has_one_too():
    from transformers import GPT2Config, GPT2LMHeadModel

    from interp.models.transformer_lens_bridge import load_bridge

    torch.manual_seed(5)
    tokenizer = word_tokenizer()
    config = GPT2Config(
        n_layer=2, n_embd=16, n_head=2, vocab_size=tokenizer.d_vocab, n_positions=24,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = load_bridge("tiny", hf_model=GPT2LMHeadModel(config))
    model.tokenizer = tokenizer
    state = torch.get_rng_state()
    first, again, other = *untrained_twins(model, 1), *untrained_twins(model, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert first.hash == again.hash != other.hash and first.hash != model.hash
    assert first.hook_names == model.hook_names and first.tokenizer is tokenizer
