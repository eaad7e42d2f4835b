"""Exact bytes, exact spans, and refusals that name the word."""

import json
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.display import display_token, escape_html
from interp.core.errors import CheckpointError, ConfigError, NotEnoughDataError, TokenError
from interp.models.io.huggingface import load_tokenizer
from interp.models.tokenizer import Tokenizer

TEXTS = ["Anna is in the garden. Is Anna happy? Yes.", "Ben took the ball to the bank — twice."]
WORDS = Tokenizer.words(TEXTS)
LETTERS = Tokenizer.characters(TEXTS)
BPE = Tokenizer.bytes_bpe(TEXTS * 20, d_vocab=300)
PIECES = [piece.decode() for piece in WORDS.table if piece]


@pytest.mark.parametrize("bos", [True, False])
@settings(max_examples=300, deadline=None)
@given(text=st.text())
def test_bytes_come_back_exactly(text, bos):
    ids = BPE.encode(text, bos=bos)
    assert b"".join(BPE.pieces(ids)) == text.encode()
    assert BPE.decode(ids) == text
    assert (ids[:1] == [BPE.bos_token_id]) == bos


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.sampled_from("a é☃\u0301👩🏽‍🚀\n<|bos>")))
def test_spans_cover_the_characters_of_their_bytes(text):
    ids, spans = BPE.encode_with_spans(text)
    assert spans[0] == (0, 0)
    done = 0
    for piece, (start, end) in zip(BPE.pieces(ids)[1:], spans[1:], strict=True):
        covered = text[start:end].encode()
        first = len(text[:start].encode())
        assert first <= done and done + len(piece) <= first + len(covered)
        assert len(piece) > len(covered) - 4 * 2, "no wider than the characters it touches"
        done += len(piece)
    assert done == len(text.encode())


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES)))
def test_known_words_come_back_exactly(pieces):
    text = "".join(pieces)
    try:
        ids = WORDS.encode(text)
    except TokenError:
        return  # two pieces side by side can spell an unknown word
    assert WORDS.decode(ids) == text
    assert b"".join(WORDS.pieces(ids)) == text.encode()


def test_every_word_is_one_token_with_its_space():
    assert WORDS.pieces(WORDS.encode("Anna is in the garden.")) == [
        *(b"", b"Anna", b" is", b" in", b" the", b" garden", b".")
    ]
    assert WORDS.bos_token_id == 0
    assert WORDS.d_vocab == len(WORDS.table) == len(set(WORDS.table))


STORY = Tokenizer.words(["It is cold. So Anna is in the garden."])
"""Knows `Anna` only with a space before it, as names stand inside sentences."""


@pytest.mark.parametrize("bos", [True, False])
def test_a_first_word_is_read_with_its_space_where_there_is_no_other_form(bos):
    text = "Anna is cold."
    ids, spans = STORY.encode_with_spans(text, bos=bos)
    assert ids == STORY.encode(text, bos=bos) == STORY.encode(f" {text}", bos=bos)
    assert ids == STORY.encode_batch([text, "It is cold."], bos=bos)[0]
    assert spans == [(0, 0)] * bos + [(0, 4), (4, 7), (7, 12), (12, 13)]
    assert STORY.decode(ids) == f" {text}", "the bytes of the tokens that were read"
    assert STORY.display(ids)[bos] == "·Anna"
    exact = STORY.encode_with_spans("It is cold.", bos=False)
    assert STORY.decode(exact[0]) == "It is cold." and exact[1][0] == (0, 2)


@pytest.mark.parametrize("text", ["Bob is cold.", "It is Anna It", "AnnaAnna is", "\nAnna is"])
def test_only_the_first_word_has_two_forms(text):
    with pytest.raises(TokenError, match="Every word must be one of"):
        STORY.encode(text)


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.sampled_from([p.decode() for p in STORY.table if p]), min_size=1))
def test_spans_spell_what_was_typed(pieces):
    text = "".join(pieces).removeprefix(" ")
    try:
        ids, spans = STORY.encode_with_spans(text, bos=False)
    except TokenError:
        return
    assert "".join(text[start:end] for start, end in spans) == text
    assert STORY.decode(ids).removeprefix(" ") == text.removeprefix(" ")


def test_characters_are_one_token_each():
    assert LETTERS.decode(LETTERS.encode("gate—")) == "gate—"
    assert len(LETTERS.encode("gate—", bos=False)) == 5


@pytest.mark.parametrize(
    ("tokenizer", "text", "said"),
    [
        (WORDS, "Anna is in the gardn.", ["' gardn'", "character 14", "' garden'"]),
        (LETTERS, "gate#", ["'#'", "character 4"]),
        (BPE, "half \ud800", ["surrogate"]),
        (WORDS, 7, ["int"]),
    ],
)
def test_refusals_name_the_word(tokenizer, text, said):
    with pytest.raises(TokenError) as raised:
        tokenizer.encode(text)
    assert all(part in str(raised.value) for part in said)


