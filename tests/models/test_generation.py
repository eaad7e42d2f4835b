"""Continuing prompts: what is sampled, how it is recorded, when it ends."""

import itertools
import time
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.core.edits import Add, Scale, Where
from interp.core.errors import ConfigError, NonFiniteError, TokenError
from interp.core.protocols import Step
from interp.models.gpt import GPT
from interp.models.sampling import Sampling, choose, pick, uniforms
from interp.models.tokenizer import Tokenizer
from tests.families import FAMILIES, tiny

PROMPT = [3, 9, 1, 12]
TEXT = "the cat sat on the mat and the dog sat on the log"


def talker(**changes: object) -> GPT:
    """A tiny model that speaks in characters."""
    tokenizer = Tokenizer.characters([TEXT])
    model = tiny("llama", d_vocab=tokenizer.d_vocab, n_ctx=64, **changes)
    model.tokenizer = tokenizer
    return model


def test_greedy_is_the_argmax_of_each_next_logits(any_model: GPT) -> None:
    tokens = list(PROMPT)
    for _ in range(8):
        tokens.append(int(any_model.run(tokens).logits[0, -1].argmax()))
    out = any_model.generate(PROMPT, max_new_tokens=8, temperature=0)
    assert out.tokens == [tokens[4:]] and out.prompts == [PROMPT]
    assert out.finished == ["length"]


@pytest.mark.parametrize("family", FAMILIES)
def test_no_way_of_running_changes_the_tokens(family: str) -> None:
    model, rows = tiny(family), [PROMPT, [3], [3, 22, 14, 7, 2, 28, 9]]
    for how in (dict(temperature=0.0), dict(top_p=0.9, repetition_penalty=1.3), dict(top_k=4)):
        together = model.generate(rows, **how, max_new_tokens=8, seed=[7, 8, 9])
        plain = model.generate(rows, **how, max_new_tokens=8, seed=[7, 8, 9], use_cache=False)
        assert plain.tokens == together.tokens
        for row, prompt in enumerate(rows):
            alone = model.generate(prompt, **how, max_new_tokens=8, seed=7 + row)
            assert alone.tokens == [together.tokens[row]]
            for a, b in zip(alone.steps[0], together.steps[row], strict=True):
                assert a.draw == b.draw and a.rank == b.rank
                assert a.log_prob_nats == pytest.approx(b.log_prob_nats, abs=1e-4)


def test_seeds_repeat_and_differ(tiny_model: GPT) -> None:
    def sampled(seed: object) -> list[list[int]]:
        return tiny_model.generate([PROMPT, PROMPT], seed=seed, max_new_tokens=12).tokens

    assert sampled(1) == sampled(1) != sampled(2)
    assert sampled(1)[0] != sampled(1)[1]
    assert sampled([5, 5])[0] == sampled([5, 5])[1] == sampled(5)[0]
    longer = tiny_model.generate(PROMPT, seed=5, max_new_tokens=16).tokens[0]
    assert longer[:12] == sampled(5)[0]


def test_a_text_can_be_continued_as_if_it_had_never_been_left(any_model: GPT) -> None:
    push = Add(
        hook=("resid_post", 0),
        vector=torch.linspace(-2, 2, any_model.cfg.d_model),
        where=Where(span="generated"),
    )
    for edits in ([], [push]):
        how = dict(seed=5, top_p=0.9, edits=edits)
        whole = any_model.generate(PROMPT, max_new_tokens=12, **how)
        written: list[int] = []
        for size in (1, 4, 7):
            part = any_model.generate(
                PROMPT + written, written=len(written), max_new_tokens=size, **how
            )
            written += part.tokens[0]
        assert written == whole.tokens[0]
        assert part.steps[0][-1].draw == whole.steps[0][-1].draw


def test_a_temperature_near_zero_is_greedy(any_model: GPT) -> None:
    cold = any_model.generate(PROMPT, temperature=1e-4, max_new_tokens=8).tokens
    assert cold == any_model.generate(PROMPT, temperature=0, max_new_tokens=8).tokens
    assert cold == any_model.generate(PROMPT, top_k=1, max_new_tokens=8).tokens


