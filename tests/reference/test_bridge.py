"""Models that TransformerLens boots, behind our protocol: offline, from a config."""

import threading
from dataclasses import replace

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from interp.core.edits import Ablate, Add, Call, Replace, Where
from interp.core.errors import ConfigError, HookNameError, ReadoutError, TokenError
from interp.core.protocols import LanguageModel
from interp.models.io.huggingface import load_huggingface
from interp.models.transformer_lens_bridge import load_bridge

pytestmark = pytest.mark.reference

LLAMA = dict(num_hidden_layers=2, hidden_size=32, num_attention_heads=4, num_key_value_heads=2)
LLAMA |= dict(intermediate_size=24, vocab_size=29, max_position_embeddings=48)
LLAMA |= dict(bos_token_id=None, eos_token_id=None)
GPT2 = dict(n_layer=2, n_embd=32, n_head=4, vocab_size=29, n_positions=48)
GPT2 |= dict(bos_token_id=None, eos_token_id=None)
FAMILIES = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**LLAMA)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**LLAMA, head_dim=12)),
}
ROWS = torch.tensor([[0, 5, 2, 7, 3], [0, 1, 4, 6, 2]])


def theirs(family):
    """A tiny model of transformers with every parameter drawn."""
    random = torch.Generator().manual_seed(0)
    model = FAMILIES[family]()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            start = 1.0 if "norm" in name or "ln_" in name else 0.0
            parameter.copy_(start + 0.25 * torch.randn(parameter.shape, generator=random))
    return model.eval()


@pytest.fixture(params=FAMILIES)
def pair(request, tmp_path):
    """The same weights as a bridge and as our own model."""
    model = theirs(request.param)
    model.save_pretrained(tmp_path)
    return load_bridge(request.param, hf_model=model), load_huggingface(tmp_path)


@pytest.fixture
def bridge():
    return load_bridge("gpt2", hf_model=theirs("gpt2"))


def close(a, b, atol=2e-5):
    torch.testing.assert_close(a, b, atol=atol, rtol=1e-4)


def hooks_left(model):
    return sum(len(p.fwd_hooks) + len(p.bwd_hooks) for p in model.bridge.hook_dict.values())


def test_it_is_a_language_model(pair):
    bridge, ours = pair
    assert isinstance(bridge, LanguageModel)
    for size in ("n_layers", "n_heads", "d_model", "d_head", "d_mlp", "d_vocab", "n_ctx"):
        assert getattr(bridge.cfg, size) == getattr(ours.cfg, size), size
    assert len(bridge.hash) == 16 and bridge.step is None and bridge.device.type == "cpu"


def test_every_activation_is_that_of_our_own_model(pair):
    bridge, ours = pair
    assert set(ours.hook_names) <= set(bridge.hook_names)
    names = list(ours.hook_names)
    a, b = bridge.run(ROWS, cache=names), ours.run(ROWS, cache=names)
    close(a.logits, b.logits)
    for name in names:
        if "attn_scores" not in name:  # Masked scores are -inf here and the smallest float there.
            close(a[name], b[name])


def test_a_run_without_logits_makes_those_of_one_position_and_caches_the_same(pair):
    bridge, _ = pair
    sizes = []
    bridge.bridge.unembed.register_forward_hook(lambda _, __, out: sizes.append(out.shape[1]))
    whole, bare = (bridge.run(ROWS, cache="all", logits=wanted) for wanted in (True, False))
    assert bare.logits is None and sizes == [whole.tokens.shape[1], 1]
    assert list(bare.cache) == list(whole.cache)
    for name, value in whole.cache.items():
        assert torch.equal(bare.cache[name], value), name


def test_cache_all_leaves_the_expensive_points_out(pair):
    bridge, _ = pair
    cached = bridge.run(ROWS, cache="all").cache
    assert "blocks.0.attn.hook_result" in bridge.hook_names
    assert not any("hook_result" in name or "_input" in name for name in cached)


def test_weights_have_our_names_and_layouts(pair):
    bridge, ours = pair
    names = ["W_E", "W_U", "b_U", "ln_final.w"]
    names += [(f"W_{part}", 1) for part in ("Q", "K", "V", "O", "in", "out")]
    names += [(f"b_{part}", 1) for part in ("Q", "K", "V", "O", "in", "out")]
    names += ["blocks.0.attn.W_Q", "ln1.w"]
    for name in names:
        if name == "ln1.w":
            name = ("ln1.w", 0)
        close(bridge.weight(name), ours.weight(name))
    with pytest.raises(HookNameError, match="no weight"):
        bridge.weight("W_nothing")


