"""Reading against loss: ranks are Spearman's, controls are beside, and the shipped run shows it."""

from pathlib import Path

import pytest
import torch

import interp
from interp.analyses.behavior.fidelity import Fidelity, fidelity
from interp.core.errors import ConfigError, ModelMismatchError, NotEnoughDataError
from interp.core.statistics.association import spearman
from interp.core.statistics.intervals import clopper_pearson
from interp.core.statistics.rank_agreement import agreement_over_runs, rank_agreement
from interp.models.config import GPTConfig
from interp.models.gpt import GPT
from interp.models.tokenizer import Tokenizer
from tests.analyses.tiny_world import TinyWorld

SMALL = {"n_stories": 120, "n_test": 60, "max_examples": 400}
FEW = {"n_stories": 60, "n_test": 20, "max_examples": 100}
STEPS = (0, 512, 5000)


@pytest.fixture(scope="module")
def model() -> GPT:
    return interp.load_model("stories-demo")


@pytest.fixture(scope="module")
def result(model: GPT) -> Fidelity:
    return fidelity(model, interp.load_world("stories"), ["place", "holder"], steps=STEPS, **SMALL)


def rows(values: list[float]) -> torch.Tensor:
    """The same values in every resample of the stories."""
    return torch.tensor(values, dtype=torch.float64).expand(301, -1)


def test_with_one_stratum_it_is_spearmans_correlation() -> None:
    x, y = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0], [2.0, 7.0, 1.0, 8.0, 2.0, 8.0, 1.0, 0.0]
    mine = rank_agreement(rows(x), rows(y), [0] * 8, range(8))
    theirs = spearman(x, y)
    assert mine.value == pytest.approx(theirs.value) and mine.n == 8
    assert mine.low == pytest.approx(theirs.low, abs=0.15)
    assert mine.low < mine.value < mine.high


def test_what_all_of_a_step_share_has_no_say() -> None:
    """Both quantities grow with the step; within a step they are opposite."""
    steps = [s for s in range(5) for _ in range(3)]
    x = [10 * s + m for s in range(5) for m in (0, 1, 2)]
    y = [10 * s - m for s in range(5) for m in (0, 1, 2)]
    pooled = rank_agreement(rows(x), rows(y), [0] * 15, range(15))
    within = rank_agreement(rows(x), rows(y), steps, [0, 1, 2] * 5)
    assert pooled.value > 0.9
    assert within.value == pytest.approx(-1) and within.n == 3


def test_too_few_models_tell_nothing() -> None:
    assert rank_agreement(rows([1.0, 2.0]), rows([1.0, 2.0]), [0, 0], [0, 1]).n == 0


