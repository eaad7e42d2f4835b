"""Opening accounts for everything: what a file says is computed as transformers does, or refused.

The right value of every case is what transformers gives on the same weights.
"""

import json
import math
from dataclasses import fields
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import pre_tokenizers

from interp.core.errors import CheckpointError, ConfigError, InterpError
from interp.models.io.huggingface import load_gguf, load_huggingface, save_huggingface
from interp.models.io.huggingface_config import ELSEWHERE
from interp.models.io.importing import import_model
from interp.models.io.load import load_model
from interp.models.transformer_lens_bridge import load_bridge

pytestmark = pytest.mark.reference

FAMILIES = run_path(str(Path(__file__).parents[2] / "docs" / "model_families.py"))
built, gap, write_gguf = FAMILIES["built"], FAMILIES["gap"], FAMILIES["write_gguf"]
NATIVE = {"gpt2": "GPT2LMHeadModel", "llama": "LlamaForCausalLM", "qwen3": "Qwen3ForCausalLM"}
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0)


def saved(folder, family="llama", config=(), tensors=None, without=(), **changes):
    """A folder that transformers saved, its config.json and tensors changed by hand."""
    model = built(NATIVE.get(family, family), **changes)
    model.save_pretrained(folder)
    edit(folder, config, without)
    if tensors is not None:
        held = load_file(folder / "model.safetensors")
        tensors(held)
        save_file(held, folder / "model.safetensors")
    return folder


def edit(folder, changes, without=()):
    path = folder / "config.json"
    config = json.loads(path.read_text()) | dict(changes)
    path.write_text(json.dumps({k: v for k, v in config.items() if k not in without}))


def theirs(folder):
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


@pytest.mark.parametrize("family", NATIVE)
def test_a_gguf_file_is_the_model_that_it_was_made_of(family, tmp_path):
    model = built(NATIVE[family])
    ours = load_gguf(write_gguf(model, tmp_path / "m.gguf"))
    assert gap(ours, model) < 1e-5
    assert ours.tokenizer.eos_token_ids == () and ours.cfg.eos_token_ids == ()


@pytest.mark.parametrize(
    "keys",
    [
        {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0},
        {"rope.scaling.factor": 4.0},
        {"rope.scale_linear": 4.0},
    ],
)
def test_linear_rotary_scaling_of_a_gguf_file_is_computed(keys, tmp_path):
    right = built(NATIVE["llama"], rope_parameters=dict(rope_type="linear", factor=4.0))
    ours = load_gguf(write_gguf(right, tmp_path / "m.gguf", keys=keys))
    assert gap(ours, right) < 1e-5
    assert gap(ours, built(NATIVE["llama"])) > 0.01


def test_llama_3_frequencies_of_a_gguf_file_are_computed_and_saved(tmp_path):
    rope = LLAMA3 | dict(original_max_position_embeddings=16, rope_theta=100.0)
    right = built(NATIVE["llama"], rope_parameters=rope)
    plain = 1.0 / 100.0 ** (np.arange(0, 8, 2) / 8)
    factors = plain / right.model.rotary_emb.inv_freq.numpy()
    extra = {"rope_freqs.weight": factors.astype(np.float32)}
    ours = load_gguf(write_gguf(right, tmp_path / "m.gguf", tensors=extra))
    assert gap(ours, right) < 1e-5
    folder = save_huggingface(ours, tmp_path / "folder")
    assert gap(ours, theirs(folder)) < 1e-5
    assert load_huggingface(folder).hash == ours.hash


