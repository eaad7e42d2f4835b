"""Change points: found where they were put, honest where there is none, and the metric's jumps."""

import math

import pytest
import torch

from interp.analyses.learning._emergence_test import (
    ABSENT,
    APPEARED,
    CONTROLLED,
    WENT,
    EmergenceTest,
    emergence_tests,
    jump_verdict,
)
from interp.analyses.learning.emergence import Emergence, emergence
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.statistics.intervals import clopper_pearson
from interp.methods.checkpoints.change_points import ChangePoints, resampled_curves
from interp.methods.checkpoints.measure_scores import Curve
from interp.methods.checkpoints.over_checkpoints import Timeline
from interp.plots.learning.emergence import order
from tests.analyses.tiny_growing import STEPS, growing_model
from tests.analyses.tiny_world import TinyWorld

MANY = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)
WORLD = TinyWorld()


def ramp(onset: float, end: float, steps=MANY) -> torch.Tensor:
    x = torch.log1p(torch.tensor(steps, dtype=torch.float64))
    low, high = math.log1p(onset), math.log1p(end)
    return ((x - low) / (high - low)).clamp(0, 1)


def curve(measure: str, values: torch.Tensor, *, n: int = 40, control=0.0, name="place") -> Curve:
    """A curve whose stories all say the same, up to a little that sums to nothing."""
    wobble = torch.linspace(-0.01, 0.01, n, dtype=torch.float64)
    part = values[:, None] + wobble
    return Curve(
        measure=measure, name=name, part=part, whole=torch.ones_like(part),
        control=torch.full_like(part, control),
    )  # fmt: skip


def timeline(*curves: Curve) -> Timeline:
    return Timeline(steps=MANY, curves=curves, untrained={}, measured=0)


def judged(
    run: Timeline, label: str, change_points: ChangePoints, n_boot: int, seed: int
) -> EmergenceTest:
    return emergence_tests(run, [label], change_points, n_boot, seed)[0]


def jump(run: Timeline, change_points: ChangePoints) -> str:
    test = judged(run, "accuracy: place", change_points, 200, 0)
    return jump_verdict(run, test, change_points, 200, 0)


@pytest.mark.parametrize(("onset", "end"), [(4, 64), (32, 1024), (100, 300)])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_known_change_is_found(onset, end, noise):
    generator = torch.Generator().manual_seed(int(onset))
    values = 0.1 + 0.8 * ramp(onset, end)
    values += noise * torch.randn(len(MANY), generator=generator, dtype=torch.float64)
    change_points = ChangePoints(MANY)
    best = change_points.fit(values[None])
    middle = (math.log1p(onset) + math.log1p(end)) / 2
    gap = math.log(2)  # checkpoints double
    assert abs(float(best.middle[0]) - middle) < gap / 2
    assert float(best.after[0] - best.before[0]) == pytest.approx(0.8, abs=0.08)
    assert float(best.explained[0]) > 0.97


def test_the_fit_is_the_best_of_all_pairs():
    values = torch.randn(3, len(MANY), generator=torch.Generator().manual_seed(1)).double()
    change_points = ChangePoints(MANY)
    best = change_points.fit(values)
    again = ((values - change_points.fitted(best)) ** 2).sum(1)
    assert torch.allclose(again, best.error, atol=1e-9)
    for onset, end in change_points.pairs[::97]:
        shape = ((change_points.x - onset) / (end - onset)).clamp(0, 1)
        design = torch.stack([torch.ones_like(shape), shape], 1)
        solved = torch.linalg.lstsq(design, values.T, driver="gelsd").solution
        error = ((values.T - design @ solved) ** 2).sum(0)
        assert bool((best.error <= error + 1e-9).all())


def test_the_interval_holds_the_truth_and_is_no_finer_than_the_checkpoints():
    result = judged(
        timeline(curve("accuracy", ramp(60, 70))), "accuracy: place", ChangePoints(MANY), 200, 0
    )
    value, low, high = result.when
    assert low <= 64 <= high and low < value < high
    assert high / low >= 1.9
    assert result.verdict == APPEARED


