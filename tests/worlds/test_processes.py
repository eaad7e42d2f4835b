"""Prices of symbol worlds are exact, beliefs are Bayes', and splits share no prefix."""

import itertools
import math

import numpy as np
import pytest

from interp.core.errors import ConfigError, WorldError
from interp.models.tokenizer import Tokenizer
from interp.training.data.sources import write_world_corpus
from interp.worlds import load_world, world_names
from interp.worlds.algorithms import Modular, Repeats
from interp.worlds.processes import HiddenMarkov, mess3, rrxor
from interp.worlds.sequences import SequenceWorld
from interp.worlds.world import Choice, World

NAMES = ["mess3", "modular", "repeats", "rrxor"]


def total(choices: tuple[Choice, ...]) -> float:
    return sum(choice.surprisal_nats for choice in choices)


def text_of(world: SequenceWorld, sequence: tuple[int, ...]) -> str:
    return "".join(f" {world.symbols[symbol]}" for symbol in sequence)


@pytest.mark.parametrize("name", NAMES)
def test_worlds_keep_the_protocol(name):
    world = load_world(name)
    assert isinstance(world, World) and name in world_names()
    for split in ("train", "held_out"):
        story = world.sample(7, split=split)
        assert story == world.sample(7, split=split) != world.sample(8, split=split)
        assert world.surprisal(story.text) == story.choices
        assert all(choice.surprisal_nats >= 0 for choice in story.choices)
        for sentence in world.parse(story.text).sentences:
            assert sentence.well_formed and sentence.consistent
        for fact in story.facts:
            assert fact.value in world.variables[fact.variable]
            assert 0 <= fact.span[0] < fact.span[1] <= len(story.text)
        words = [story.text[slice(*choice.span)] for choice in story.choices]
        assert " " + " ".join(words) == story.text
    tokenizer = Tokenizer.words(world.vocabulary)
    assert len(tokenizer.encode(story.text, bos=False)) == len(story.choices), "one token a symbol"


@pytest.mark.parametrize("name", NAMES)
def test_splits_share_no_prefix(name):
    world = load_world(name)
    seen = {
        split: {
            world.prefix(world.numbers(world.sample(seed, split=split).text)) for seed in range(150)
        }
        for split in ("train", "held_out")
    }
    assert seen["train"] and seen["held_out"]
    assert not seen["train"] & seen["held_out"]
    rate = np.mean(
        [world.held_out(world.numbers(world.sample(s, split="any").text)) for s in range(150)]
    )
    assert abs(rate - world.held_out_share) < 0.14


@pytest.mark.parametrize("world", [mess3(), rrxor(), mess3(x=0.2, a=0.6)])
def test_surprisal_of_a_hidden_markov_world_is_that_of_its_matrices(world):
    chances = {}
    for sequence in itertools.product(range(len(world.symbols)), repeat=6):
        forward = world.stationary
        for symbol in sequence:
            forward = forward @ world.matrices[symbol]
        chances[sequence] = forward.sum()
        if forward.sum() > 1e-15:
            choices = world.surprisal(text_of(world, sequence))
            assert math.isclose(total(choices), -math.log(forward.sum()), abs_tol=1e-10)
            beliefs = world.beliefs(text_of(world, sequence))
            np.testing.assert_allclose(beliefs[-1], forward / forward.sum(), atol=1e-12)
        else:
            with pytest.raises(WorldError, match="probability 0"):
                world.surprisal(text_of(world, sequence))
            assert not world.parse(text_of(world, sequence)).sentences[0].consistent
    entropy = -sum(p * math.log(p) for p in chances.values() if p > 1e-15)
    assert math.isclose(sum(chances.values()), 1, abs_tol=1e-12)
    assert math.isclose(world.block_entropy_nats(6), entropy, abs_tol=1e-10)


def test_entropy_of_rrxor_is_two_bits_in_three_symbols():
    world = rrxor()
    late = world.block_entropy_nats(17) - world.block_entropy_nats(14)
    assert abs(late - 2 * math.log(2)) < 0.06


def test_mess3_is_the_published_process():
    matrices, (a, b, x, y) = mess3().matrices, (0.85, 0.075, 0.05, 0.9)
    np.testing.assert_allclose(
        matrices[0], [[a * y, b * x, b * x], [a * x, b * y, b * x], [a * x, b * x, b * y]]
    )
    np.testing.assert_allclose(
        matrices[2], [[b * y, b * x, a * x], [b * x, b * y, a * x], [b * x, b * x, a * y]]
    )


@pytest.mark.slow
@pytest.mark.parametrize("make", [mess3, rrxor])
def test_mean_surprisal_of_samples_is_the_analytic_entropy(make):
    world: HiddenMarkov = make()
    world.length, n = 9, 3_000
    stories = [world.sample(seed, split="any").choices for seed in range(n)]
    prices = np.array([(total(c), sum(x.entropy_nats for x in c)) for c in stories])
    error = prices[:, 0].std(ddof=1) / math.sqrt(n)
    assert (abs(prices.mean(0) - world.block_entropy_nats(9)) < 3.3 * error).all(), (
        "99.9 % interval"
    )


