"""Texts begin as the model's own files say: ids against transformers, over kinds of tokenizers."""

import json
from functools import cache

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from interp.core.errors import TokenError
from interp.models.tokenizer import Tokenizer
from interp.models.vocabularies import BOS

pytestmark = pytest.mark.reference

TEXTS = [
    "the cat sat on the mat",
    "Héllo wörld, it is 12 ☃",
    "a  b\n\nc\td 👩🏽‍🚀",
    "naïve café",
] * 20
BYTES = [f"<0x{number:02X}>" for number in range(256)]
TEMPLATE = processors.TemplateProcessing


def _byte_level(post: object) -> tokenizers.Tokenizer:
    """As GPT-2, Llama 3, Qwen and SmolLM."""
    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<s>", "</s>", "<sop>"]
    backend.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    backend.post_processor = post
    return backend


def _sentencepiece(legacy: bool, post: object) -> tokenizers.Tokenizer:
    """As Llama 2 and Mistral: a space becomes `▁`, one is put first, what is unknown is bytes."""
    letters = sorted({c for text in TEXTS for c in text if c.isascii() and c.isalpha()})
    whole = ["▁", *letters, "▁t", "th", "▁th", "▁the", "▁c", "▁ca", "▁cat"]
    vocab = {piece: i for i, piece in enumerate(["<unk>", "<s>", "</s>", *BYTES, *whole])}
    merges = [("▁", "t"), ("t", "h"), ("▁t", "h"), ("▁th", "e"), ("▁", "c"), ("▁c", "a")]
    merges += [("▁ca", "t")]
    backend = tokenizers.Tokenizer(
        models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    )
    if legacy:
        steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        backend.normalizer = normalizers.Sequence(steps)
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    backend.add_tokens([tokenizers.AddedToken("<tool>", normalized=False)])
    backend.post_processor = post
    return backend


def _unigram(post: object) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer(models.Unigram())
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    backend.train_from_iterator(
        TEXTS,
        trainers.UnigramTrainer(
            vocab_size=90, special_tokens=special, unk_token="<unk>", show_progress=False
        ),
    )
    backend.post_processor = post
    return backend


def _first(*tokens: str, last: str = "") -> processors.TemplateProcessing:
    ids = {"<s>": 0, "</s>": 1, "<sop>": 2}
    named = [(token, ids[token]) for token in (*tokens, last) if token]
    return TEMPLATE(f"{' '.join(tokens)} $A {last}".strip(), special_tokens=named)