def test_one_unknown_word_in_a_batch_is_named():
    with pytest.raises(TokenError, match="zebra"):
        WORDS.encode_batch(["Anna is", "Anna zebra"])
    assert BPE.encode_batch(TEXTS) == [BPE.encode(text) for text in TEXTS]


@pytest.mark.parametrize("ids", [[-1], [10**6]])
def test_foreign_ids_are_refused(ids):
    with pytest.raises(TokenError, match="Ids must lie"):
        WORDS.decode(ids)


def test_the_special_token_cannot_be_written_as_text():
    assert BPE.bos_token_id not in BPE.encode("<|bos|> a <|bos|>", bos=False)
    learned = Tokenizer.bytes_bpe(["<|bos|>" * 500], d_vocab=300)
    assert learned.decode(learned.encode("<|bos|>")) == "<|bos|>"


@pytest.mark.parametrize("tokenizer", [WORDS, LETTERS, BPE])
def test_saving_changes_nothing(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    again = Tokenizer.load(tmp_path)
    assert again.hash == tokenizer.hash
    assert again.encode_with_spans(TEXTS[0]) == tokenizer.encode_with_spans(TEXTS[0])
    again.save(tmp_path / "second.json")
    assert (tmp_path / "second.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()


def test_hash_tells_tokenizers_apart():
    assert len({WORDS.hash, LETTERS.hash, BPE.hash, Tokenizer.words(TEXTS[:1]).hash}) == 4
    assert Tokenizer.words(TEXTS).hash == WORDS.hash


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b"\xff", b'{"model": {"type": "WordLevel"}}']
)
def test_damaged_files_are_refused(content, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("model", {"continuing_subword_prefix": "longer than any token"}),
        ("post_processor", {"special_tokens": {}}),
    ],
)
def test_what_tokenizers_itself_panics_at_is_refused(part, change, tmp_path):
    content = json.loads(BPE.to_json())
    content[part] |= change
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.load(tmp_path)
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)


def test_an_id_beyond_reason_is_refused_before_every_id_below_it_is_listed(tmp_path):
    content = json.loads(WORDS.to_json())
    content["model"]["vocab"][" is"] = 2**31
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"ids below 16,777,216.*2,147,483,648"):
        Tokenizer.load(tmp_path)


def test_an_endless_word_is_learned_from_as_soon_as_words():
    start = process_time()
    learned = Tokenizer.bytes_bpe(["[" * 50_000 + "]" * 50_000], d_vocab=270)
    assert process_time() - start < 3
    assert learned.decode(learned.encode("[" * 3_000)) == "[" * 3_000
    assert len(learned.encode("[" * 1_024, bos=False)) < 20


def test_too_little_is_refused():
    with pytest.raises(ConfigError, match="257"):
        Tokenizer.bytes_bpe(TEXTS, d_vocab=100)
    with pytest.raises(NotEnoughDataError, match="needs text"):
        Tokenizer.words([""])


def test_display_is_printable_and_markup_is_escaped():
    strings = BPE.display(BPE.encode("a <b>\n\u202e☃"))
    assert strings[0] == "<|bos|>"
    assert all(sign.isprintable() for token in strings for sign in token)
    assert display_token("\u0301".encode()).startswith("◌")
    assert escape_html("<b>'\"&") == "&lt;b&gt;&#x27;&quot;&amp;"


@pytest.mark.reference
def test_transformers_reads_what_we_save(tmp_path):
    from transformers import PreTrainedTokenizerFast

    BPE.save(tmp_path)
    theirs = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"), bos_token="<|bos|>"
    )
    text = "Anna — the 👩🏽‍🚀 — is in Zürich."
    assert theirs(text)["input_ids"] == BPE.encode(text)
    back = Tokenizer.from_transformers(theirs)
    assert back.encode_with_spans(text) == BPE.encode_with_spans(text)


@pytest.mark.reference
def test_sentencepiece_style_tokenizers_keep_their_spaces():
    import tokenizers
    from tokenizers import decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab = {"<s>": 0, "▁Anna": 1, "▁is": 2, "<0xC3>": 3, "<0xA9>": 4, "▁": 5, "é": 6}
    backend = tokenizers.Tokenizer(models.WordLevel(vocab, unk_token="<s>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    backend.decoder = decoders.Metaspace(prepend_scheme="first")
    backend.add_special_tokens(["<s>"])
    backend.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = Tokenizer.from_transformers(
        PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>")
    )
    ids, spans = tokenizer.encode_with_spans("Anna is")
    assert (ids, spans) == ([0, 1, 2], [(0, 0), (0, 4), (4, 7)])
    assert tokenizer.decode(ids) == "Anna is"
    assert tokenizer.decode([2, 3, 4]) == " isé", "a continuation keeps its space"