def test_hidden_states_are_drawn_from_the_belief():
    world, hits, expected = mess3(), [], []
    for seed in range(150):
        story = world.sample(seed, split="any")
        beliefs = world.beliefs(story.text)
        facts = [fact for fact in story.facts if fact.variable == "state"]
        assert all(fact.tags == ("hidden",) for fact in facts)
        hits += [float(likely == int(fact.value)) for likely, fact in
                 zip(beliefs.argmax(1), facts, strict=True)]  # fmt: skip
        expected += beliefs.max(1).tolist()
    assert abs(np.mean(hits) - np.mean(expected)) < 0.02


@pytest.mark.slow
def test_surprisal_of_repeats_by_brute_force():
    world = Repeats(n_symbols=2, length=6, periods=(2, 4))
    chances = {}
    for sequence in itertools.product(range(2), repeat=6):
        choices = [
            all(sequence[i] == sequence[i - period] for i in range(period, 6)) * 0.5**period
            for period in (2, 3, 4)
        ]
        chances[sequence] = sum(choices) / 3
        if chances[sequence]:
            cost = total(world.surprisal(text_of(world, sequence)))
            assert math.isclose(cost, -math.log(chances[sequence]), abs_tol=1e-12)
        else:
            with pytest.raises(WorldError, match="probability 0"):
                world.surprisal(text_of(world, sequence))
    assert math.isclose(sum(chances.values()), 1)
    entropy = -sum(p * math.log(p) for p in chances.values() if p)
    prices = [total(world.sample(seed, split="any").choices) for seed in range(2_000)]
    error = np.std(prices) / math.sqrt(len(prices))
    assert abs(np.mean(prices) - entropy) < 3.3 * error


def test_copies_cost_almost_nothing_and_the_period_is_told():
    world = load_world("repeats")
    story = world.sample(3)
    copies = [choice for choice in story.choices if choice.kind == "copy"]
    assert len(copies) > 20 and copies[-1].surprisal_nats < 1e-6
    (period,) = story.facts
    numbers = world.numbers(story.text)
    n = int(period.value)
    assert all(numbers[i] == numbers[i - n] for i in range(n, len(numbers)))


def test_sums_are_the_only_thing_to_learn():
    world = load_world("modular")
    story = world.sample(5)
    a, _, b, _, c = story.text.split()
    assert (int(a) + int(b)) % 59 == int(c)
    assert math.isclose(total(story.choices), 2 * math.log(59))
    assert [choice.weight for choice in story.choices] == [0, 1, 0, 1, 1]
    (question,) = story.questions
    assert story.text[slice(*question.span)] + question.answer == story.text
    assert story.facts[0].value == c
    numbers = world.numbers(story.text)
    assert world.held_out(numbers) == world.held_out([numbers[i] for i in (2, 1, 0, 3, 4)])
    small = Modular(modulus=7, train_share=0.5)
    assert small.parse(" 3 + 5 = 1 6 + 6 = 4 2 +").sentences[0].consistent
    flags = [
        (s.well_formed, s.consistent) for s in small.parse(" 3 + 5 = 1 6 + 6 = 4 2 +").sentences
    ]
    assert flags == [(True, True), (True, False)]


FOREIGN = ["A B", " A  B", " Z", " A B\n", "Anna is in the garden.", " A B ", " 3 + 5"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", FOREIGN)
def test_foreign_text_is_refused(name, text):
    world = load_world(name)
    unfinished = name == "modular" and text == " 3 + 5"
    if not unfinished:
        with pytest.raises(WorldError, match="character"):
            world.surprisal(text)
        assert not any(s.well_formed for s in world.parse(text).sentences)
    assert world.parse("").sentences == () and world.surprisal("") == ()
    with pytest.raises(ConfigError, match="no split 'composition'"):
        world.sample(0, split="composition")
    with pytest.raises(ConfigError, match="no level 'easy'"):
        world.sample(0, level="easy")


def test_wrong_sums_cannot_have_been_told():
    with pytest.raises(WorldError, match="character 9 the symbol '3'"):
        load_world("modular").surprisal(" 1 + 1 = 3")


def test_a_process_makes_a_corpus_with_its_floor(tmp_path):
    corpus = write_world_corpus(load_world("mess3"), tmp_path, n_documents=50, n_held_out=20)
    part = corpus.part("train", "full")
    assert corpus.tokenizer.d_vocab == 4
    assert part.n_tokens == 50 * 65
    floor = part.floor(np.array([0]), part.n_tokens).sum() / (50 * 64)
    rate = mess3().block_entropy_nats(9) - mess3().block_entropy_nats(8)
    assert abs(floor - rate) < 0.05
