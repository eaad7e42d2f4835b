"""Texts as rows of ids: one prompt, the tokens of many texts, and who splits them alike."""

import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers

from interp.analyses.attention_heads.head_ablation import head_ablation
from interp.analyses.attribution.gradient_step import gradient_step
from interp.analyses.interventions.component_scaling import component_scaling
from interp.analyses.lenses.logit_lens import logit_lens
from interp.core.errors import ModelMismatchError, ShapeError, TokenError
from interp.methods.data.answer_loss import PromptAnswer
from interp.methods.prompts import (
    answer_ids,
    answer_token,
    continuation_ids,
    displayed,
    one_row,
    refuse_other_split,
    single_tokens,
    text_ids,
)
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer

TEXTS = ["Anna is here.", "Ben is here too."]


def model_of(tokenizer: Tokenizer, name: str) -> GPT:
    cfg = GPTConfig(n_layers=1, d_model=8, n_heads=1, d_vocab=tokenizer.d_vocab, n_ctx=32)
    return GPT(cfg, tokenizer, seed=0, name=name)


@pytest.fixture(scope="module")
def words() -> GPT:
    return model_of(Tokenizer.words(TEXTS), "words")


def test_texts_are_the_tokens_that_the_model_is_fed(words):
    assert [list(ids) for ids in text_ids(words, TEXTS)] == [
        words.tokenizer.encode(text) for text in TEXTS
    ]


def test_other_numbers_for_the_same_pieces_are_the_same_split(words):
    other = model_of(Tokenizer.words([*TEXTS, "A cat."]), "more")
    assert text_ids(other, TEXTS) != text_ids(words, TEXTS)
    refuse_other_split(other, words, TEXTS)
    with pytest.raises(ModelMismatchError, match="letters splits it otherwise than words"):
        refuse_other_split(model_of(Tokenizer.characters(TEXTS), "letters"), words, TEXTS)


def spaced_merges(word: str) -> Tokenizer:
    """Byte-level merges that know a word only with a space before it, as most of GPT-2's."""
    starts = ["Ġ", *(f"Ġ{word[:n]}" for n in range(1, len(word)))]
    signs = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {sign: i for i, sign in enumerate([*signs, *starts[1:], f"Ġ{word}"])}
    backend = Backend(models.BPE(vocab, list(zip(starts, word, strict=True))))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend, bos=None)


BPE = spaced_merges("harbor")


@pytest.mark.parametrize("typed", ["harbor", " harbor"])
@pytest.mark.parametrize("tokenizer", [Tokenizer.words(["a harbor"]), BPE], ids=["words", "bpe"])
def test_a_typed_word_is_the_form_that_the_tokenizer_has(tokenizer, typed):
    (token,) = single_tokens(tokenizer, [typed])
    assert displayed(tokenizer, [token]) == ("·harbor",)


def test_the_exact_form_comes_first():
    both = Tokenizer.words(["harbor harbor"])
    assert single_tokens(both, ["harbor", " harbor"]) == [
        both.backend.token_to_id("harbor"), both.backend.token_to_id(" harbor")
    ]  # fmt: skip
    only = Tokenizer.words(["It is. It is"])
    assert displayed(only, single_tokens(only, ["It", " It"])) == ("It", "·It")
    bare = Tokenizer.words(["It is"])
    assert displayed(bare, single_tokens(bare, [" It"])) == ("It",), "nor is a space ever needed"
    with pytest.raises(TokenError, match="Did you mean ' harbor'"):
        single_tokens(Tokenizer.words(["a harbor"]), ["harbr"])
    with pytest.raises(TokenError, match="exactly one token"):
        single_tokens(BPE, ["a harbor"])


def test_an_answer_follows_a_prompt_in_the_form_that_the_tokenizer_has(words):
    for answer in ("here", " here"):
        pair = PromptAnswer.of(words, "Anna is", answer)
        assert displayed(words.tokenizer, pair.answer) == ("·here",)
    metaspace = Backend(
        models.BPE({s: i for i, s in enumerate(["▁", "a", "b", "▁a"])}, [("▁", "a")])
    )
    metaspace.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    metaspace.decoder = decoders.Metaspace(prepend_scheme="always")
    spaced = Tokenizer(metaspace, bos=None)
    assert continuation_ids(spaced, " ab") == [3, 2], "no second space before the one typed"
    assert spaced.decode([3, 2]) == " ab"