def test_noise_did_not_appear():
    generator = torch.Generator().manual_seed(3)
    values = 0.2 + 0.02 * torch.randn(len(MANY), generator=generator, dtype=torch.float64)
    result = judged(
        timeline(curve("accuracy", values)), "accuracy: place", ChangePoints(MANY), 200, 0
    )
    assert result.verdict == ABSENT


def test_getting_worse_is_no_appearing():
    run = timeline(curve("accuracy", 0.9 - 0.8 * ramp(8, 64)), curve("loss", 0.1 + ramp(8, 64)))
    for label in ("accuracy: place", "loss: place"):
        result = judged(run, label, ChangePoints(MANY), 200, 0)
        assert result.verdict == ABSENT


def test_what_its_control_does_too_is_not_counted():
    run = timeline(curve("accuracy", 0.5 * ramp(8, 64), control=0.8))
    result = judged(run, "accuracy: place", ChangePoints(MANY), 200, 0)
    assert result.verdict == CONTROLLED


def test_a_fresh_model_that_can_do_it_is_a_control_too():
    run = Timeline(
        steps=MANY, curves=(curve("accuracy", 0.5 * ramp(8, 64)),),
        untrained={"accuracy: place": 0.9}, measured=0,
    )  # fmt: skip
    result = judged(run, "accuracy: place", ChangePoints(MANY), 200, 0)
    assert result.verdict == ABSENT


def test_a_jump_of_accuracy_alone_is_the_metrics():
    sudden, slow = ramp(256, 512), -5 + 5 * ramp(2, 2048)
    change_points = ChangePoints(MANY)
    metric = timeline(curve("accuracy", sudden), curve("log_prob", slow, control=-5.0))
    model = timeline(curve("accuracy", sudden), curve("log_prob", -5 + 5 * sudden, control=-5.0))
    none = timeline(curve("accuracy", ramp(2, 2048)), curve("log_prob", slow, control=-5.0))
    jumps = [jump(run, change_points) for run in (metric, model, none)]
    assert jumps == ["metric", "model", "none"]


def test_learning_the_form_of_an_answer_is_no_smooth_rise():
    """Every answer of the kind gains early; only the right one gains at the jump."""
    form, sudden = 3 * ramp(1, 64), ramp(256, 512)
    right, wrong = -5 + form + 2 * sudden, -5 + form
    run = curve("log_prob", right)
    run = Curve(
        measure="log_prob", name="place", part=run.part, whole=run.whole,
        control=wrong[:, None].expand_as(run.part).clone(),
    )  # fmt: skip
    both = timeline(curve("accuracy", sudden), run)
    assert jump(both, ChangePoints(MANY)) == "model"


def test_draws_centre_on_the_fit():
    values = ramp(8, 64)
    curves = resampled_curves(values + 0.1, values, None, 50, 0)
    longer = 0.1 * math.sqrt(13 / 9)  # 13 checkpoints, of which a fit of 4 numbers leaves 9
    assert torch.allclose(curves, (values + longer).expand(50, -1))


