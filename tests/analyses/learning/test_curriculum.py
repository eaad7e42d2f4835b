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
def result(models):
    return curriculum(models[0], models[1:], **ASKED)


def direct_loss(model, level: str) -> float:
    """The mean over all tokens of the same stories, one by one."""
    nats = []
    for number in range(6):
        ids = model.tokenizer.encode(WORLD.sample(number, level=level, split="held_out").text)
        logits = model.run(ids).logits[0, :-1].log_softmax(-1)
        nats += (-logits[range(len(ids) - 1), ids[1:]]).tolist()
    return sum(nats) / len(nats)


def test_losses_are_those_of_each_checkpoint(result, models):
    assert result.groups == ("forth", "forth", "back") and result.names == ("forth", "back")
    assert result.steps[0] == 0 and result.steps[-1] == 12
    assert result.tokens[-1] == 12 * 8 * 24
    for step in (0, 6, 12):
        for level in LEVELS:
            loss = float(result.loss[2, result.steps.index(step), LEVELS.index(level)])
            assert loss == pytest.approx(direct_loss(models[2].history[step], level), rel=1e-4)


def test_the_floor_is_the_worlds_own(result):
    least = sum(math.log(8 - i) * 2 for i in range(4)) + 8 * math.log(3)
    assert float(result.floor[0]) == pytest.approx(least / 36, rel=1e-4)
    assert float(result.floor[1]) == pytest.approx(least / 48, rel=1e-4)


def test_shares_are_those_of_the_recipe(result):
    forth, back = result.shares[0], result.shares[2]
    for i, step in enumerate(result.steps):
        first = step <= 6
        assert forth[i].tolist() == [float(first), float(not first)]
        assert back[i].tolist() == [float(not first), float(first)]


def test_forgetting_is_the_change_since_a_level_left(result, models):
    for run, level in ((0, "gap-0"), (2, "gap-1")):
        history, k = models[run].history, LEVELS.index(level)
        direct = direct_loss(history[12], level) - direct_loss(history[6], level)
        assert float(result.forgetting[run, k]) == pytest.approx(direct, abs=1e-4)
        assert math.isnan(result.forgetting[run, 1 - k]), "the last level never left"


def test_tokens_to_threshold_are_those_of_the_first_checkpoint_above_it(result):
    n = len(result.steps)
    accuracy = torch.zeros(3, n, 1)
    accuracy[0, 2:] = 0.95
    accuracy[1, n - 1] = 0.9
    made = replace(result, accuracy=accuracy)
    tokens = made.tokens_to_threshold.tolist()
    assert tokens[:2] == [result.tokens[2], result.tokens[-1]] and math.isnan(tokens[2])
    assert made.last("forth", TOKENS).value == sum(tokens[:2]) / 2
    assert "forth 2 of 2 runs" in made.caption() and "back 0 of 1 runs" in made.caption()


def test_verdicts_need_seeds_and_an_interval_without_zero(result):
    assert result.verdict("back") == "too few seeds"
    groups = ("a",) * 3 + ("b",) * 3
    six = {
        "runs": tuple(f"{group}{i}" for i, group in enumerate(groups)),
        "groups": groups,
        "baseline": "a",
        "shares": result.shares[:1].repeat(6, 1, 1),
    }

    def judged(losses, answers) -> Curriculum:
        loss, accuracy = result.loss[:1].repeat(6, 1, 1), result.accuracy[:1].repeat(6, 1, 1)
        loss[:, -1, -1] = torch.tensor(losses)
        accuracy[:, -1, 0] = torch.tensor(answers)
        return replace(result, loss=loss, accuracy=accuracy, **six)

    clear = judged([2.0, 2.1, 2.2, 1.0, 1.1, 1.2], [0.9, 0.91, 0.92, 0.2, 0.21, 0.22])
    assert (clear.verdict("b"), clear.verdict("b", ANSWERS)) == ("better", "worse")
    assert "b against a: loss -1.000" in clear.finding() and ": better" in clear.finding()
    same = judged([2.0, 2.1, 2.2, 2.0, 2.15, 2.2], [1.0] * 6)
    assert (same.verdict("b"), same.verdict("b", ANSWERS)) == ("no effect shown",) * 2
    assert "no effect shown" in same.finding() and "n = 3 seeds" in same.finding()