S_OF_PIECES = TEMPLATE("<s> $A", special_tokens=[("<s>", 1)])
KINDS = {
    "gpt2": lambda: _byte_level(processors.ByteLevel(trim_offsets=False)),
    "none at all": lambda: _byte_level(None),
    "llama3": lambda: _byte_level(processors.Sequence([processors.ByteLevel(), _first("<s>")])),
    "roberta": lambda: _byte_level(processors.RobertaProcessing(("</s>", 1), ("<s>", 0))),
    "ends only": lambda: _byte_level(_first(last="</s>")),
    "two before": lambda: _byte_level(_first("<s>", "<sop>")),
    "llama2": lambda: _sentencepiece(False, S_OF_PIECES),
    "llama2 without": lambda: _sentencepiece(False, None),
    "llama legacy": lambda: _sentencepiece(True, S_OF_PIECES),
    "unigram": lambda: _unigram(TEMPLATE("<s> $A", special_tokens=[("<s>", 1)])),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
EXACT = sorted(set(KINDS) - {"unigram"})
"""Kinds that spell every text; a unigram without bytes has a token for what it does not know."""


@cache
def pair(kind: str) -> tuple[Tokenizer, PreTrainedTokenizerFast]:
    theirs = PreTrainedTokenizerFast(
        tokenizer_object=KINDS[kind](), bos_token="<s>", eos_token="</s>"
    )
    return Tokenizer.from_transformers(theirs), theirs


def without_last(ids: list[int], theirs: PreTrainedTokenizerFast) -> list[int]:
    """Their ids without what is put behind a text: ours goes on."""
    behind = theirs("the").input_ids[-1] == theirs.eos_token_id
    return ids[:-1] if behind else ids


texts = st.text(alphabet=st.sampled_from("the cat\nHé☃👩🏽‍🚀.12")) | st.text()


@every_kind
@settings(max_examples=60, deadline=None)
@given(text=texts)
def test_ids_are_those_of_transformers(kind, text):
    ours, theirs = pair(kind)
    assert ours.encode(text) == without_last(theirs(text).input_ids, theirs)
    assert ours.encode(text, bos=False) == theirs(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("kind", EXACT)
@settings(max_examples=60, deadline=None)
@given(text=texts | st.sampled_from(["the <tool> cat", " the", "<tool>the", "the <tool>  cat"]))
def test_spans_spell_the_text(kind, text):
    ids, spans = pair(kind)[0].encode_with_spans(text)
    first = len(ids) - len(pair(kind)[0].encode(text, bos=False))
    assert spans[:first] == [(0, 0)] * first
    covered = ""
    for (start, end), before in zip(spans[first:], [(0, 0), *spans[first:]], strict=False):
        assert start >= before[1] - 1, "no more than the character that two tokens share"
        covered += text[max(start, before[1]) : end]
    assert covered == text


@pytest.mark.parametrize("kind", EXACT)
@settings(max_examples=60, deadline=None)
@given(text=texts.filter(lambda text: "<" not in text))
def test_decoding_gives_the_text_again(kind, text):
    ours, _ = pair(kind)
    again = ours.decode(ours.encode(text))
    # SentencePiece puts a space first, and whether there was one before is lost.
    first = " " if ours._adds_first_space else ""
    assert again in (text, text.removeprefix(first), first + text)


@every_kind
def test_saved_folders_give_the_same_ids_here_and_in_transformers(kind, tmp_path):
    ours, theirs = pair(kind)
    text = "the cat 12"
    ours.save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path)
    assert again.encode(text) == ours.encode(text) == AutoTokenizer.from_pretrained(tmp_path)(
        text
    ).input_ids  # fmt: skip
    assert again.hash == ours.hash and again.special_tokens == ours.special_tokens
    theirs.save_pretrained(tmp_path / "theirs")
    assert Tokenizer.load(tmp_path / "theirs").encode(text) == ours.encode(text)


@pytest.mark.parametrize("said", [True, False, None])
@pytest.mark.parametrize("kind", ["gpt2", "llama3"])
def test_what_stands_beside_a_tokenizer_json_counts_as_in_transformers(kind, said, tmp_path):
    KINDS[kind]().save(str(tmp_path / "tokenizer.json"))
    beside = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"}
    beside |= {} if said is None else {"add_bos_token": said}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(beside))
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert Tokenizer.load(tmp_path).encode("the cat") == theirs("the cat").input_ids


@every_kind
def test_the_switch_overrules_the_files_and_is_saved(kind, tmp_path):
    ours, _ = pair(kind)
    text = "the cat"
    bare = ours.encode(text, bos=False)
    begin = ours.backend.token_to_id("<s>")
    for asked, expected in [(True, [begin, *bare]), (False, bare), (None, ours.encode(text))]:
        switched = ours.with_bos(asked)
        assert switched.encode(text) == expected
        switched.save(tmp_path / "tokenizer.json")
        assert Tokenizer.load(tmp_path).encode(text) == expected
        assert AutoTokenizer.from_pretrained(tmp_path)(text).input_ids == expected
        assert switched.eos_token_ids == ours.eos_token_ids


def test_a_token_that_is_not_named_cannot_be_put_first():
    with pytest.raises(TokenError, match="names none"):
        Tokenizer(_byte_level(None), bos=None).with_bos(True)
    own = Tokenizer.words(["the cat"])
    assert own.with_bos(False).encode("the cat") == own.encode("the cat", bos=False)
    assert own.named_bos == own.bos == BOS and own.eos_token_ids == (own.bos_token_id,)