def merges(*words: str) -> Tokenizer:
    """Byte-level BPE, as of GPT-2, to which each of these words is one token."""
    signs = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab, pairs = {sign: i for i, sign in enumerate(signs)}, []
    for word in words:
        bare = word.removeprefix("Ġ")
        parts = [(word[0], bare)] if bare != word and bare in vocab else []
        for pair in parts or ((word[:n], word[n]) for n in range(1, len(word))):
            vocab["".join(pair)] = len(vocab)
            pairs.append(pair)
    backend = Backend(models.BPE(vocab, pairs))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend, bos=None)


BOTH = merges("Paris", "ĠParis", "Ġharbor", "ization")


@pytest.mark.parametrize(
    ("prompt", "typed", "read"),
    [
        ("The capital of France is", "Paris", " Paris"),
        ("The capital of France is", " Paris", " Paris"),
        ("The capital of France is ", "Paris", "Paris"),
        ("He said:", "Paris", " Paris"),
        ('He said "', "Paris", "Paris"),
        ("(", "Paris", "Paris"),
        ("", "Paris", "Paris"),
        ("in the", "harbor", " harbor"),
        ("token", "ization", "ization"),
        ("Paris", ".", "."),
        ("巴", "黎", "黎"),
        ("in 19", "45", "45"),
        ("pi is 3.", "14", "14"),
        ("in 1945,", "Paris", " Paris"),
    ],
)
def test_an_answer_is_read_as_it_goes_on_from_its_prompt(prompt, typed, read):
    assert BOTH.decode(answer_ids(BOTH, prompt, typed)) == read
    assert answer_ids(BOTH, BOTH.encode(prompt), typed) == answer_ids(BOTH, prompt, typed)


@pytest.mark.parametrize("answer", ["Paris", "harbor", "Tulip", "7", "ization", "a b", "黎", "—"])
@pytest.mark.parametrize("tokenizer", [BOTH, merges()], ids=["bpe", "bytes"])
def test_an_answer_with_its_space_is_never_changed(tokenizer, answer):
    for prompt in ("in the", "in the ", "", "("):
        spaced = answer_ids(tokenizer, prompt, f" {answer}")
        assert spaced == tokenizer.encode(f" {answer}", bos=False)
        assert answer_ids(tokenizer, prompt, answer) in (
            tokenizer.encode(answer, bos=False), spaced
        )  # fmt: skip


def test_every_instrument_reads_an_answer_alike():
    model = model_of(BOTH, "both")
    first, prompt = BOTH.encode(" Paris")[0], "is"
    assert PromptAnswer.of(model, prompt, "Paris").answer == (first,)
    assert answer_token(BOTH, prompt, "Paris") == first
    result = head_ablation(model, prompt, answer="Paris", untrained=0, shuffles=1)
    assert result.answer == "·Paris" and "'·Paris'" in result.caption()
    pulled = component_scaling(model, prompt, answer="Paris", n_random=1)
    assert pulled.answer == "·Paris"
    learned = gradient_step(model, prompt, answer="Paris", n_random=1)
    assert learned.answer == "·Paris" and "'·Paris'" in learned.caption()
    followed = logit_lens(model, prompt, targets=["Paris", " Paris"], untrained=False)
    assert followed.targets == ("·Paris", "·Paris")
    with pytest.raises(TokenError, match="exactly one token"):
        answer_token(BOTH, prompt, "Tulip")


def test_a_text_that_is_too_long_is_called_so_whatever_words_it_holds(words):
    with pytest.raises(TokenError, match=r"holds 32 tokens; the prompt has 6\d\. Cut it"):
        words.to_tokens("zebra " * 30 + "is " * 30)
    with pytest.raises(TokenError, match="'zebra'"):
        words.to_tokens("zebra is here.")


def test_what_is_not_one_prompt_or_one_token_is_refused(words):
    assert one_row(words, TEXTS[0]).shape[0] == 1
    with pytest.raises(ShapeError, match="needs one prompt; got 2"):
        one_row(words, one_row(words, TEXTS[0]).repeat(2, 1))
    with pytest.raises(TokenError, match="exactly one token"):
        single_tokens(words.tokenizer, ["Anna is"])