def arrivals(result, first, second) -> Curriculum:
    """Groups a and b whose runs reach the threshold at these checkpoints; None = never."""
    groups = ("a",) * len(first) + ("b",) * len(second)
    n, all_runs = len(result.steps), [*first, *second]
    accuracy = torch.zeros(len(all_runs), n, 1)
    for run, step in enumerate(all_runs):
        accuracy[run, n if step is None else step :] = 1.0
    return replace(
        result, accuracy=accuracy, kinds=("place",), questions=(1,), groups=groups, baseline="a",
        runs=tuple(f"{group}{i}" for i, group in enumerate(groups)),
        loss=result.loss[:1].repeat(len(groups), 1, 1),
        shares=result.shares[:1].repeat(len(groups), 1, 1),
    )  # fmt: skip


def test_a_run_that_never_gets_there_is_no_better_for_it(result):
    """Two of five arrive early, three never: the survivors' mean would call that better."""
    mixed = arrivals(result, [3] * 5, [1, 1, None, None, None])
    assert mixed.verdict("b", TOKENS) == "no effect shown"
    assert math.isnan(mixed.difference("b", TOKENS).value)
    assert math.isnan(mixed.last("b", TOKENS).value) and mixed.last("a", TOKENS).n == 5
    assert (mixed.reached("b").value, mixed.reached("b").n) == (0.4, 5)
    assert mixed.reached("b").low == pytest.approx(0.0527, abs=1e-4)
    assert "b 2 of 5 runs, a share of 0.40 [0.05, 0.85] (median not reached)" in mixed.caption()
    never = arrivals(result, [3] * 5, [None] * 5)
    assert never.verdict("b", TOKENS) == "worse" and never.tokens_p("b") == 2 / 252
    assert arrivals(result, [3] * 5, [1] * 5).verdict("b", TOKENS) == "better"
    assert arrivals(result, [3] * 3, [1] * 3).verdict("b", TOKENS) == "too few seeds"
    # Five that never arrive are one tie, so that 1 of 21 arrangements is as extreme as this one.
    unlike = arrivals(result, [None] * 5, [1, 2])
    assert unlike.tokens_p("b") == 1 / 21 and unlike.verdict("b", TOKENS) == "better"
    assert arrivals(result, [None] * 5, [None] * 5).verdict("b", TOKENS) == "no effect shown"
    dots = [t for t in mixed.figure(view="end").data if "mean" in (t.hovertemplate or "")]
    assert sum(t.hovertemplate.startswith("b") for t in dots) == 2, "none for the tokens of b"


def test_intervals_over_seeds_are_students_and_welchs():
    from scipy import stats

    first, second = [1.0, 1.4, 1.3], [2.0, 2.9, 2.2, 2.3]
    low, high = stats.t.interval(0.95, 2, loc=sum(first) / 3, scale=stats.sem(first))
    interval = mean_over_seeds([*first, math.nan])
    assert (interval.low, interval.high) == pytest.approx((low, high)) and interval.n == 3
    welch = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    difference = difference_over_seeds(first, second)
    assert (difference.low, difference.high) == pytest.approx((welch.low, welch.high))
    assert math.isnan(mean_over_seeds([1.0]).low) and math.isnan(mean_over_seeds([]).value)


def test_it_saves_draws_and_tells(result, tmp_path):
    assert Curriculum.load(result.save(tmp_path / "found")) == result
    for view in ("loss", "answers", "mixture", "end"):
        assert len(result.figure(view=view).data) > 2
    thin = [line for line in result.figure().data if line.line.width == 0.8]
    assert len(thin) == 2 * len(LEVELS), "two seeds of one group, a panel a level"
    frame = result.frame()
    assert len(frame[frame.quantity == "loss_nats_per_token"]) == 3 * len(result.steps) * 2
    assert "interp.curriculum(" in result.code() and "world=world" in result.code()
    alone = replace(
        result, runs=("x",), groups=("x",), baseline="x",
        loss=result.loss[:1], accuracy=result.accuracy[:1], shares=result.shares[:1],
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