def test_the_last_stream_unembedded_is_the_logits(pair):
    bridge, _ = pair
    run = bridge.run(ROWS, cache=[("resid_post", -1)])
    close(bridge.unembed(run["resid_post", -1]), run.logits)
    close(bridge.unembed(run["resid_post", -1][0, 2]), run.logits[0, 2])


def test_the_untrained_twin_is_as_random_as_its_seed(bridge):
    twin, again, other = bridge.untrained(3), bridge.untrained(3), bridge.untrained(4)
    assert twin.hash == again.hash != other.hash != bridge.hash
    assert twin.hook_names == bridge.hook_names and "untrained" in twin.name


def test_a_readout_that_is_not_the_models_is_refused(bridge):
    bridge._readout_gap = 0.5
    with pytest.raises(ReadoutError, match="off by"):
        bridge.unembed(torch.zeros(32))


EDITS = {
    "add": Add(hook=("resid_post", 0), vector=torch.linspace(-1, 1, 32), scale=2.0),
    "head": Ablate(hook=("z", 1), heads=(2,), where=Where(bos=True)),
    "pattern": Ablate(hook=("pattern", 0), heads=(0,), where=Where(bos=True)),
    "neuron": Ablate(hook=("post", 0), neurons=(3, 4)),
    "generated": Add(
        hook=("resid_mid", 1), vector=torch.linspace(-2, 2, 32), where=Where(span="generated")
    ),
    "range": Replace(hook=("mlp_out", 0), value=torch.zeros(32), where=Where(start=2, stop=4)),
    "call": Call(hook="hook_embed", function=lambda x, context: x * 1.5),
    "key": Add(hook=("k", 0), vector=torch.ones(8), heads=(1,)),
}


@pytest.mark.parametrize("kind", EDITS)
def test_edits_act_as_on_our_own_model(pair, kind):
    bridge, ours = pair
    edit = EDITS[kind]
    if kind == "key":
        edit = replace(edit, vector=torch.ones(bridge.cfg.d_head))
    close(bridge.run(ROWS, edits=[edit]).logits, ours.run(ROWS, edits=[edit]).logits)
    plain = bridge.run(ROWS).logits
    assert not torch.allclose(bridge.run(ROWS, edits=[edit]).logits, plain)
    assert torch.equal(bridge.run(ROWS).logits, plain)


def tilt(x, context):
    """A change that no norm undoes."""
    return x * torch.linspace(0.8, 1.2, x.shape[-1])


@pytest.mark.filterwarnings("ignore:A forward hook edited hook_scale")
def test_every_point_is_as_causal_as_on_our_own_model(pair):
    bridge, ours = pair
    plain = ours.run(ROWS).logits
    for name in ours.hook_names:
        edit = [Call(hook=name, function=tilt, where=Where(bos=True))]
        expected = ours.run(ROWS, edits=edit).logits
        assert not torch.allclose(expected, plain), name
        close(bridge.run(ROWS, edits=edit).logits, expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["add", "head", "generated", "range"])
def test_generation_is_ours_cached_padded_and_edited(pair, kind):
    bridge, ours = pair
    prompt = [[0, 5, 2], [0, 1, 4, 6, 2]]
    options = dict(edits=[EDITS[kind]], temperature=0.0, max_new_tokens=6)
    expected = ours.generate(prompt, **options)
    assert bridge.generate(prompt, **options).tokens == expected.tokens
    assert bridge.generate(prompt, use_cache=False, **options).tokens == expected.tokens
    alone = [bridge.generate(row, **options).tokens[0] for row in prompt]
    assert alone == expected.tokens
    streamed = [[step.token for step in rows] for rows in bridge.stream(prompt, **options)]
    assert list(map(list, zip(*streamed, strict=True))) == expected.tokens


def test_sampling_draws_as_ours(pair):
    bridge, ours = pair
    options = dict(seed=3, temperature=0.8, top_p=0.9, max_new_tokens=8)
    assert bridge.generate([0, 5], **options).tokens == ours.generate([0, 5], **options).tokens


