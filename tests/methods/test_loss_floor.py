"""The floor of a text: the same tokens count for the floor as for the loss."""

import pytest
import torch

from interp import GPT, GPTConfig, load_world, surprise
from interp.methods.data.answers import predict_stories, regrets
from interp.methods.data.loss_floor import has_floor, story_floor
from interp.models.tokenizer import Tokenizer
from interp.worlds.world import Choice, Story

WORLD = load_world("modular")


def _model(n_ctx: int = 128, **special: None) -> GPT:
    backend = Tokenizer.words(WORLD.vocabulary).backend
    tokenizer = Tokenizer(backend, **special)
    torch.manual_seed(0)
    config = GPTConfig(n_layers=1, d_model=16, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=n_ctx)
    return GPT(config, tokenizer)


def test_without_a_beginning_of_text_token_the_first_token_has_neither_loss_nor_floor():
    model = _model(bos=None)
    story = WORLD.sample(3)
    (regret,), (tokens,) = (
        values.tolist() for values in regrets([story], predict_stories(model, [story]))
    )
    one = surprise(model, story.text, world=WORLD, untrained=False)
    assert tokens == len(one.tokens)
    assert regret / tokens == pytest.approx(one.regret.value, rel=1e-6)


def test_a_story_beyond_the_context_pays_for_what_is_read_only():
    model, short = _model(), _model(n_ctx=4)
    story = WORLD.sample(0)
    _, spans = model.tokenizer.encode_with_spans(story.text)
    whole, kinds = story_floor(story, spans)
    cut, first_kinds = story_floor(story, spans[:4])
    assert len(spans) > 4 and torch.equal(cut, whole[:3]) and first_kinds == kinds[:3]
    (tokens,) = regrets([story], predict_stories(short, [story]))[1].tolist()
    assert tokens == 3


def test_a_text_of_ones_own_has_no_floor():
    assert has_floor([WORLD.sample(0)])
    assert not has_floor([Story(text="Anna is in the garden.", facts=(), choices=())])


def test_a_choice_whose_word_lies_beyond_the_cut_is_not_paid_though_its_space_is_read():
    letters = [(i, i + 1) for i in range(len("Anna sits"))]
    choices = (
        Choice(span=(0, 4), kind="name", surprisal_nats=1.0, entropy_nats=1.0),
        Choice(span=(4, 9), kind="verb", surprisal_nats=2.0, entropy_nats=1.0),
    )
    story = Story(text="Anna sits", facts=(), choices=choices)
    assert story_floor(story, letters)[0].sum() == 2.0
    assert story_floor(story, letters[:5])[0].sum() == 0.0