@pytest.mark.parametrize(
    ("keys", "tensors", "said"),
    [
        ({"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0}, {}, "yarn"),
        ({"rope.dimension_count": 4}, {}, "rope.dimension_count must be 8"),
        ({"attention.value_length": 4}, {}, "attention.value_length must be 8"),
        ({"vocab_size": 60}, {}, "vocab_size must be 61"),
        ({"attention.sliding_window": 8}, {}, "attention.sliding_window=8"),
        ({"logit_scale": 0.5}, {}, "logit_scale=0.5"),
        ({"residual_scale": 0.5}, {}, "residual_scale"),
        ({"embedding_scale": 2.0}, {}, "embedding_scale"),
        ({"attention.scale": 0.5}, {}, "attention.scale"),
        ({"attention.causal": False}, {}, "attention.causal"),
        ({"expert_count": 4}, {}, "expert_count=4"),
        ({"final_logit_softcapping": 30.0}, {}, "final_logit_softcapping"),
        ({"rope.dimension_sections": [1, 2]}, {}, "rope.dimension_sections"),
        ({"some.new_setting": 1}, {}, "some.new_setting"),
        ({"attention.head_count": [4, 2]}, {}, "attention.head_count must be the same in every"),
        ({"attention.head_count": 3}, {}, "heads"),
        ({}, {"rope_factors_long.weight": np.ones(4, np.float32)}, "rope_factors_long"),
        ({}, {"blk.0.attn_sinks.weight": np.ones(4, np.float32)}, "blk.0.attn_sinks"),
        ({}, {"output.weight": np.ones((61, 32), np.int32)}, "output.weight .* is I32"),
        ({}, {"output_norm.weight": np.full(32, np.nan, np.float32)}, "finite.*model.norm.weight"),
    ],
)
def test_what_a_gguf_file_says_and_we_cannot_is_refused_by_name(keys, tensors, said, tmp_path):
    file = write_gguf(built(NATIVE["llama"]), tmp_path / "m.gguf", keys=keys, tensors=tensors)
    with pytest.raises(InterpError, match=said):
        load_model(file)


def test_neutral_settings_and_some_biases_of_a_gguf_file_are_read(tmp_path):
    model = built(NATIVE["llama"], attention_bias=True)
    zeros = [layer.self_attn.o_proj.bias for layer in model.model.layers]
    with torch.no_grad():
        for bias in zeros:
            bias.zero_()
    keys = {"expert_count": 0, "logit_scale": 1.0, "attention.head_count": [4, 4]}
    keys |= {"rope.scaling.type": "none", "rope.scaling.factor": 4.0}
    file = write_gguf(model, tmp_path / "m.gguf", keys=keys, eos_token_id=3, eot_token_id=5)
    ours = load_gguf(file)
    assert gap(ours, model) < 1e-5 and ours.cfg.eos_token_ids == (3, 5)


SIGNS = sorted(pre_tokenizers.ByteLevel.alphabet())
BYTE_LEVEL = dict(
    model="gpt2", pre="default", merges=["Ġ a", "a b"], bos_token_id=258, eos_token_id=259,
    eot_token_id=260, tokens=[*SIGNS, "Ġa", "ab", "<s>", "</s>", "<|eot|>"],
    token_type=[1] * 258 + [3] * 3,
)  # fmt: skip
PIECES = dict(
    model="llama", bos_token_id=1, eos_token_id=2, eot_token_id=3, unknown_token_id=0,
    tokens=["<unk>", "<s>", "</s>", "<|eot|>", "▁", "a", "b", "▁a",
            *map("<0x{:02X}>".format, range(256))],
    scores=[0.0] * 4 + [-5.0, -6.0, -7.0, -1.0] + [-9.0] * 256,
    token_type=[2, 3, 3, 3] + [1] * 4 + [6] * 256,
)  # fmt: skip


@pytest.mark.parametrize("says", [True, False, None])
@pytest.mark.parametrize(
    ("words", "text", "begins_unsaid"), [(BYTE_LEVEL, [257, 256, 65], False),
                                         (PIECES, [7, 6, 7, 6], True)],
    ids=["gpt2", "llama"],
)  # fmt: skip
def test_a_gguf_files_text_begins_and_ends_as_it_says(words, text, begins_unsaid, says, tmp_path):
    """Where it says nothing, pieces begin with the token and byte-level BPE does not."""
    told = {} if says is None else {"add_bos_token": says}
    model = built(NATIVE["llama"], vocab_size=len(words["tokens"]))
    file = write_gguf(model, tmp_path / "m.gguf", **words, **told)
    ours = load_model(file)
    begins = begins_unsaid if says is None else says
    expected = [words["bos_token_id"]] * begins + text
    assert ours.tokenizer.encode("ab ab") == ours.to_tokens("ab ab")[0][0].tolist() == expected
    theirs_read = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file=file.name)
    assert theirs_read("ab ab").input_ids == expected
    assert ours.ends == {words["eos_token_id"], words["eot_token_id"]}
    overruled = load_model(file, bos=not begins)
    assert overruled.tokenizer.encode("ab ab") == [words["bos_token_id"]] * (not begins) + text
    folder = save_huggingface(ours, tmp_path / "folder")
    again = load_model(folder)
    assert again.tokenizer.encode("ab ab") == expected and again.ends == ours.ends


def test_a_gguf_file_whose_tokenizer_contradicts_itself_is_refused_in_a_sentence(tmp_path):
    words = dict(model="gpt2", tokens=["a", "b"], token_type=[1, 1], merges=["a b"])
    file = write_gguf(built(NATIVE["gpt2"]), tmp_path / "m.gguf", **words)
    with pytest.raises(CheckpointError, match=r"The tokenizer in .* must be whole"):
        load_gguf(file)


def test_damaged_gguf_files_are_refused_in_a_sentence(tmp_path):
    file = write_gguf(built(NATIVE["llama"]), tmp_path / "m.gguf")
    whole, random = file.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        place, length = random.integers(4, 1500), random.integers(1, 9)
        file.write_bytes(whole[:place] + random.bytes(length) + whole[place + length :])
        try:
            assert load_gguf(file).cfg.d_model == 32
        except InterpError as error:
            assert str(file) in str(error)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("said", [True, None])
def test_a_head_that_differs_from_the_embedding_is_kept_whatever_the_config_says(
    family, said, tmp_path
):
    without = () if said else ("tie_word_embeddings",)
    folder = saved(tmp_path, family, {"tie_word_embeddings": True}, without=without)
    head = torch.randn(61, 32, generator=torch.Generator().manual_seed(2))
    held = load_file(folder / "model.safetensors") | {"lm_head.weight": head}
    save_file(held, folder / "model.safetensors", {"format": "pt"})
    ours = load_model(folder, device="cpu")
    assert gap(ours, theirs(folder)) < 1e-5 and not ours.cfg.tied
    embedding = next(
        v for k, v in held.items() if k.endswith(("wte.weight", "embed_tokens.weight"))
    )
    save_file(held | {"lm_head.weight": embedding.clone()}, folder / "model.safetensors")
    assert load_model(folder, device="cpu").cfg.tied is (family == "gpt2" or said is True)


HEADLESS = {
    "LlamaModel": "lm_head.weight",
    "LlamaForSequenceClassification": "lm_head.weight",
    "LlamaForTokenClassification": "lm_head.weight",
    "Qwen3ForSequenceClassification": "lm_head.weight",
    "MistralModel": "lm_head.weight",
    "MistralForSequenceClassification": "lm_head.weight",
    "GPT2ForSequenceClassification": "score.weight",
}


def of_class(name, folder, **changes):
    kind = getattr(transformers, name)
    sizes = FAMILIES["SIZES"] | {"pad_token_id": 0, "num_key_value_heads": 2}
    config = kind.config_class(**sizes | changes)
    kind(config).eval().save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", HEADLESS)
def test_a_folder_without_a_language_models_head_is_refused(name, tmp_path):
    changes = {"tie_word_embeddings": True} if "GPT2" in name else {}
    with pytest.raises(CheckpointError, match=HEADLESS[name]):
        load_model(of_class(name, tmp_path, **changes))


@pytest.mark.parametrize("name", ["GPT2Model", "GPT2DoubleHeadsModel", "LlamaModel"])
def test_a_folder_whose_head_is_its_embedding_opens_natively(name, tmp_path):
    folder = of_class(name, tmp_path, tie_word_embeddings=True)
    ours = load_model(folder, device="cpu")
    assert type(ours).__name__ == "GPT" and gap(ours, theirs(folder)) < 1e-5


def test_the_bridge_refuses_tensors_that_are_left_over_and_models_that_see_ahead(tmp_path):
    folder = saved(
        tmp_path / "a", "MistralForCausalLM", tensors=lambda t: t.update(x=torch.ones(1))
    )
    with pytest.raises(CheckpointError, match="has, unlike its class, x"):
        load_bridge(str(folder))
    with pytest.raises(ConfigError, match="not causal"):
        load_model(of_class("BertForMaskedLM", tmp_path / "b", tie_word_embeddings=True))


ROPES = {
    "original context at the top": (
        {"rope_parameters": LLAMA3 | {"rope_theta": 100.0}, "original_max_position_embeddings": 16}
    ),
    "the top overrules": {
        "rope_parameters": LLAMA3 | {"rope_theta": 100.0, "original_max_position_embeddings": 32},
        "original_max_position_embeddings": 16,
    },
    "the earlier name overrules": {
        "rope_parameters": {"rope_type": "default", "rope_theta": 100.0},
        "rope_scaling": {"type": "linear", "factor": 4.0},
        "rope_theta": 50.0,
    },
    "in neither place": {"rope_parameters": LLAMA3 | {"rope_theta": 100.0}},
    "for another kind": {
        "rope_parameters": {
            "rope_type": "linear",
            "factor": 4.0,
            "original_max_position_embeddings": 16,
        }
    },
}


@pytest.mark.parametrize("case", ROPES)
def test_rotary_settings_in_two_places_mean_what_transformers_takes(case, tmp_path):
    folder = saved(tmp_path, config=ROPES[case], max_position_embeddings=256)
    assert gap(load_huggingface(folder), theirs(folder)) < 1e-5


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"rope_parameters": {"full_attention": {"rope_type": "default"}}}, "full_attention"),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "mscale": 2.0}}, "mscale"),
        ({"rope_parameters": {"rope_type": "default", "mrope_section": [1, 2]}}, "mrope_section"),
        ({"rope_parameters": [1]}, "dictionary"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config says 'gptq'"),
        ({"sliding_window": 8}, "sliding_window 8"),
        ({"layer_types": ["sliding_attention", "full_attention"]}, "layer_types"),
        ({"is_causal": False}, "is_causal"),
        ({"logits_scaling": 2.0}, "logits_scaling"),
        ({"eos_token_id": math.inf}, "eos_token_id"),
        ({"eos_token_id": {}}, "eos_token_id"),
        ({"intermediate_size": -1}, "d_mlp"),
        ({"intermediate_size": 48.0}, "intermediate_size must be a whole number"),
        ({"vocab_size": True}, "vocab_size must be a whole number"),
        ({"rms_norm_eps": "text"}, "rms_norm_eps must be a number"),
        ({"rope_parameters": {"rope_theta": [3]}}, "rope_theta must be a number"),
        ({"num_hidden_layers": 10**15}, "does not describe its weights"),
    ],
)
def test_settings_that_we_cannot_compute_are_refused_by_name(config, said, tmp_path):
    folder = saved(tmp_path, config=config, without=("rope_theta",))
    with pytest.raises(InterpError, match=said) as caught:
        load_model(folder)
    assert len(str(caught.value).splitlines()) == 1