def test_padded_rows_are_as_alone(pair):
    bridge, _ = pair
    both = bridge.run([[0, 5, 2], [0, 1, 4, 6, 2]], cache=["resid_post"])
    close(both.logits[0, 2:], bridge.run([0, 5, 2]).logits[0])
    close(
        both["resid_post", 1][0, 2:],
        bridge.run([0, 5, 2], cache=["resid_post"])["resid_post", 1][0],
    )


def test_gradients_reach_cached_activations(pair):
    bridge, ours = pair
    names = [("resid_mid", 0), ("resid_post", 0), ("z", 1), ("post", 0), ("q", 1), ("pattern", 0)]
    for name in names:
        gradients = []
        for model in (bridge, ours):
            run = model.run(ROWS, cache=[name], grad=True)
            gradients.append(torch.autograd.grad(run.logits[:, -1, 3].sum(), run[name])[0])
        # What a query may not see has no gradient with us.
        close(*(each.tril() if name[0] == "pattern" else each for each in gradients))
    assert not bridge.run(ROWS).logits.requires_grad


def test_an_error_inside_a_run_leaves_no_hook(bridge):
    def broken(x, context):
        raise RuntimeError("broken")

    before, plain = hooks_left(bridge), bridge.run(ROWS).logits
    for hook in (("resid_post", 0), ("result", 1)):
        with pytest.raises(RuntimeError, match="broken"):
            bridge.run(ROWS, edits=[Call(hook=hook, function=broken)], cache="all")
    with pytest.raises(RuntimeError, match="broken"):
        bridge.generate([0, 1], edits=[Call(hook=("resid_post", 0), function=broken)])
    assert hooks_left(bridge) == before == 0
    assert not bridge.bridge.cfg.use_attn_result
    assert torch.equal(bridge.run(ROWS).logits, plain)


def test_two_threads_never_see_each_others_edits(bridge):
    steer = Add(hook=("resid_post", 0), vector=torch.linspace(-1, 1, 32), scale=5.0)
    expected = {True: bridge.run(ROWS, edits=[steer]).logits, False: bridge.run(ROWS).logits}
    wrong = []

    def work(steered):
        for _ in range(100):
            logits = bridge.run(ROWS, edits=[steer] if steered else []).logits
            if not torch.equal(logits, expected[steered]):
                wrong.append(steered)

    threads = [threading.Thread(target=work, args=(steered,)) for steered in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and hooks_left(bridge) == 0


def test_two_threads_may_generate_at_once(bridge):
    steer = [Add(hook=("resid_post", 0), vector=torch.linspace(-1, 1, 32), scale=5.0)]
    options = dict(seed=1, max_new_tokens=12)
    expected = [bridge.generate([0, 1], edits=e, **options).tokens for e in (steer, [])]
    results = [None, None]

    def work(place, edits):
        results[place] = bridge.generate([0, 1], edits=edits, **options).tokens

    threads = [threading.Thread(target=work, args=args) for args in ((0, steer), (1, []))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == expected and expected[0] != expected[1]


def test_absent_sites_are_named_with_the_architecture():
    llama = load_bridge("llama", hf_model=theirs("llama"))
    with pytest.raises(HookNameError, match="LlamaForCausalLM"):
        llama.run(ROWS, cache=["pos_embed"])
    with pytest.raises(HookNameError, match="resid_post"):
        llama.run(ROWS, cache=["resid_pst"])
    with pytest.raises(TokenError, match="needs a tokenizer"):
        llama.run("text")


def test_parallel_blocks_have_no_middle_stream_and_say_so():
    sizes = dict(num_hidden_layers=2, hidden_size=32, num_attention_heads=4, intermediate_size=48)
    sizes |= dict(vocab_size=29, max_position_embeddings=32, use_parallel_residual=True)
    config = GPTNeoXConfig(**sizes, bos_token_id=None, eos_token_id=None)
    model = load_bridge("neox", hf_model=GPTNeoXForCausalLM(config).eval())
    assert not any("resid_mid" in name for name in model.hook_names)
    run = model.run(ROWS, cache=["resid_post", "pattern"])
    close(model.unembed(run["resid_post", 1]), run.logits)
    with pytest.raises(HookNameError, match="GPTNeoXForCausalLM"):
        model.run(ROWS, cache=["resid_mid"])


def test_what_transformer_lens_cannot_boot_is_refused():
    class Strange(GPT2LMHeadModel):
        pass

    with pytest.raises(ConfigError, match="Strange"):
        load_bridge("strange", hf_model=Strange(GPT2Config(**GPT2)))