def test_every_step_tells_the_truth(tiny_model: GPT) -> None:
    how = dict(temperature=0.7, top_p=0.8, top=29)
    out = tiny_model.generate(PROMPT, max_new_tokens=6, seed=3, **how)
    for i, step in enumerate(out.steps[0]):
        logits = tiny_model.run(PROMPT + out.tokens[0][:i]).logits[0, -1]
        log_probs, warm = logits.log_softmax(-1), (logits / 0.7).softmax(-1)
        assert step.log_prob_nats == pytest.approx(float(log_probs[step.token]), abs=1e-4)
        assert step.rank == int((log_probs > log_probs[step.token]).sum())
        ordered = warm.sort(descending=True)
        kept = ordered.indices[: int((ordered.values.cumsum(0) < 0.8).sum()) + 1]
        mass = float(warm[kept].sum())
        assert step.kept_mass == pytest.approx(mass, abs=1e-4)
        assert step.probability == pytest.approx(float(warm[step.token]) / mass, abs=1e-4)
        sampled = warm[kept] / mass
        entropy = float(-(sampled * sampled.log2()).sum())
        assert step.entropy_bits == pytest.approx(entropy, abs=1e-3)
        assert {token for token, _, as_drawn in step.top if as_drawn > 0} == set(kept.tolist())
        assert step.top[0][0] == int(logits.argmax()) and len(step.top) == 29
        below = float(torch.zeros(29).scatter(0, kept, sampled)[: step.token].sum())
        assert below - 1e-4 <= step.draw < below + step.probability + 1e-4


def test_greedy_steps_say_so(tiny_model: GPT) -> None:
    step = tiny_model.generate(PROMPT, max_new_tokens=1, temperature=0).steps[0][0]
    assert (step.draw, step.probability, step.entropy_bits, step.rank) == (None, 1.0, 0.0, 0)
    assert step.top[0][::2] == (step.token, 1.0) and len(step.top) == 5


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.floats(0.2, 3.0),
    st.none() | st.integers(1, 12),
    st.none() | st.floats(0.05, 1.0),
    st.none() | st.floats(0.0, 1.0),
)
def test_cut_offs_keep_the_best_and_never_draw_the_rest(
    seed: int, temperature: float, top_k: int | None, top_p: float | None, min_p: float | None
) -> None:
    logits = torch.randn(16, 10, generator=torch.Generator().manual_seed(seed)) * 3
    how = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, top=10)
    column = choose(logits, how, uniforms(seed, 16, 1)[:, 0])
    sampled = torch.zeros(16, 10).scatter(1, column.top_ids, column.top_sampling_probability)
    torch.testing.assert_close(sampled.sum(1), torch.ones(16))
    assert (sampled.gather(1, column.token[:, None]) > 0).all()
    counts = (sampled > 0).sum(1)
    assert (sampled.argmax(1) == logits.argmax(1)).all()
    assert (counts <= (top_k or 10)).all()
    worst_kept = logits.where(sampled > 0, torch.inf).min(1).values
    best_cut = logits.where(sampled == 0, -torch.inf).max(1).values
    assert (worst_kept >= best_cut).all()


def test_draws_follow_the_distribution() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0, -1.0]]).repeat(20_000, 1)
    column = choose(logits, Sampling(temperature=1.3), uniforms(0, 20_000, 1)[:, 0])
    shares = torch.bincount(column.token, minlength=4) / 20_000
    torch.testing.assert_close(shares, (logits[0] / 1.3).softmax(0), atol=0.012, rtol=0)


@pytest.mark.reference
def test_the_repetition_penalty_is_that_of_transformers(tiny_model: GPT) -> None:
    from transformers import RepetitionPenaltyLogitsProcessor

    process, tokens = RepetitionPenaltyLogitsProcessor(1.7), list(PROMPT)
    for _ in range(8):
        logits = process(torch.tensor([tokens]), tiny_model.run(tokens).logits[:, -1].clone())
        tokens.append(int(logits.argmax()))
    how = dict(temperature=0, repetition_penalty=1.7, max_new_tokens=8)
    assert tiny_model.generate(PROMPT, **how).tokens == [tokens[4:]]