def walks(seed: int, runs: int, points: int) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """Two random walks a run that have nothing to do with one another."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, runs, points, generator=generator).cumsum(-1)
    return x.flatten(), y.flatten(), [run for run in range(runs) for _ in range(points)]


def test_checkpoints_of_one_run_have_a_correlation_and_no_interval() -> None:
    x, y, runs = walks(0, 1, 12)
    alone = agreement_over_runs(x, y, runs)
    assert alone.value == pytest.approx(spearman(x, y).value)
    assert alone.n == 1 and alone.low != alone.low
    assert agreement_over_runs(x[:2], y[:2], [0, 0]).n == 0


@pytest.mark.parametrize(("runs", "points"), [(3, 8), (5, 12)])
def test_unrelated_walks_are_taken_for_related_as_seldom_as_said(runs, points) -> None:
    """The points drawn one by one did so in three of ten cases, whole runs drawn in one of six."""
    intervals = [agreement_over_runs(*walks(seed, runs, points)) for seed in range(400)]
    wrong = clopper_pearson(sum(0.0 not in each for each in intervals), 400)
    assert 0.05 in wrong, wrong
    assert {each.n for each in intervals} == {runs}


def test_an_interval_over_runs_is_students_of_fishers_z() -> None:
    from scipy import stats

    x, y, runs = walks(4, 4, 9)
    rho = [
        float(stats.spearmanr(a, b).statistic)
        for a, b in zip(x.view(4, 9), y.view(4, 9), strict=True)
    ]
    mine, z = agreement_over_runs(x, y, runs), torch.tensor(rho, dtype=torch.float64).atanh()
    ends = torch.tensor(stats.t.interval(0.95, 3, loc=z.mean(), scale=stats.sem(z))).tanh()
    assert mine.value == pytest.approx(sum(rho) / 4)
    assert [mine.low, mine.high] == pytest.approx(ends.tolist())
    rising = x.view(4, 9).sort().values.flatten()
    falling = agreement_over_runs(rising, -rising, runs)
    assert falling.value == falling.low == pytest.approx(-1) and falling.high < -0.9


@pytest.mark.slow
def test_the_trained_model_is_read_where_the_untrained_one_is_not(result: Fidelity) -> None:
    assert set(result.tasks) == {
        f"{v} ({w})" for v in ("place", "holder") for w in ("named", "asked")
    }
    assert result.steps.tolist() == list(STEPS) and result.best == 2
    first, last = result.accuracy["place (asked)"][0], result.accuracy["place (asked)"][2]
    assert last.value > 0.8 and last.above(first) and first.value < 0.4
    assert last.above(result.untrained["place (asked)"])
    assert last.above(result.shuffled["place (asked)"][2])
    assert result.unbeaten("place (asked)") == ()
    assert result.loss[2].value < 1 < result.untrained_loss
    assert result.regret[2].value < result.loss[2].value


@pytest.mark.slow
def test_it_says_what_it_cannot_show(result: Fidelity) -> None:
    text = result.caption()
    assert result.supported == () and "needs 3 runs or more" in text
    assert result.correlations["loss"]["place (asked)"].n == 1
    assert "not that one makes the other" in text and "give other runs" in text
    assert all(each.n == 0 for each in result.correlations["same_step"].values())
    assert all(-1 <= each.value <= 1 for each in result.correlations["clock"].values())
    assert "steps=[0, 512, 5000]" in result.code()


@pytest.mark.slow
def test_it_saves_tells_and_draws(result: Fidelity, tmp_path: Path) -> None:
    assert Fidelity.load(result.save(tmp_path / "fidelity")) == result
    frame = result.frame()
    frame = frame[frame["quantity"] == "accuracy"]
    assert len(frame) == len(STEPS) * len(result.tasks)
    assert set(frame["step"]) == set(STEPS)
    figure = result.figure()
    assert len(figure.data) == 2 * len(result.tasks)
    words = {trace.name for trace in result.figure(view="correlation").data}
    assert words == {"with the loss, over training", "with the step alone"}


@pytest.mark.slow
def test_models_that_are_no_runs_are_a_point_each(model: GPT) -> None:
    """Three untrained models: nothing is read above the controls, and the caption warns."""
    others = [model.untrained(seed) for seed in (1, 2)]
    world = interp.load_world("stories")
    result = fidelity(model.untrained(0), world, ["place"], models=others, **SMALL)
    assert result.run.tolist() == [0, 1, 2] and len(set(result.runs)) == 3
    assert result.supported == () and "WARNING" in result.caption()
    assert all(each.n == 3 for each in result.correlations["at_end"].values())


def test_what_cannot_be_compared_is_refused(model: GPT) -> None:
    world = interp.load_world("stories")
    with pytest.raises(NotEnoughDataError, match="3 checkpoints"):
        fidelity(model, world, steps=(0, 16), **FEW)
    with pytest.raises(ConfigError, match="sentence to sentence; got 'weather'"):
        fidelity(model, world, ["weather"], **FEW)
    with pytest.raises(ConfigError, match="need a checkpoint of"):
        fidelity(model, world, ["place"], steps=(3,), **FEW)
    letters = Tokenizer.characters([world.sample(i).text for i in range(50)])
    cfg = GPTConfig(n_layers=1, d_model=8, n_heads=1, d_vocab=letters.d_vocab, n_ctx=900)
    with pytest.raises(ModelMismatchError, match="split alike"):
        fidelity(model, world, ["place"], models=[GPT(cfg, letters)], steps=(0, 16), **FEW)


def test_a_world_without_a_floor_has_no_regret() -> None:
    world = TinyWorld()
    tokenizer = Tokenizer.words([world.sample(seed).text for seed in range(200)])
    cfg = GPTConfig(n_layers=1, d_model=16, n_heads=2, d_vocab=tokenizer.d_vocab, n_ctx=64)
    first, *others = (GPT(cfg, tokenizer, seed=seed).eval() for seed in range(3))
    result = fidelity(first, world, models=others, n_stories=200, n_test=40)
    assert result.tasks and all(each.value != each.value for each in result.regret)
