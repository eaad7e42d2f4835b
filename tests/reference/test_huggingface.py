"""Our weights and transformers': the same logits, both ways, on every switch they share."""

import itertools
import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from interp.core.errors import CheckpointError, ConfigError
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.huggingface import load_gguf, load_huggingface, save_huggingface
from interp.models.io.huggingface_config import read_config, write_config
from interp.models.tokenizer import Tokenizer

pytestmark = pytest.mark.reference

ATOL = 1e-5
ROPES = {
    "default": {"rope_type": "default", "rope_theta": 100.0},
    "linear": {"rope_type": "linear", "rope_theta": 100.0, "factor": 3.0},
    "llama3": {
        "rope_type": "llama3",
        "rope_theta": 100.0,
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
}


def product(**switches):
    """Every combination, as dictionaries with a readable test id."""
    for values in itertools.product(*switches.values()):
        chosen = dict(zip(switches, values, strict=True))
        yield pytest.param(chosen, id="-".join(f"{k}={v}" for k, v in chosen.items()))


GPT2_SWITCHES = product(
    tie_word_embeddings=[True, False],
    activation_function=["gelu", "gelu_new", "gelu_fast", "relu", "relu2", "silu"],
    scale_attn_weights=[True, False],
    scale_attn_by_inverse_layer_idx=[True, False],
    reorder_and_upcast_attn=[True, False],
    n_inner=[None, 24],
)
LLAMA_SWITCHES = product(
    num_key_value_heads=[4, 2, 1],
    rope=list(ROPES),
    attention_bias=[True, False],
    mlp_bias=[True, False],
    tie_word_embeddings=[True, False],
    head_dim=[None, 12],
    hidden_act=["silu", "gelu"],
)
QWEN3_SWITCHES = product(
    num_key_value_heads=[4, 2, 1],
    rope=list(ROPES),
    attention_bias=[True, False],
    tie_word_embeddings=[True, False],
    head_dim=[8, 12],
    hidden_act=["silu", "relu"],
)


def randomized(theirs, seed=0):
    """Every parameter drawn anew, so that no bias or gain is left at its harmless start."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            start = 1.0 if "norm" in name or "ln_" in name else 0.0
            parameter.copy_(start + 0.15 * torch.randn(parameter.shape, generator=random))
    return theirs.eval()


def gpt2(**switches):
    sizes = dict(n_layer=2, n_embd=32, n_head=4, vocab_size=29, n_positions=48)
    return randomized(GPT2LMHeadModel(GPT2Config(**sizes, **switches)))


def llama(config=LlamaConfig, model=LlamaForCausalLM, rope="default", **switches):
    sizes = dict(num_hidden_layers=2, hidden_size=32, num_attention_heads=4)
    sizes |= dict(intermediate_size=24, vocab_size=29, max_position_embeddings=48)
    return randomized(model(config(**sizes, rope_parameters=dict(ROPES[rope]), **switches)))


def qwen3(**switches):
    return llama(Qwen3Config, Qwen3ForCausalLM, **{"num_key_value_heads": 2} | switches)


def tokens(model, batch=2, length=40):
    random = torch.Generator().manual_seed(1)
    return torch.randint(0, model.config.vocab_size, (batch, length), generator=random)


@torch.no_grad()
def assert_same_both_ways(theirs, folder):
    """Load what they saved; let them load what we save; the logits of all three are equal."""
    theirs.save_pretrained(folder / "theirs")
    ours = load_huggingface(folder / "theirs")
    ids = tokens(theirs)
    expected = theirs(ids).logits
    torch.testing.assert_close(ours.run(ids).logits, expected, atol=ATOL, rtol=0)
    save_huggingface(ours, folder / "ours")
    again = AutoModelForCausalLM.from_pretrained(folder / "ours").eval()
    assert type(again) is type(theirs)
    torch.testing.assert_close(again(ids).logits, expected, atol=ATOL, rtol=0)


@pytest.mark.parametrize("switches", GPT2_SWITCHES)
def test_gpt2_logits_are_equal_both_ways(switches, tmp_path):
    assert_same_both_ways(gpt2(**switches), tmp_path)


@pytest.mark.parametrize("switches", LLAMA_SWITCHES)
def test_llama_logits_are_equal_both_ways(switches, tmp_path):
    assert_same_both_ways(llama(**switches), tmp_path)


@pytest.mark.parametrize("switches", QWEN3_SWITCHES)
def test_qwen3_logits_are_equal_both_ways(switches, tmp_path):
    assert_same_both_ways(qwen3(**switches), tmp_path)


@pytest.mark.parametrize("make", [gpt2, llama, qwen3])
def test_shards_are_read_and_written(make, tmp_path):
    theirs = make()
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="10KB")
    assert (tmp_path / "theirs" / "model.safetensors.index.json").exists()
    ours = load_huggingface(tmp_path / "theirs")
    save_huggingface(ours, tmp_path / "ours", max_shard_bytes=10_000)
    assert len(list((tmp_path / "ours").glob("*.safetensors"))) > 2
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "ours").eval()
    ids = tokens(theirs)
    torch.testing.assert_close(again(ids).logits, theirs(ids).logits, atol=ATOL, rtol=0)


def test_published_gpt2_names_without_prefix_and_with_mask_buffers_are_read(tmp_path):
    theirs = gpt2()
    theirs.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    plain = {k.removeprefix("transformer."): v for k, v in load_file(file).items()}
    plain["h.0.attn.bias"] = torch.ones(1, 1, 48, 48).tril()
    save_file(plain, file)
    ids = tokens(theirs)
    logits = load_huggingface(tmp_path).run(ids).logits
    torch.testing.assert_close(logits, theirs(ids).logits, atol=ATOL, rtol=0)


def test_earlier_rope_settings_mean_the_same():
    new = {"model_type": "llama", "rope_parameters": ROPES["llama3"]}
    scaling = {k: v for k, v in ROPES["llama3"].items() if k != "rope_theta"}
    old = {"model_type": "llama", "rope_theta": 100.0, "rope_scaling": scaling}
    assert read_config(new) == read_config(old)


OUR_SIZES = dict(n_layers=2, d_model=32, n_heads=4, n_ctx=48)
EXPORTABLE = {
    "gpt2": {},
    "gpt2-no-biases": dict(bias=False, norm_bias=False, act="relu2", tied=False),
    "llama": dict(norm="rms", positions="rotary", act="silu", gated=True, bias=False, tied=False),
    "qwen3": dict(norm="rms", positions="rotary", act="silu", gated=True, bias=False, qk_norm=True),
}


def words_model(seed=0, **changes):
    tokenizer = Tokenizer.words(["the dog sat on the mat. a cat ran up a hill, then sat down."])
    return GPT(GPTConfig(d_vocab=tokenizer.d_vocab, **OUR_SIZES, **changes), tokenizer, seed=seed)


@pytest.mark.parametrize("kind", EXPORTABLE)
def test_a_saved_model_continues_alike_in_transformers(kind, tmp_path):
    ours = words_model(**EXPORTABLE[kind], init_std=0.3, embed_std=0.5)
    save_huggingface(ours, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    their_tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    prompt = "the dog sat on"
    ids = their_tokenizer(prompt, return_tensors="pt", return_token_type_ids=False)
    assert ids["input_ids"][0].tolist() == ours.tokenizer.encode(prompt)
    made = theirs.generate(**ids, do_sample=False, max_new_tokens=20, pad_token_id=0)
    expected = ours.generate(prompt, temperature=0.0, max_new_tokens=20).tokens[0]
    assert made[0, ids["input_ids"].shape[1] :].tolist() == expected
    assert their_tokenizer.decode(expected, skip_special_tokens=True) == ours.tokenizer.decode(
        expected
    )


@pytest.mark.parametrize("kind", EXPORTABLE)
def test_our_own_round_trip_keeps_text_and_logits(kind, tmp_path):
    ours = words_model(**EXPORTABLE[kind])
    again = load_huggingface(save_huggingface(ours, tmp_path))
    assert again.tokenizer.encode("the cat ran") == ours.tokenizer.encode("the cat ran")
    assert torch.equal(again.run("the cat ran").logits, ours.run("the cat ran").logits)


@pytest.mark.parametrize(
    "changes, named",
    [
        (dict(positions="none"), "positions"),
        (dict(attn_only=True), "attn_only"),
        (dict(qk_norm=True), "qk_norm"),
        (dict(norm="rms"), "norm='layer'"),
        (dict(positions="rotary"), "norm='rms'"),
        (EXPORTABLE["qwen3"] | dict(mlp_bias=True), "mlp_bias"),
    ],
)
def test_what_transformers_lacks_is_refused_by_name(changes, named, tmp_path):
    with pytest.raises(ConfigError, match=named):
        save_huggingface(words_model(**changes), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"architectures": ["MambaForCausalLM"]}, "MambaForCausalLM"),
        ({"architectures": ["GPT2ForSequenceClassification"]}, "GPT2LMHeadModel"),
        ({}, "None with model_type None"),
        ({"model_type": "gpt2", "add_cross_attention": True}, "add_cross_attention"),
        ({"model_type": "gpt2", "activation_function": "tanh"}, "tanh"),
        ({"model_type": "llama", "rope_scaling": {"rope_type": "yarn"}}, "yarn"),
        ({"model_type": "llama", "rope_scaling": {"rope_type": "llama3"}}, "low_freq_factor"),
        ({"model_type": "llama", "partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"model_type": "qwen3", "use_sliding_window": True, "sliding_window": 8}, "sliding"),
        ({"model_type": "llama", "num_attention_heads": 3, "num_key_value_heads": 2}, "n_heads"),
    ],
)
def test_what_we_lack_is_refused_by_name(settings, named):
    if "use_sliding_window" in settings:
        settings = settings | {"max_window_layers": 1}
    with pytest.raises(ConfigError, match=named):
        read_config(settings)


def damaged(folder, change):
    gpt2().save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda t: t.pop("transformer.h.1.mlp.c_fc.bias"), r"transformer.h.1.mlp.c_fc.bias"),
        (lambda t: t.update({"transformer.wte.weight": torch.zeros(3, 32)}), r"\(3, 32\)"),
        (lambda t: t.update({"transformer.h.7.ln_1.weight": torch.zeros(32)}), r"h\.7\.ln_1"),
    ],
)
def test_missing_left_over_and_misshapen_tensors_are_named(change, named, tmp_path):
    with pytest.raises(CheckpointError, match=named):
        load_huggingface(damaged(tmp_path, change))


def test_pickles_and_paths_out_of_the_folder_are_refused(tmp_path):
    gpt2().save_pretrained(tmp_path, max_shard_size="10KB")
    index = tmp_path / "model.safetensors.index.json"
    listed = json.loads(index.read_text())
    listed["weight_map"]["transformer.wte.weight"] = "../elsewhere.safetensors"
    index.write_text(json.dumps(listed))
    with pytest.raises(CheckpointError, match="inside"):
        load_huggingface(tmp_path)
    index.unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="pickle"):
        load_huggingface(tmp_path)


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_gguf(tmp_path / "absent.gguf")
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(CheckpointError, match="GGUF"):
        load_gguf(tmp_path / "text.gguf")


def test_configs_survive_the_way_there_and_back():
    for changes in EXPORTABLE.values():
        cfg = words_model(**changes).cfg
        back = read_config(write_config(cfg))
        kept = ("n_layers", "d_model", "n_heads", "d_head", "d_mlp", "d_vocab", "n_ctx", "act")
        kept += ("norm", "norm_eps", "positions", "rope_theta", "rope_scaling", "tied", "qk_norm")
        assert [getattr(back, name) for name in kept] == [getattr(cfg, name) for name in kept]