def test_a_stop_string_ends_its_row_alone_and_is_cut_off() -> None:
    model = talker()
    plain = model.generate(["the cat", "the dog"], max_new_tokens=30, seed=2)
    stop = plain.texts[0][5:7]
    out = model.generate(["the cat", "the dog"], max_new_tokens=30, seed=2, stop=[stop, "@@"])
    cut = plain.texts[0].index(stop)
    assert out.finished[0] == "stop_string" and out.texts[0] == plain.texts[0][:cut]
    assert out.tokens[0] == plain.tokens[0][: cut + 2] and len(out.steps[0]) == cut + 2
    if stop not in plain.texts[1]:
        assert out.tokens[1] == plain.tokens[1]
    alone = model.generate("the cat", max_new_tokens=30, seed=2, stop=stop)
    assert alone.tokens[0] == out.tokens[0]
    assert alone.text == out.texts[0]


def test_the_token_that_begins_a_text_ends_one() -> None:
    model = talker()
    bos = model.tokenizer.bos_token_id
    out = model.generate(["the"] * 40, max_new_tokens=50)
    ended = [row for row, why in enumerate(out.finished) if why == "end_of_text"]
    assert ended
    for row, tokens in enumerate(out.tokens):
        assert (bos in tokens) == (row in ended) and bos not in tokens[:-1]
        assert "<|bos|>" not in out.texts[row]
        assert len(out.steps[row]) == len(tokens)


def test_a_full_context_ends_a_row_at_its_own_length(tiny_model: GPT) -> None:
    rows = [list(range(1, 21)), [5, 6, 7]]
    out = tiny_model.generate(rows, max_new_tokens=18, temperature=0)
    assert out.finished == ["context", "length"]
    assert [len(tokens) for tokens in out.tokens] == [4, 18]
    alone = tiny_model.generate(rows[1], max_new_tokens=18, temperature=0)
    assert alone.tokens[0] == out.tokens[1]
    full = tiny_model.generate(list(range(24)), max_new_tokens=3)
    assert (full.tokens, full.finished, full.steps) == ([[]], ["context"], [[]])
    with pytest.raises(TokenError, match="holds 24"):
        tiny_model.generate(list(range(25)))


def test_nothing_to_generate_is_nothing() -> None:
    out = talker().generate("the", max_new_tokens=0)
    assert (out.tokens, out.text, out.finished) == ([[]], "", ["length"])


def test_a_stream_gives_the_same_steps_as_they_come() -> None:
    model = talker()
    how = dict(max_new_tokens=20, seed=4, stop=["a"])
    whole = model.generate(["the cat", "the dog sat"], **how)
    columns = list(model.stream(["the cat", "the dog sat"], **how))
    for row in range(2):
        steps = [column[row] for column in columns]
        own = [step for step in steps if step is not None]
        assert [step.token for step in own] == whole.tokens[row]
        assert own == whole.steps[row] and steps[len(own) :] == [None] * (len(steps) - len(own))


def test_a_stream_may_be_left_and_leaves_nothing(tiny_model: GPT) -> None:
    before = tiny_model.run(PROMPT).logits
    first = list(itertools.islice(tiny_model.stream(PROMPT, seed=1), 3))
    assert all(isinstance(step, Step) for [step] in first)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert torch.equal(tiny_model.run(PROMPT).logits, before)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (dict(temperature=-1), "temperature"),
        (dict(temperature=float("nan")), "temperature"),
        (dict(top_k=0), "top_k"),
        (dict(top_p=0.0), "top_p"),
        (dict(min_p=1.5), "min_p"),
        (dict(repetition_penalty=0), "repetition_penalty"),
        (dict(max_new_tokens=-1), "max_new_tokens"),
        (dict(stop=[""]), "stop"),
        (dict(written=-1), "written"),
        (dict(written=4), "4 of 4 tokens"),
        (dict(stop=["a"]), "tokenizer"),
        (dict(seed=[1, 2]), "2 seeds for 1 rows"),
    ],
)
def test_options_out_of_range_are_refused(
    tiny_model: GPT, options: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        tiny_model.generate(PROMPT, **options)
    with pytest.raises(ConfigError, match=says):
        tiny_model.stream(PROMPT, **options)


TALKER = talker()
WRONG_SETTINGS = {
    "max_new_tokens": [2.5, -1, "8", None, True, float("nan")],
    "temperature": ["0", None, -1, float("nan"), float("inf"), 1e-9, 10**400, True, [1.0]],
    "top_k": [1.5, 0, "3", True, float("nan"), [5]],
    "top_p": ["0.9", 0, 1.1, float("nan"), True],
    "min_p": ["0.1", -0.1, float("nan"), 2],
    "repetition_penalty": ["1", 0, -1, float("nan"), float("inf"), None],
    "stop": [[b"a"], b"a", [""], "", None, 3, [None]],
    "seed": [None, 1.5, "7", [1.5], [None], [True], b"1"],
    "top": [2.5, -1, None],
    "written": [1.5, -1, None],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, wrong in WRONG_SETTINGS.items() for value in wrong]
)
def test_a_setting_of_another_kind_is_refused_in_a_sentence(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        talker().generate(PROMPT, **{name: value})


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=2)), max_size=3),
)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(WRONG_SETTINGS)), ANYTHING)
def test_any_value_of_any_setting_draws_or_is_refused(name: str, value: object) -> None:
    try:
        out = TALKER.generate(PROMPT, **{"max_new_tokens": 2, name: value})
    except (ConfigError, TokenError) as error:
        assert str(error).endswith((".", "?"))
    else:
        assert all(0 <= token < TALKER.cfg.d_vocab for token in out.tokens[0])
        assert all(0 <= step.probability <= 1 for step in out.steps[0])


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    how = dict(max_new_tokens=np.int64(4), top_k=np.int32(5), seed=np.int64(3))
    plain = dict(max_new_tokens=4, top_k=5, seed=3)
    assert TALKER.generate(PROMPT, **how).tokens == TALKER.generate(PROMPT, **plain).tokens


