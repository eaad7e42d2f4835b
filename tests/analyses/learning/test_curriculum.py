"""Two orders of a tiny run: every number is that of the checkpoint itself."""

import math
from dataclasses import replace

import pytest
import torch

from interp.analyses.learning.curriculum import ANSWERS, TOKENS, Curriculum, curriculum
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.statistics.over_seeds import difference_over_seeds, mean_over_seeds
from interp.models.config import GPTConfig
from interp.models.io.load import load_model
from interp.runs.curriculum import group_of
from interp.training.data.sources import write_world_corpus
from interp.training.loop.pretrain import train
from interp.training.recipe.config import TrainConfig
from interp.training.recipe.pacing import paced
from interp.worlds import load_world

WORLD = load_world("homes")
LEVELS = ("gap-0", "gap-1")
ASKED = {"world": WORLD, "levels": LEVELS, "n_stories": 6}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two seeds of a curriculum, one backwards, and one with shorter rows."""
    out = tmp_path_factory.mktemp("runs")
    options = {"n_documents": 40, "n_held_out": 4, "levels": LEVELS}
    corpus = write_world_corpus(WORLD, out / "corpus", **options)
    for name, order, seed, context in (
        ("forth-0", "curriculum", 0, 24),
        ("forth-1", "curriculum", 1, 24),
        ("back-0", "anti", 0, 24),
        ("short-0", "anti", 0, 16),
    ):
        shape = GPTConfig(
            n_layers=1, d_model=16, n_heads=2, n_ctx=64, d_vocab=corpus.tokenizer.d_vocab
        )
        config = TrainConfig(
            model=shape, steps=12, batch_size=8, context=context, rows="document", seed=seed,
            stages=paced(LEVELS, 12, order=order), checkpoint_every=3, eval_tokens=64,
        )  # fmt: skip
        train(config, corpus.folder, out / name, device="cpu", threads=1)
    return out


@pytest.fixture(scope="module")
def models(folder):
    return [load_model(folder / name) for name in ("forth-0", "forth-1", "back-0")]


@pytest.fixture(scope="module")
def found(models):
    return curriculum(models[0], models[1:], **ASKED)


def direct_loss(model, level: str) -> float:
    """The mean over all tokens of the same stories, one by one."""
    nats = []
    for number in range(6):
        ids = model.tokenizer.encode(WORLD.sample(number, level=level, split="held_out").text)
        logits = model.run(ids).logits[0, :-1].log_softmax(-1)
        nats += (-logits[range(len(ids) - 1), ids[1:]]).tolist()
    return sum(nats) / len(nats)


def test_losses_are_those_of_each_checkpoint(found, models):
    assert found.groups == ("forth", "forth", "back") and found.names == ("forth", "back")
    assert found.steps[0] == 0 and found.steps[-1] == 12
    assert found.tokens[-1] == 12 * 8 * 24
    for step in (0, 6, 12):
        for level in LEVELS:
            told = float(found.loss[2, found.steps.index(step), LEVELS.index(level)])
            assert told == pytest.approx(direct_loss(models[2].history[step], level), rel=1e-4)


def test_the_floor_is_the_worlds_own(found):
    least = sum(math.log(8 - i) * 2 for i in range(4)) + 8 * math.log(3)
    assert float(found.floor[0]) == pytest.approx(least / 36, rel=1e-4)
    assert float(found.floor[1]) == pytest.approx(least / 48, rel=1e-4)


def test_shares_are_those_of_the_recipe(found):
    forth, back = found.shares[0], found.shares[2]
    for i, step in enumerate(found.steps):
        first = step <= 6
        assert forth[i].tolist() == [float(first), float(not first)]
        assert back[i].tolist() == [float(not first), float(first)]


def test_forgetting_is_the_change_since_a_level_left(found, models):
    for run, level in ((0, "gap-0"), (2, "gap-1")):
        history, k = models[run].history, LEVELS.index(level)
        direct = direct_loss(history[12], level) - direct_loss(history[6], level)
        assert float(found.forgetting[run, k]) == pytest.approx(direct, abs=1e-4)
        assert math.isnan(found.forgetting[run, 1 - k]), "the last level never left"


def test_tokens_to_threshold_are_those_of_the_first_checkpoint_above_it(found):
    n = len(found.steps)
    accuracy = torch.zeros(3, n, 1)
    accuracy[0, 2:] = 0.95
    accuracy[1, n - 1] = 0.9
    made = replace(found, accuracy=accuracy)
    told = made.tokens_to_threshold.tolist()
    assert told[:2] == [found.tokens[2], found.tokens[-1]] and math.isnan(told[2])
    assert made.last("forth", TOKENS).value == sum(told[:2]) / 2
    assert "forth 2 of 2 runs" in made.caption() and "back 0 of 1 runs" in made.caption()


def test_verdicts_need_seeds_and_an_interval_without_zero(found):
    assert found.verdict("back") == "too few seeds"
    groups = ("a",) * 3 + ("b",) * 3
    six = {
        "runs": tuple(f"{group}{i}" for i, group in enumerate(groups)),
        "groups": groups,
        "baseline": "a",
        "shares": found.shares[:1].repeat(6, 1, 1),
    }

    def judged(losses, answers) -> Curriculum:
        loss, accuracy = found.loss[:1].repeat(6, 1, 1), found.accuracy[:1].repeat(6, 1, 1)
        loss[:, -1, -1] = torch.tensor(losses)
        accuracy[:, -1, 0] = torch.tensor(answers)
        return replace(found, loss=loss, accuracy=accuracy, **six)

    clear = judged([2.0, 2.1, 2.2, 1.0, 1.1, 1.2], [0.9, 0.91, 0.92, 0.2, 0.21, 0.22])
    assert (clear.verdict("b"), clear.verdict("b", ANSWERS)) == ("better", "worse")
    assert "b against a: loss -1.000" in clear.finding() and ": better" in clear.finding()
    same = judged([2.0, 2.1, 2.2, 2.0, 2.15, 2.2], [1.0] * 6)
    assert (same.verdict("b"), same.verdict("b", ANSWERS)) == ("no effect shown",) * 2
    assert "no effect shown" in same.finding() and "n = 3 seeds" in same.finding()


def test_intervals_over_seeds_are_students_and_welchs():
    from scipy import stats

    first, second = [1.0, 1.4, 1.3], [2.0, 2.9, 2.2, 2.3]
    low, high = stats.t.interval(0.95, 2, loc=sum(first) / 3, scale=stats.sem(first))
    told = mean_over_seeds([*first, math.nan])
    assert (told.low, told.high) == pytest.approx((low, high)) and told.n == 3
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    difference = difference_over_seeds(first, second)
    assert (difference.low, difference.high) == pytest.approx((welch.low, welch.high))
    assert math.isnan(mean_over_seeds([1.0]).low) and math.isnan(mean_over_seeds([]).value)


def test_it_saves_draws_and_tells(found, tmp_path):
    assert Curriculum.load(found.save(tmp_path / "found")) == found
    for view in ("loss", "answers", "mixture", "end"):
        assert len(found.figure(view=view).data) > 2
    thin = [line for line in found.figure().data if line.line.width == 0.8]
    assert len(thin) == 2 * len(LEVELS), "two seeds of one group, a panel a level"
    frame = found.frame()
    assert len(frame[frame.quantity == "loss_nats_per_token"]) == 3 * len(found.steps) * 2
    assert "interp.curriculum(" in found.code() and "world=world" in found.code()
    alone = replace(
        found, runs=("x",), groups=("x",), baseline="x",
        loss=found.loss[:1], accuracy=found.accuracy[:1], shares=found.shares[:1],
    )  # fmt: skip
    assert "nothing to compare" in alone.finding()


def test_names_lose_their_seeds():
    names = ("shuffled-seed-2", "anti_0", "run1", "curriculum", "7")
    assert [group_of(name) for name in names] == ["shuffled", "anti", "run", "curriculum", "7"]


def test_what_cannot_be_compared_is_refused(models, folder):
    with pytest.raises(ConfigError, match="short-0 128"):
        curriculum(models[0], [load_model(folder / "short-0")], **ASKED)
    with pytest.raises(ConfigError, match="got 1 labels for 3 runs"):
        curriculum(models[0], models[1:], labels=["a"], **ASKED)
    with pytest.raises(ConfigError, match="Did you mean 'back'"):
        curriculum(models[0], models[1:], baseline="bak", **ASKED)
    with pytest.raises(NotEnoughDataError, match="two checkpoints"):
        curriculum(models[0].untrained(0), **ASKED)
