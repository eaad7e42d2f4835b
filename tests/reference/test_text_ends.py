"""Where texts end: every token that a model's files name, through generation, saving, import."""

import json

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers import models, pre_tokenizers
from transformers import (
    AutoTokenizer,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from interp.core.errors import CheckpointError, ConfigError
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.io.checkpoint import open_model, save_model
from interp.models.io.huggingface import load_huggingface, save_huggingface
from interp.models.io.importing import import_model
from interp.models.io.load import load_model
from interp.models.no_tokenizer import NoTokenizer
from interp.models.tokenizer import Tokenizer
from interp.results import load_result

pytestmark = pytest.mark.reference

SIZES = dict(
    vocab_size=60, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
    intermediate_size=32, max_position_embeddings=64, bos_token_id=0,
)  # fmt: skip
PROMPT = [[3, 5, 7]]


def edited(folder, name, **changes):
    path = folder / name
    said = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(said | changes))


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, eos_token_id=None)).eval()


@pytest.fixture(scope="module")
def free(theirs):
    """What the model writes while nothing ends it; no token comes twice among the first."""
    written = theirs.generate(torch.tensor(PROMPT), max_new_tokens=12, do_sample=False)
    return written[0, 3:].tolist()


def words(folder, **special):
    backend = Backend(models.WordLevel({f"w{i}": i for i in range(60)}, unk_token="w59"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=backend, **special).save_pretrained(folder)


def first_of(free, ends):
    return free[: min(free.index(end) for end in ends if end in free) + 1]


@pytest.mark.parametrize("with_tokenizer", [True, False])
@pytest.mark.parametrize("place", ["config.json", "generation_config.json"])
def test_text_stops_at_any_end_of_either_file(theirs, free, place, with_tokenizer, tmp_path):
    folder = tmp_path / "model"
    theirs.save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    unseen = next(i for i in range(60) if i not in free)
    ends = [unseen, free[2]]
    edited(folder, place, eos_token_id=ends)
    if with_tokenizer:
        words(folder, bos_token="w0")
    expected = (
        LlamaForCausalLM.from_pretrained(folder)
        .generate(torch.tensor(PROMPT), max_new_tokens=12, do_sample=False)[0, 3:]
        .tolist()
    )
    model = load_huggingface(folder)
    save_huggingface(model, tmp_path / "again")
    save_model(model, tmp_path / "ours")
    models_ = [model, load_huggingface(tmp_path / "again"), open_model(tmp_path / "ours")]
    if with_tokenizer:
        models_.append(open_model(import_model(folder, tmp_path, "imported")))
    for each in models_:
        said = each.generate(PROMPT, max_new_tokens=12, temperature=0.0)
        assert said.tokens[0] == expected == first_of(free, ends)
        assert said.finished == ["end_of_text"] and each.ends == frozenset(ends)
    saved = json.loads((tmp_path / "again" / "config.json").read_text())
    assert saved["eos_token_id"] == ends, "as they were, and no beginning among them"


def test_all_files_count_and_one_id_stays_one(theirs, free, tmp_path):
    theirs.save_pretrained(tmp_path)
    edited(tmp_path, "config.json", eos_token_id=11)
    edited(tmp_path, "generation_config.json", eos_token_id=[12, 11])
    words(tmp_path, bos_token="w0", eos_token="w13")
    model = load_huggingface(tmp_path)
    assert model.ends == {11, 12, 13} and model.tokenizer.eos_token_ids == (13,)
    edited(tmp_path, "generation_config.json", eos_token_id=None)
    words(tmp_path, bos_token="w0", eos_token="w11")
    save_huggingface(load_huggingface(tmp_path), tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["eos_token_id"] == 11


def test_an_own_model_still_ends_where_the_next_text_begins(tmp_path):
    tokenizer = Tokenizer.words(["a cat"])
    shape = dict(n_layers=1, d_model=8, n_heads=1, d_vocab=tokenizer.d_vocab, n_ctx=8)
    llama = dict(norm="rms", positions="rotary", act="silu", gated=True, bias=False)
    model = GPT(GPTConfig(**shape, **llama), tokenizer)
    bos = model.tokenizer.bos_token_id
    assert model.ends == {bos}
    save_huggingface(model, tmp_path)
    assert load_huggingface(tmp_path).ends == {bos}
    assert json.loads((tmp_path / "config.json").read_text())["eos_token_id"] == bos


@pytest.mark.parametrize("place", ["config.json", "generation_config.json"])
@pytest.mark.parametrize("ends", [{}, "w1", [1.5], [None], True, 1e400])
def test_ends_that_are_no_ids_are_refused(theirs, ends, place, tmp_path):
    theirs.save_pretrained(tmp_path)
    edited(tmp_path, place, eos_token_id=ends)
    with pytest.raises((CheckpointError, ConfigError), match="eos_token_id"):
        load_huggingface(tmp_path)


def test_a_bridge_reads_texts_and_their_ends_as_its_files_say(tmp_path):
    torch.manual_seed(0)
    model = GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES, eos_token_id=[21, 22]))
    model.save_pretrained(tmp_path)
    bare = load_model(tmp_path, device="cpu")
    assert isinstance(bare.tokenizer, NoTokenizer) and bare.ends == {21, 22}
    assert bare.run(PROMPT).tokens.tolist() == PROMPT
    words(tmp_path, bos_token="w0", eos_token="w1")
    named = load_model(tmp_path, device="cpu")
    ids = AutoTokenizer.from_pretrained(tmp_path)("w5 w6").input_ids
    assert named.tokenizer.encode("w5 w6") == ids == [5, 6] and named.ends == {1, 21, 22}
    assert load_model(tmp_path, device="cpu", bos=True).tokenizer.encode("w5 w6") == [0, 5, 6]


def test_the_switch_travels_with_results(theirs, tmp_path):
    from interp.analyses.lenses.logit_lens import logit_lens

    theirs.save_pretrained(tmp_path / "model")
    words(tmp_path / "model", bos_token="w0", eos_token="w1")
    model = load_model(tmp_path / "model", device="cpu", bos=True)
    result = logit_lens(model, "w5 w6", untrained=False)
    assert result.tokens == ("w0", "w5", "w6")
    origin = result.provenance
    assert (origin.bos, origin.text_start) == (True, "w0")
    assert "bos=True" in result.code()
    result.save(tmp_path / "result")
    again = load_result(tmp_path / "result")
    assert again.provenance == origin and again.code() == result.code()
    plain = logit_lens(load_model(tmp_path / "model", device="cpu"), "w5 w6", untrained=False)
    assert (plain.provenance.bos, plain.provenance.text_start) == (None, "")
    assert "bos" not in plain.code() and plain.tokens == ("w5", "w6")


def test_a_tokenizer_of_another_form_is_converted_or_named(theirs, tmp_path):
    theirs.save_pretrained(tmp_path)
    vocab = {sign: i for i, sign in enumerate([*map(chr, range(97, 123)), "Ġ", "ab"])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    edited(tmp_path, "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")
    theirs_too = AutoTokenizer.from_pretrained(tmp_path)
    ours = load_huggingface(tmp_path).tokenizer
    assert ours.encode("abc") == theirs_too("abc").input_ids and isinstance(ours, Tokenizer)
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).unlink()
    (tmp_path / "tokenizer.model").write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match=r"tokenizer\.model is of another form.*save_pretr"):
        load_huggingface(tmp_path)