def test_gpt2_sizes_by_other_families_names_are_read(tmp_path):
    folder = saved(tmp_path, "gpt2", {"num_attention_heads": 2}, without=("n_head",))
    ours = load_huggingface(folder)
    assert ours.cfg.n_heads == 2 and gap(ours, theirs(folder)) < 1e-5
    edit(folder, {"n_head": 4})
    with pytest.raises(ConfigError, match="n_head=4 and num_attention_heads=2"):
        load_huggingface(folder)


def as_whole(t):
    name = next(k for k in t if k.endswith("q_proj.weight"))
    t[name] = (t[name] * 10).to(torch.int8)


def as_float8(t):
    name = next(k for k in t if k.endswith("q_proj.weight"))
    t[name] = t[name].to(torch.float8_e4m3fn)


def with_nan(t):
    t["model.norm.weight"][3] = math.nan


def with_infinity(t):
    t["model.layers.1.mlp.up_proj.weight"][0, 0] = -math.inf


@pytest.mark.parametrize("family", ["llama", "MistralForCausalLM"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (as_whole, "q_proj.weight in .* is int8"),
        (as_float8, "q_proj.weight in .* is float8_e4m3fn"),
        (with_nan, "finite; 1 of the 32 numbers of model.norm.weight"),
        (with_infinity, "finite; 1 of .*up_proj.weight"),
    ],
)
def test_weights_that_are_no_finite_real_numbers_are_refused(family, change, said, tmp_path):
    folder = saved(tmp_path, family, tensors=change)
    with pytest.raises(CheckpointError, match=said):
        load_model(folder)


