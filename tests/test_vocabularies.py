"""Every instrument on a model without a tokenizer, and on one with more ids than its tokenizer."""

import re

import pytest
import torch

from interp.core.edits import Add, Where
from interp.core.errors import TokenError
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.no_tokenizer import NoTokenizer
from interp.models.tokenizer import Tokenizer
from interp.results.registry import get_instrument, instruments
from tests.analyses.tiny_world import TinyWorld

WORLD = TinyWorld()
TEXTS = [WORLD.sample(seed).text for seed in range(40)]
WORDS = Tokenizer.words(TEXTS)
PADDING = 300
"""Most of the model's ids: whatever it chooses by chance is an id that no token has."""
PROMPT = " ".join(TEXTS[0].split()[:8])
EDIT = Add(hook=("resid_post", 0), vector=torch.ones(16), scale=0.5, where=Where())


def _model(tokenizer: Tokenizer | None, step: int) -> GPT:
    cfg = GPTConfig(
        n_layers=2, d_model=16, n_heads=2, n_ctx=64, d_vocab=WORDS.d_vocab + PADDING, tied=False,
        init_std=0.3, embed_std=0.5, head_std=0.5,
    )  # fmt: skip
    model = GPT(cfg, tokenizer, seed=step, name="tiny").eval()
    model.step = step
    return model


def _with_history(tokenizer: Tokenizer | None) -> GPT:
    model = _model(tokenizer, 4)
    model.history = {step: _model(tokenizer, step) for step in range(5)}
    return model


@pytest.fixture(scope="module")
def bare() -> GPT:
    return _with_history(None)


@pytest.fixture(scope="module")
def wide() -> GPT:
    return _with_history(WORDS)


ON_A_PROMPT = {
    "attention": dict(untrained=1),
    "blame": dict(untrained=1, most_points=4, tolerance=1e9),
    "checkpoint_viewer": dict(n_tokens=4),
    "component_scaling": dict(n_random=1),
    "continuation": dict(edits=[EDIT], max_new_tokens=4),
    "gradient_step": dict(lr=0.001),
    "head_ablation": dict(untrained=1, shuffles=1),
    "logit_lens": dict(untrained=True),
    "prediction": dict(),
}
ON_IDS = {"heads": dict(n_sequences=2, untrained=1, ablation="mean")}
ON_TEXTS = {
    "influence": dict(texts=TEXTS[:4], prompt=PROMPT),
    "loss_change_allocation": dict(texts=TEXTS[:2], most_points=4, tolerance=1e9),
    "surprise": dict(text=PROMPT),
    "tuned_lens": dict(texts=TEXTS, steps=3),
    "concept": dict(positive=TEXTS[:20], negative=TEXTS[20:]),
    "steering_metrics": dict(prompt=PROMPT, edits=[EDIT], words=["garden"], n_texts=2, n_random=1),
    "checkpoint_metrics": dict(texts=TEXTS[:4], measures=["loss"]),
    "emergence": dict(texts=TEXTS[:4], measures=["loss"]),
}
OF_A_WORLD = (
    "comprehension", "curriculum", "fidelity", "learning_curve", "probe", "scaling_law",
    "state_decoding", "state_edit", "regression_probe", "steering",
)  # fmt: skip
"""They read stories of a world, or a run's record: no id in them is chosen by the model."""


def test_no_instrument_is_left_out():
    assert {*ON_A_PROMPT, *ON_IDS, *ON_TEXTS, *OF_A_WORLD} == set(instruments())


@pytest.mark.parametrize("name", [*ON_A_PROMPT, *ON_IDS])
def test_without_a_tokenizer_ids_are_shown_by_number(name, bare):
    options = ON_A_PROMPT.get(name, {}) | ON_IDS.get(name, {})
    options |= dict(prompt=[3, 5, 7, 9]) if name in ON_A_PROMPT else {}
    result = get_instrument(name).function(bare, **options)
    assert str(result) and result.caption() and result.figure()
    tokens = getattr(result, "tokens", ())
    assert all(re.fullmatch(r"#\d+", token) for token in tokens)


@pytest.mark.parametrize("name", ON_TEXTS)
def test_without_a_tokenizer_text_is_refused_in_one_sentence(name, bare):
    with pytest.raises(TokenError, match="needs a tokenizer, and this model has none"):
        get_instrument(name).function(bare, **ON_TEXTS[name])


@pytest.mark.parametrize("name", [*ON_A_PROMPT, *ON_IDS, *ON_TEXTS])
def test_what_the_model_chooses_beyond_its_tokenizer_has_a_name(name, wide):
    options = (ON_A_PROMPT | ON_IDS | ON_TEXTS)[name]
    options = options | (dict(prompt=PROMPT) if name in ON_A_PROMPT else {})
    result = get_instrument(name).function(wide, **options)
    assert str(result) and result.caption() and result.figure()


def test_ids_without_a_token_have_a_name_and_no_bytes(wide):
    tokenizer, last = wide.tokenizer, wide.cfg.d_vocab - 1
    assert tokenizer.display([1, last]) == [*WORDS.display([1]), f"<unused {last}>"]
    assert tokenizer.pieces([last]) == [b""] and tokenizer.decode([1, last]) == WORDS.decode([1])
    with pytest.raises(TokenError, match="Ids must lie"):
        tokenizer.decode([last + 1])
    with pytest.raises(TokenError, match="Ids must lie"):
        WORDS.decode([last])
    with pytest.raises(TokenError, match="Ids must lie"):
        get_instrument("logit_lens").function(wide, [1, last])


@pytest.mark.parametrize("options", [dict(temperature=0.0), dict(seed=3), dict(stop=[" garden"])])
def test_text_with_ids_that_no_token_has_is_kept(options, wide):
    generation = wide.generate(PROMPT, max_new_tokens=30, **options)
    assert max(generation.tokens[0]) >= WORDS.d_vocab, "else this tests nothing"
    known = [token for token in generation.tokens[0] if token < WORDS.d_vocab]
    assert generation.text == WORDS.decode(known)


def test_a_hole_in_the_table_is_shown_as_unused():
    import tokenizers

    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "c": 2}))
    assert Tokenizer(backend, bos=None).display([0, 1, 2]) == ["a", "<unused 1>", "c"]


def test_a_model_without_tokenizer_generates_ids_and_stops_where_its_files_say(bare):
    assert isinstance(bare.tokenizer, NoTokenizer)
    free = bare.generate([[1, 2]], max_new_tokens=9, temperature=0.0)
    assert free.texts == [""] and len(free.tokens[0]) == 9
    fourth = free.tokens[0][3]
    stopped = _model(None, 4)
    stopped.cfg = type(bare.cfg)(**vars(bare.cfg) | {"eos_token_ids": (5, fourth)})
    ended = stopped.generate([[1, 2]], max_new_tokens=9, temperature=0.0)
    assert ended.finished == ["end_of_text"]
    assert ended.tokens[0] == free.tokens[0][: free.tokens[0].index(fourth) + 1]
