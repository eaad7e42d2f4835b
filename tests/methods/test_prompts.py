"""Texts as rows of ids: one prompt, the tokens of many texts, and who splits them alike."""

import pytest

from interp.core.errors import ModelMismatchError, ShapeError, TokenError
from interp.methods.prompts import one_row, refuse_other_split, single_tokens, text_ids
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


def test_what_is_not_one_prompt_or_one_token_is_refused(words):
    assert one_row(words, TEXTS[0]).shape[0] == 1
    with pytest.raises(ShapeError, match="needs one prompt; got 2"):
        one_row(words, one_row(words, TEXTS[0]).repeat(2, 1))
    with pytest.raises(TokenError, match="exactly one token"):
        single_tokens(words.tokenizer, ["Anna is"])
