"""The floor of a text: the same tokens count for the floor as for the loss."""

from dataclasses import dataclass
from functools import cache

import pytest
import torch

from interp import (
    GPT,
    Add,
    GPTConfig,
    comprehension,
    load_world,
    steering_metrics,
    surprise,
)
from interp.analyses.learning.curriculum import LevelEvaluation
from interp.methods.checkpoints.evaluation_set import EvaluationSet, Evaluator, Settings
from interp.methods.data.answers import predict_stories, regrets
from interp.methods.data.loss_floor import has_floor, story_floor
from interp.methods.measures.loss import loss as loss_measure
from interp.methods.measures.regret import regret as regret_measure
from interp.models.tokenizer import Tokenizer
from interp.worlds import world_names
from interp.worlds.world import Choice, Story, World

WORLD = load_world("modular")
N_STORIES = 3


@dataclass(frozen=True)
class FixedStories:
    """A world whose every sample is one of the same few stories, so that all read the same."""

    world: World
    stories: tuple[Story, ...]

    def sample(self, seed: int, **options: str) -> Story:
        return self.stories[seed % len(self.stories)]

    def __getattr__(self, name: str) -> object:
        return getattr(self.world, name)


@cache
def fixed_stories(name: str) -> FixedStories:
    world = load_world(name)
    options = dict(level=world.levels[-1], split="held_out")
    return FixedStories(world, tuple(world.sample(n, **options) for n in range(N_STORIES)))


def _model(n_ctx: int = 128, *, bos: bool = True, texts: tuple[str, ...] = WORLD.vocabulary) -> GPT:
    tokenizer = Tokenizer.words(texts).with_bos(bos)
    torch.manual_seed(0)
    config = GPTConfig(n_layers=1, d_model=16, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=n_ctx)
    return GPT(config, tokenizer)


def plain_costs(model: GPT, story: Story) -> tuple[float, float, int]:
    """Loss, floor and number of the tokens of a story that have a loss, one by one."""
    ids, spans = model.tokenizer.encode_with_spans(story.text)
    logits = model.run(torch.tensor([ids])).logits[0].double()
    loss = floor = 0.0
    for place in range(1, len(ids)):
        loss -= float(logits[place - 1].log_softmax(-1)[ids[place]])
        for choice in story.choices:
            start, end = choice.span
            seen = next((i for i in range(start, end) if story.text[i] != " "), None)
            if seen is not None and spans[place][0] <= seen < spans[place][1]:
                floor += choice.surprisal_nats
    return loss, floor, len(ids) - 1


@pytest.mark.parametrize("bos", [True, False])
@pytest.mark.parametrize("name", world_names())
def test_every_instrument_has_the_regret_of_the_same_tokens(name, bos):
    """Without a beginning-of-text token the first token has no loss, and is charged no floor."""
    world = fixed_stories(name)
    model = _model(512, bos=bos, texts=(*world.vocabulary, *(s.text for s in world.stories)))
    assert (model.tokenizer.encode_with_spans(world.stories[0].text)[1][0] == (0, 0)) == bos
    costs = [plain_costs(model, story) for story in world.stories]
    losses, floors, counts = (list(column) for column in zip(*costs, strict=True))
    loss, floor = sum(losses) / sum(counts), sum(floors) / sum(counts)
    gaps = [one - other for one, other in zip(losses, floors, strict=True)]
    close, where = dict(rel=1e-4, abs=1e-4), dict(world=world, level=world.levels[-1])

    for story, nats, gap, n in zip(world.stories, losses, gaps, counts, strict=True):
        read = surprise(model, story.text, untrained=False, **where)
        assert len(read.tokens) == n
        assert read.loss_nats.mean().item() == pytest.approx(nats / n, **close)
        assert read.regret.value == pytest.approx(gap / n, **close)
    excess, tokens = regrets(world.stories, predict_stories(model, world.stories))
    assert (excess.tolist(), tokens.tolist()) == (pytest.approx(gaps, **close), counts)
    data = EvaluationSet(
        first=model, world=world, stories=world.stories, settings=Settings(n_probed=1)
    )
    for scores, part, control in (
        (regret_measure(Evaluator(model, data))["all"], gaps, ()),
        (loss_measure(Evaluator(model, data))[""], losses, floors),
    ):
        assert list(scores.part) == pytest.approx(part, **close)
        assert list(scores.control) == pytest.approx(list(control), **close)
        assert list(scores.whole) == counts
    level = LevelEvaluation(stories={"full": world.stories}, questions=(), kinds={})
    assert level.measure(model)[0].item() == pytest.approx(loss, **close)
    assert level.floors(model).item() == pytest.approx(floor, **close)
    steered = steering_metrics(
        model, world.stories[0].text[:20].rsplit(" ", 1)[0],
        [Add(hook=("resid_post", 0), vector=torch.ones(16), scale=0.0)], **where, n_texts=2,
        n_random=1, n_stories=N_STORIES, max_new_tokens=1,
    )  # fmt: skip
    regret = steered.base["regret_nats_per_token"]
    assert regret.value == pytest.approx(loss - floor, **close) and regret.n == N_STORIES
    if any(story.questions for story in world.stories):
        asked = comprehension(
            model, **where, n_stories=N_STORIES, n_fitted=N_STORIES, n_generated=0,
            splits=("held_out",),
        )  # fmt: skip
        assert asked.regret.value == pytest.approx(loss - floor, **close)


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