def test_tokens_that_the_context_has_no_room_for_cost_nothing() -> None:
    tracemalloc.start()
    begun = time.process_time()
    out = TALKER.generate(PROMPT, max_new_tokens=300_000_000, seed=2)
    used, peak = time.process_time() - begun, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out.finished == ["context"] or out.finished == ["end_of_text"]
    assert used < 2 and peak < 2e7
    # The draws are those of a call that asks for as many as there is room for.
    few = TALKER.generate(PROMPT, max_new_tokens=TALKER.cfg.n_ctx - len(PROMPT), seed=2)
    assert few.tokens == out.tokens


@pytest.mark.parametrize("use_cache", [True, False])
def test_logits_that_are_no_numbers_are_refused_at_once(use_cache: bool) -> None:
    model = talker()
    model.blocks[1].mlp.up.weight.data[0, 0] = float("nan")
    with pytest.raises(NonFiniteError, match=r"tiny-llama gives float32 .*row 0, position 3"):
        model.generate(PROMPT, use_cache=use_cache)
    huge = Scale(hook=("resid_post", 0), factor=1e30, where=Where(span="generated"))
    with pytest.raises(NonFiniteError, match=r"resid_post of tiny-llama .* Weaken it"):
        talker().generate(PROMPT, edits=[huge], use_cache=use_cache)


@pytest.mark.reference
@pytest.mark.parametrize("with_min_p", [False, True])
def test_cut_offs_together_are_those_of_transformers(with_min_p: bool) -> None:
    """After their processors in the order in which their `generate` applies them."""
    from transformers.generation import logits_process as theirs

    random = torch.Generator().manual_seed(0)
    for _ in range(200):
        top_p, min_p, warmth = (torch.rand(3, generator=random) * 0.9 + 0.05).tolist()
        top_k = int(torch.randint(1, 40, (), generator=random))
        logits = torch.randn(1, 50, generator=random) * 3
        seen = torch.randint(0, 50, (1, 6), generator=random)
        process = theirs.LogitsProcessorList(
            [
                theirs.RepetitionPenaltyLogitsProcessor(1.3),
                theirs.TemperatureLogitsWarper(warmth),
                theirs.TopKLogitsWarper(top_k),
                theirs.TopPLogitsWarper(top_p),
                *([theirs.MinPLogitsWarper(min_p)] if with_min_p else []),
            ]
        )
        how = Sampling(
            temperature=warmth,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p if with_min_p else None,
            repetition_penalty=1.3,
        )
        mask = torch.zeros(1, 50, dtype=torch.bool).scatter(1, seen, True)
        ours = pick(logits, how, torch.zeros(1, dtype=torch.float64), mask)
        torch.testing.assert_close(ours.probabilities, process(seen, logits.clone()).softmax(-1))