@pytest.mark.parametrize("n", [5, 7, 12])
def test_flat_noise_appears_as_seldom_as_said_at_any_number_of_checkpoints(n):
    """One curve of ten appeared with seven checkpoints before it was compared with such noise."""
    change_points = ChangePoints((0, *(2**i for i in range(n - 1))))
    noise = torch.randn(400, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    fits = change_points.fit(noise)
    p = [
        change_points.p_by_chance(float(share)) if rise > 0 else 1.0
        for share, rise in zip(fits.explained, fits.after - fits.before, strict=True)
    ]
    assert 0.05 in clopper_pearson(sum(each < 0.05 for each in p), 400)
    rise = change_points.fit((noise[0] * 0.01 + torch.arange(n).ge(n // 2))[None])
    assert n == 5 or change_points.p_by_chance(float(rise.explained)) < 0.01


def test_one_clear_curve_among_many_of_noise_is_named_alone():
    generator = torch.Generator().manual_seed(8)
    flat = 0.2 + 0.02 * torch.randn(20, len(MANY), generator=generator, dtype=torch.float64)
    names = [f"noise {i}" for i in range(20)]
    run = timeline(
        curve("accuracy", 0.2 + 0.7 * ramp(8, 64), name="place"),
        *(curve("accuracy", row, name=name) for row, name in zip(flat, names, strict=True)),
    )
    labels = [each.label for each in run.curves]
    verdicts = [t.verdict for t in emergence_tests(run, labels, ChangePoints(MANY), 100, 0)]
    assert verdicts[0] == APPEARED and verdicts.count(APPEARED) == 1


@pytest.fixture(scope="module")
def result() -> Emergence:
    measures = ["loss", "accuracy", "log_prob", "probe_accuracy"]
    return emergence(
        growing_model(), WORLD, runs=[growing_model(1)], measures=measures, n_stories=24,
        n_probed=80, n_boot=60,
    )  # fmt: skip


@pytest.mark.slow
def test_two_runs_are_told_apart_and_together(result):
    assert result.runs == ("tiny 0", "tiny 1") and result.steps == STEPS
    loss = result.curves.index("loss")
    assert result.appeared_in(loss) == 2
    value, low, high = result.typical[loss].tolist()
    assert 0 < low <= value <= high <= STEPS[-1]


@pytest.mark.slow
def test_who_learned_the_form_but_not_the_answer_is_no_better_than_the_control(result):
    at = result.curves.index("log_prob: place")
    assert bool((result.change[:, at, 1] > 1).all())  # nats: the form was learned
    assert [of_run[at] for of_run in result.verdicts] == [CONTROLLED] * 2
    assert result.jumps == (("none", "none"),) * 2


@pytest.mark.slow
def test_the_table_names_the_controls(result):
    table = result.frame()
    assert len(table) == 2 * len(result.curves)
    here = table[table.curve == "probe_accuracy: place"]
    assert bool((table.p_holm <= 1).all())
    assert bool((here.shuffled < 1).all()) and bool((here.untrained < 1).all())
    assert set(table.verdict) <= {APPEARED, ABSENT, CONTROLLED}
    assert "n = 2 runs" in result.finding() and result.finding() in result.caption()


@pytest.mark.slow
def test_every_view_is_drawn(result):
    figure = result.figure()
    assert len(figure.layout.yaxis.ticktext) == len(result.curves) == len(order(result))
    assert "accuracy: place" in [n.text for n in result.figure(view="answers").layout.annotations]
    assert len(result.figure(view="curves").layout.annotations) >= len(result.curves)
    with pytest.raises(ConfigError, match="view needs"):
        result.figure(view="table")


@pytest.mark.slow
def test_it_is_saved_and_read_again(result, tmp_path):
    assert Emergence.load(result.save(tmp_path / "emergence")) == result


def test_what_has_no_better_side_cannot_appear():
    with pytest.raises(ConfigError, match="distance has no better"):
        emergence(growing_model(), WORLD, measures=["distance"])
    with pytest.raises(NotEnoughDataError, match="5 checkpoints"):
        emergence(growing_model(), WORLD, steps=STEPS[:4])


def test_what_comes_and_goes_did_not_stay():
    values = 0.9 * ramp(4, 16)
    values[-1] = 0.2
    run = timeline(curve("accuracy", values))
    result = judged(run, "accuracy: place", ChangePoints(MANY), 200, 0)
    assert result.verdict == WENT


def test_a_jump_between_two_checkpoints_is_put_in_the_middle_of_the_gap():
    best = ChangePoints(MANY).fit(ramp(256, 512)[None])
    assert float(best.middle[0]) == pytest.approx((math.log1p(256) + math.log1p(512)) / 2, abs=0.1)