@pytest.mark.parametrize("family", ["llama", "MistralForCausalLM"])
def test_numbers_too_large_for_the_dtype_that_is_asked_for_are_refused(family, tmp_path):
    folder = saved(tmp_path, family, tensors=lambda t: t["model.norm.weight"].fill_(1e6))
    load_model(folder, dtype=torch.bfloat16)
    with pytest.raises(CheckpointError, match=r"model\.norm|ln_final"):
        load_model(folder, dtype=torch.float16)


def test_an_import_refuses_weights_that_are_not_finite(tmp_path):
    folder = saved(tmp_path / "theirs", tensors=with_nan)
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer|finite"):
        import_model(folder, tmp_path / "models")
    assert not (tmp_path / "models" / "theirs").exists()


def test_buffers_are_compared_with_what_is_computed_in_their_place(tmp_path):
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    right = 1.0 / 10000.0 ** (torch.arange(0, 8, 2) / 8)
    folder = saved(tmp_path / "a", tensors=lambda t: t.update({name: right.half()}))
    assert gap(load_huggingface(folder), built(NATIVE["llama"])) < 1e-5
    folder = saved(tmp_path / "b", tensors=lambda t: t.update({name: right / 4}))
    with pytest.raises(CheckpointError, match="inv_freq"):
        load_huggingface(folder)
    mask = {"transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64)}
    folder = saved(tmp_path / "c", "gpt2", tensors=lambda t: t.update(mask))
    with pytest.raises(CheckpointError, match=r"h\.0\.attn\.bias"):
        load_huggingface(folder)


def test_an_index_names_a_file_for_every_tensor_and_every_tensor_of_it(tmp_path):
    built(NATIVE["llama"]).save_pretrained(tmp_path, max_shard_size="10KB")
    index = tmp_path / "model.safetensors.index.json"
    listed = json.loads(index.read_text())
    for value in ({}, [1], None, 3):
        index.write_text(json.dumps({"weight_map": listed["weight_map"] | {"x": value}}))
        with pytest.raises(CheckpointError, match="must name a file"):
            load_huggingface(tmp_path)
    del listed["weight_map"]["model.norm.weight"]
    index.write_text(json.dumps(listed))
    with pytest.raises(CheckpointError, match=r"holds model\.norm\.weight"):
        load_huggingface(tmp_path)


def test_a_model_that_was_fetched_before_opens_by_its_bare_name(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    place = tmp_path / "models--someone--small"
    (place / "refs").mkdir(parents=True)
    commit = "0" * 40
    (place / "refs" / "main").write_text(commit)
    saved(place / "snapshots" / commit)
    ours = load_model("someone/small", device="cpu")
    assert ours.name == "someone/small" == ours.source
    assert gap(ours, built(NATIVE["llama"])) < 1e-5
    with pytest.raises(CheckpointError, match="'hf:someone/smal'"):
        load_model("someone/smal")
    (place / "snapshots" / commit / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="'hf:someone/small'"):  # fetched in part
        load_model("someone/small")


def test_no_program_of_a_folder_runs_and_nothing_beside_a_gguf_file_is_read(tmp_path):
    """A tokenizer's settings may name a Python file, which transformers would offer to run."""
    folder = saved(tmp_path / "folder")
    marker = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(marker)!r}, 'w')\nclass Own: pass\n")
    settings = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "vocab.json").write_text('{"a": 0}')
    (folder / "tokenizer.json").unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        load_model(folder)
    words = BYTE_LEVEL
    model = built(NATIVE["llama"], vocab_size=len(words["tokens"]))
    file = write_gguf(model, folder / "m.gguf", **words, add_bos_token=True)
    assert load_model(file).tokenizer.encode("ab ab") == [258, 257, 256, 65]
    assert not marker.exists()


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, 2, -1, 0.5, 2.0, 1e-3, 1e-12, math.nan, "silu", "gelu", "", [], {}]),
)
DECLARED = {
    family: sorted(
        field.name
        for field in fields(transformers.CONFIG_MAPPING[family])
        if field.name not in ("model_type", "transformers_version", "architectures", "dtype")
    )
    for family in NATIVE
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("native")
    return {family: saved(place / family, family) for family in NATIVE}


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data(), st.sampled_from(sorted(NATIVE)))
def test_a_changed_setting_is_computed_as_transformers_does_or_refused(folders, data, family):
    """Every setting that transformers' class declares, and those of other families."""
    name = data.draw(st.sampled_from(DECLARED[family] + sorted(ELSEWHERE)))
    value = data.draw(VALUES)
    folder = folders[family]
    before = (folder / "config.json").read_text()
    try:
        edit(folder, {name: value})
        try:
            ours = load_huggingface(folder)
        except InterpError:
            return
        try:
            expected = theirs(folder)
        except Exception:  # noqa: BLE001  (it has as many kinds as checks)
            return  # What transformers itself refuses has no right value.
        assert gap(ours, expected) < 1e-4, (name, value)
    finally:
        (folder / "config.json").write_text(before)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES["FAMILIES"])
def test_the_page_says_how_each_family_opens_here(family):
    """In float32, on every way in; `python docs/model_families.py` writes all dtypes."""
    table = FAMILIES["page_table"](FAMILIES["PAGE"].read_text("utf-8"))
    there = [line for line in table.splitlines() if f"`{family}`" in line]
    made = list(FAMILIES["rows"](family, {"float32": torch.float32}))
    assert made == [" | ".join(line.split(" | ")[:4]) + " |" for line in there]
    cells = {cell for line in there for cell in line.strip("| ").split(" | ")[3:]}
    assert there and cells <= {"equal", "–"}
