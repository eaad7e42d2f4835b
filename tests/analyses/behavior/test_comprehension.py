"""Comprehension: what a reader of known habits answers is scored as what it is."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from interp.analyses.behavior._continuations import (
    OWN_TEXT,
    UNTRAINED,
    openings,
    rates,
    tellable,
)
from interp.analyses.behavior._question_sample import eventful_stories
from interp.analyses.behavior._question_scores import balanced_accuracy
from interp.analyses.behavior._shortcut_baselines import FITTED
from interp.analyses.behavior.comprehension import Comprehension, comprehension
from interp.core.errors import ConfigError, InterpError, NotEnoughDataError
from interp.methods.data.answers import predict_stories, regrets, right_answers, says_unknown
from interp.methods.data.examples import sample_stories
from interp.methods.data.questions import (
    questions_in,
)
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from interp.plots.behavior.comprehension import figure
from interp.worlds import load_world
from interp.worlds.stories import Stories
from interp.worlds.world import Question, Story
from tests.analyses.tiny_model import tiny_model
from tests.analyses.tiny_world import TinyWorld


class Remembered(Stories):
    """The stories world; a held-out story takes many draws, so each is told once."""

    sample = cache(Stories.sample)
    sample_eventful = cache(Stories.sample_eventful)


WORLD = Remembered()
N, SPLITS, LEVEL = 16, ("held_out", "composition"), "full"
EVENTFUL = 24
Habit = Callable[[Question], str]


@cache
def stories() -> tuple[Story, ...]:
    options = {"seed": 0, "level": LEVEL}
    told = [s for split in SPLITS for s in sample_stories(WORLD, N, split=split, **options)]
    return (
        *told,
        *(s for split in SPLITS for s in eventful_stories(WORLD, EVENTFUL, 0, LEVEL, split)),
    )


@cache
def tokenizer() -> Tokenizer:
    return Tokenizer.words([story.text for story in stories()] + [" Nobody knows."])


class Reader:
    """Knows every word that comes next and answers questions by a habit: a causal look-up table."""

    name, hash, step, hook_names = "reader", "0" * 16, None, ()
    device = torch.device("cpu")

    def __init__(self, habit: Habit, sample: Iterable[Story] = ()) -> None:
        self.tokenizer = tokenizer()
        sizes = dict(n_layers=0, n_heads=1, d_model=1, d_head=1, d_mlp=1, attn_only=False)
        self.cfg = SimpleNamespace(n_ctx=512, d_vocab=self.tokenizer.d_vocab, **sizes)
        self.device = torch.device("cpu")
        self.following: dict[tuple[int, ...], int] = {}
        for story in sample or stories():
            for question in story.questions:
                before = story.text[: question.span[1]]
                self._learn(len(self._ids(before)), self._ids(before + habit(question)))
            self._learn(1, self._ids(story.text))

    def run(self, tokens: Tensor, **options: object) -> SimpleNamespace:
        logits = torch.zeros(*tokens.shape, self.cfg.d_vocab)
        for row, ids in zip(logits, tokens.tolist(), strict=True):
            for end in range(1, len(ids) + 1):
                row[end - 1, self.following.get(tuple(ids[:end]), 0)] = 30.0
        return SimpleNamespace(logits=logits)

    def weight(self, name: str) -> Tensor:
        """Only asked for its precision."""
        return torch.zeros(1)

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer.encode(text))

    def _learn(self, known: int, ids: tuple[int, ...]) -> None:
        for end in range(known, len(ids)):
            self.following.setdefault(ids[:end], ids[end])


def read(habit: Habit, **options) -> Comprehension:
    how = {"n_stories": N, "n_fitted": 100, "n_generated": 0, "n_eventful": EVENTFUL} | options
    return comprehension(Reader(habit), WORLD, **how)


def random_model() -> GPT:
    cfg = GPTConfig(
        n_layers=1, d_model=16, n_heads=2, d_vocab=tokenizer().d_vocab, n_ctx=192, init_std=None
    )
    return GPT(cfg, tokenizer(), seed=3)


@pytest.fixture(scope="module")
def perfect() -> Comprehension:
    return read(lambda question: question.answer)


def test_who_knows_everything_is_right_everywhere(perfect: Comprehension) -> None:
    assert {row.accuracy.value for row in perfect.rows} == {1.0}
    assert {i.value for result in perfect.recall.values() for i in result.values()} == {1.0}
    assert list(perfect.accuracy) == list(SPLITS)
    assert perfect.row("never_said").n == sum(len(s.questions) for s in stories()[:N])
    assert all(row.margin.value == 1 - row.shortcuts[row.best].value for row in perfect.rows)
    assert math.isnan(perfect.untrained_regret), "a reader without weights has no untrained twin"


@pytest.mark.parametrize("name", ["most_recent", "first"])
def test_who_takes_a_shortcut_scores_as_the_shortcut(name: str) -> None:
    """And the margin over it is nought, with no width, for they are paired."""
    result = read(lambda question: question.shortcuts.get(name, " Nobody knows."))
    for row in result.rows:
        assert row.accuracy.value == pytest.approx(row.shortcuts[name].value), row.kind
        if row.best == name:
            assert row.margin.value == 0 and not row.safe
            assert row.margin.n < 2 or row.margin.low == row.margin.high == 0
    assert result.unsafe and "WARNING" in result.caption()


def test_who_always_says_unknown_earns_half_and_nothing_else() -> None:
    result = read(lambda _: " Nobody knows.")
    for row in result.rows:
        assert row.accuracy.value == (0.5 if row.kind == "never_said" else 0.0), row.kind
    assert result.recall["held_out"]["unknown"].value == 1
    assert result.recall["held_out"]["known"].value == 0


def test_who_never_says_unknown_earns_half_too() -> None:
    wrong = {" Nobody knows.": " Garden."}
    result = read(lambda question: wrong.get(question.answer, question.answer))
    assert result.row("never_said").accuracy.value == 0.5
    assert result.row("mood").accuracy.value == result.row("holder").accuracy.value == 1


def test_an_answer_that_only_begins_like_another_is_told_apart() -> None:
    """` Nobody.` and ` Nobody knows.` share their first token; which it is shows later."""
    sample = [story for story in stories() if any(q.answer == " Nobody." for q in story.questions)]
    if not sample:
        sample = [_nobody_story()]
    questions = questions_in(sample)
    never, nobody = frozenset({"Nobody knows."}), [q.answer == "Nobody." for q in questions]
    for said in (" Nobody.", " Nobody knows."):
        habit = {" Nobody.": said}
        reader = Reader(lambda q, habit=habit: habit.get(q.answer, q.answer), sample)
        predictions = predict_stories(reader, sample)
        result = says_unknown(reader, sample, predictions, questions, never)
        wanted = [
            q.unknown or (n and "knows" in said) for q, n in zip(questions, nobody, strict=True)
        ]
        assert result == wanted
        right = right_answers(predictions, questions)
        assert [not r for r in right] == [n and "knows" in said for n in nobody]


def _nobody_story() -> Story:
    text = (
        "Leo takes the map. Leo drops the map. Who has the map? Nobody. Where is Leo? Nobody knows."
    )
    questions = [
        ("Who has the map?", " Nobody.", ()),
        ("Where is Leo?", " Nobody knows.", ("unknown",)),
    ]
    questions = tuple(
        Question(
            span=(start := text.index(words), start + len(words)),
            kind="holder", answer=answer, about="", tags=tags,
        )
        for words, answer, tags in questions
    )  # fmt: skip
    return Story(text=text, facts=(), choices=(), questions=questions)


def test_batches_and_padding_change_nothing() -> None:
    model = random_model()
    together, alone = predict_stories(model, stories()), []
    for story in stories():
        alone += predict_stories(model, [story])
    for one, other in zip(together, alone, strict=True):
        assert one.best == other.best
        torch.testing.assert_close(one.nats, other.nats)


def test_regret_is_loss_less_the_price_of_all_choices() -> None:
    """Also where the context cuts a story: then only what was read is priced."""
    sample, model = stories()[:6], random_model()
    nats, tokens = regrets(sample, predict_stories(model, sample))
    for story, regret, n in zip(sample, nats.tolist(), tokens.tolist(), strict=True):
        loss = model.loss(model.to_tokens(story.text)[0]).item() * n
        floor = sum(c.surprisal_nats for c in story.choices if c.span[0] < c.span[1])
        assert regret == pytest.approx(loss - floor, rel=1e-4)
    model.cfg = replace(model.cfg, n_ctx=30)
    _, shorter = regrets(sample, predict_stories(model, sample))
    assert shorter.tolist() == [29] * 6


def test_answers_are_those_of_greedy_decoding() -> None:
    """Exact match under the true text is what the model would write if it were asked."""
    model = tiny_model(steps=60)
    sample = [TinyWorld().sample(seed, split="held_out") for seed in range(12)]
    questions, flags = questions_in(sample), []
    for question in questions:
        before = sample[question.story].text[: question.start].rstrip()
        written = model.generate(before, temperature=0.0, max_new_tokens=1).text
        flags.append(written.strip() == question.answer)
    result = right_answers(predict_stories(model, sample), questions)
    assert result == flags and 0 < sum(flags) < len(flags)


def test_a_random_model_is_at_the_bottom() -> None:
    result = comprehension(
        random_model(), WORLD, n_stories=N, n_fitted=100, n_generated=4, splits=("held_out",),
        n_eventful=0,
    )  # fmt: skip
    for row in result.rows:
        assert row.accuracy.value <= (0.6 if row.kind == "never_said" else 0.3)
    assert abs(result.regret.value - result.untrained_regret) < 1
    assert result.regret.low > 1
    assert result.well_formed[OWN_TEXT].value == result.consistent[OWN_TEXT].value == 1
    assert result.well_formed["model"].high < 1 and UNTRAINED in result.well_formed


def test_a_trained_model_of_another_world_needs_no_tags_and_no_floor() -> None:
    result = comprehension(
        tiny_model(steps=60),
        TinyWorld(),
        n_stories=60,
        n_fitted=200,
        n_generated=24,
        splits=("held_out",),
    )
    assert [row.kind for row in result.rows] == ["place", "mood"]
    assert set(result.row("place").shortcuts) == set(FITTED)
    assert math.isnan(result.regret.value) and "no floor" in str(result)
    assert result.well_formed["model"].low > result.well_formed[UNTRAINED].high


def test_the_same_seed_gives_the_same_result_and_it_saves(tmp_path) -> None:
    first, again = (
        comprehension(
            random_model(),
            WORLD,
            n_stories=6,
            n_fitted=60,
            n_generated=2,
            splits=["held_out"],
            n_eventful=6,
        )
        for _ in range(2)
    )
    assert first == again
    assert Comprehension.load(first.save(tmp_path / "saved")) == first
    assert "comprehension(" in first.code()


def test_what_it_says_names_controls_n_and_intervals(perfect: Comprehension) -> None:
    row = perfect.row("mood")
    assert f"mood 1.00 ({row.best} {row.shortcuts[row.best].value:.2f})" in str(perfect)
    assert "no untrained control" in str(perfect)
    for needed in ("95 %", f"n = {N} stories", "shortcut", "fitted on 100"):
        assert needed in perfect.caption()
    table = perfect.frame()
    assert set(table["shortcut"]) >= {*FITTED, "most_recent"}
    mine = table.query("split == 'held_out' and kind == 'mood'").set_index("quantity")["value"]
    assert mine["accuracy"] == 1.0 and mine["questions"] == row.n


def test_the_figure_has_a_panel_a_split_and_tells_on_hover(perfect: Comprehension) -> None:
    chart = figure(perfect)
    assert {trace.xaxis for trace in chart.data} == {"x", "x2"}
    model = [trace for trace in chart.data if trace.name == "model"]
    assert list(model[0].x) == [1.0] * len(perfect.accuracy["held_out"])
    assert "questions in" in model[0].customdata[0] and model[0].error_x.array is not None
    assert chart.layout.xaxis.title.text == "accuracy"
    hollow = [symbol == "circle-open" for symbol in model[0].marker.symbol]
    assert hollow == [not row.safe for row in perfect.rows if row.split == "held_out"]
    assert len({trace.xaxis for trace in figure(perfect, split="composition").data}) == 1
    with pytest.raises(ConfigError, match="composition"):
        figure(perfect, split="train")


def test_new_combinations_hold_nothing_old() -> None:
    """Whoever knows only what training asked knows nothing of what is new."""
    new = {id(q) for story in stories() for q in story.questions if "composition" in q.tags}
    result = read(lambda q: " Leo." if id(q) in new else q.answer, splits=("composition",))
    assert set(result.accuracy["composition"]) >= {"place", "likes"}
    for row in result.rows:
        assert row.accuracy.value == 0, row.kind
    assert "mood" not in result.accuracy["composition"] and not result.recall


def test_whole_texts_are_told_only_if_they_keep_the_worlds_rules() -> None:
    parts = openings(WORLD, stories()[:4], 4)
    assert tellable(WORLD, parts, LEVEL).value == 1
    again = [(first, f"{rest} Where is Anna?") for first, rest in parts]
    cut = [(first, rest[: len(rest) // 2]) for first, rest in parts]
    assert tellable(WORLD, again, LEVEL).value == tellable(WORLD, cut, LEVEL).value == 0


def test_balanced_accuracy_counts_both_classes_alike() -> None:
    hits = torch.tensor([True] * 8 + [True, False])
    classes = torch.tensor([False] * 8 + [True, True])
    result = balanced_accuracy(hits, classes, torch.arange(10), seed=0)
    assert result.value == 0.75 and result.low < 0.75 < result.high
    sure = balanced_accuracy(hits[:8], classes[:8], torch.arange(8), seed=0)
    assert sure.value == sure.high == 1 and 0.5 < sure.low < 0.7
    alone = balanced_accuracy(hits[7:], classes[7:] | True, torch.zeros(3), seed=0)
    assert math.isnan(alone.low)


def test_rates_count_only_what_is_new() -> None:
    parts = openings(WORLD, stories()[:4], 6)
    assert parts[0] == parts[4] and all(first.count(".") == 2 for first, _ in parts)
    well_formed, consistent = rates(WORLD, parts)
    assert well_formed.value == consistent.value == 1 and well_formed.low < 1
    broken = [(first, f" Nonsense here.{rest}") for first, rest in parts]
    assert 0.5 < rates(WORLD, broken)[0].value < 1
    nothing = rates(WORLD, [(first, " no end") for first, _ in parts])
    assert math.isnan(nothing[0].value)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n_stories": 1}, ConfigError, "two stories"),
        ({"splits": "held_out"}, ConfigError, "list of splits"),
        ({"splits": ["hold_out"]}, InterpError, "held_out"),
        ({"level": "fulll"}, ConfigError, "full"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        read(lambda question: question.answer, **options)


def test_a_world_without_questions_is_refused() -> None:
    with pytest.raises(NotEnoughDataError, match="asks none"):
        comprehension(random_model(), load_world("mess3"), n_stories=2, n_fitted=2, n_generated=0)


def test_a_context_that_ends_before_the_questions_is_refused() -> None:
    reader = Reader(lambda question: question.answer)
    reader.cfg.n_ctx = 20
    with pytest.raises(NotEnoughDataError, match="context of 20"):
        comprehension(
            reader,
            WORLD,
            n_stories=N,
            n_fitted=20,
            n_generated=0,
            n_eventful=0,
            splits=["held_out"],
        )


def test_questions_beyond_the_context_are_counted() -> None:
    whole = max(len(tokenizer().encode(story.text)) for story in stories()[:N])
    reader = Reader(lambda question: question.answer)
    reader.cfg.n_ctx = whole - 4
    options: dict[str, Sequence[str] | int] = {"n_stories": N, "n_fitted": 20, "n_generated": 0}
    options["n_eventful"] = 0
    result = comprehension(reader, WORLD, splits=["held_out"], **options)
    assert 0 < result.beyond_context < result.row("never_said").n
    assert "beyond the model's context" in result.caption()
