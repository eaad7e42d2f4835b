"""Change points: found where they were put, honest where there is none, and the metric's jumps."""

import math

import pytest
import torch

from interp.analyses.learning import _emergence_test as appearance
from interp.analyses.learning.emergence import Emergence, emergence
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.methods.checkpoints.change_points import Joints, drawn_curves
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


def line(*curves: Curve) -> Timeline:
    return Timeline(steps=MANY, curves=curves, untrained={}, measured=0)


@pytest.mark.parametrize(("onset", "end"), [(4, 64), (32, 1024), (100, 300)])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_known_change_is_found(onset, end, noise):
    generator = torch.Generator().manual_seed(int(onset))
    values = 0.1 + 0.8 * ramp(onset, end)
    values += noise * torch.randn(len(MANY), generator=generator, dtype=torch.float64)
    joints = Joints(MANY)
    best = joints.fit(values[None])
    middle = (math.log1p(onset) + math.log1p(end)) / 2
    gap = math.log(2)  # checkpoints double
    assert abs(float(best.middle[0]) - middle) < gap / 2
    assert float(best.after[0] - best.before[0]) == pytest.approx(0.8, abs=0.08)
    assert float(best.explained[0]) > 0.97


def test_the_fit_is_the_best_of_all_pairs():
    values = torch.randn(3, len(MANY), generator=torch.Generator().manual_seed(1)).double()
    joints = Joints(MANY)
    best = joints.fit(values)
    again = ((values - joints.fitted(best)) ** 2).sum(1)
    assert torch.allclose(again, best.error, atol=1e-9)
    for onset, end in joints.pairs[::97]:
        shape = ((joints.x - onset) / (end - onset)).clamp(0, 1)
        design = torch.stack([torch.ones_like(shape), shape], 1)
        solved = torch.linalg.lstsq(design, values.T, driver="gelsd").solution
        error = ((values.T - design @ solved) ** 2).sum(0)
        assert bool((best.error <= error + 1e-9).all())


def test_the_interval_holds_the_truth_and_is_no_finer_than_the_checkpoints():
    found = appearance.of_curve(
        line(curve("accuracy", ramp(60, 70))), "accuracy: place", Joints(MANY), 200, 0
    )
    value, low, high = found.when
    assert low <= 64 <= high and low < value < high
    assert high / low >= 1.9
    assert found.verdict == appearance.APPEARED


def test_noise_did_not_appear():
    generator = torch.Generator().manual_seed(3)
    values = 0.2 + 0.02 * torch.randn(len(MANY), generator=generator, dtype=torch.float64)
    found = appearance.of_curve(
        line(curve("accuracy", values)), "accuracy: place", Joints(MANY), 200, 0
    )
    assert found.verdict == appearance.ABSENT


def test_getting_worse_is_no_appearing():
    told = line(curve("accuracy", 0.9 - 0.8 * ramp(8, 64)), curve("loss", 0.1 + ramp(8, 64)))
    for label in ("accuracy: place", "loss: place"):
        found = appearance.of_curve(told, label, Joints(MANY), 200, 0)
        assert found.verdict == appearance.ABSENT


def test_what_its_control_does_too_is_not_counted():
    told = line(curve("accuracy", 0.5 * ramp(8, 64), control=0.8))
    found = appearance.of_curve(told, "accuracy: place", Joints(MANY), 200, 0)
    assert found.verdict == appearance.CONTROLLED


def test_a_fresh_model_that_can_do_it_is_a_control_too():
    told = Timeline(
        steps=MANY, curves=(curve("accuracy", 0.5 * ramp(8, 64)),),
        untrained={"accuracy: place": 0.9}, measured=0,
    )  # fmt: skip
    found = appearance.of_curve(told, "accuracy: place", Joints(MANY), 200, 0)
    assert found.verdict == appearance.ABSENT


def test_a_jump_of_accuracy_alone_is_the_metrics():
    sudden, slow = ramp(256, 512), -5 + 5 * ramp(2, 2048)
    joints = Joints(MANY)
    metric = line(curve("accuracy", sudden), curve("log_prob", slow, control=-5.0))
    model = line(curve("accuracy", sudden), curve("log_prob", -5 + 5 * sudden, control=-5.0))
    none = line(curve("accuracy", ramp(2, 2048)), curve("log_prob", slow, control=-5.0))
    jumps = [appearance.jump(told, "place", joints, 200, 0) for told in (metric, model, none)]
    assert jumps == ["metric", "model", "none"]


def test_learning_the_form_of_an_answer_is_no_smooth_rise():
    """Every answer of the kind gains early; only the right one gains at the jump."""
    form, sudden = 3 * ramp(1, 64), ramp(256, 512)
    right, wrong = -5 + form + 2 * sudden, -5 + form
    told = curve("log_prob", right)
    told = Curve(
        measure="log_prob", name="place", part=told.part, whole=told.whole,
        control=wrong[:, None].expand_as(told.part).clone(),
    )  # fmt: skip
    both = line(curve("accuracy", sudden), told)
    assert appearance.jump(both, "place", Joints(MANY), 200, 0) == "model"


def test_draws_centre_on_the_fit():
    values = ramp(8, 64)
    drawn = drawn_curves(values + 0.1, values, None, 50, 0)
    assert torch.allclose(drawn, (values + 0.1).expand(50, -1))


@pytest.fixture(scope="module")
def found() -> Emergence:
    measures = ["loss", "accuracy", "log_prob", "probe_accuracy"]
    return emergence(
        growing_model(), WORLD, runs=[growing_model(1)], measures=measures, n_stories=24,
        n_probed=80, n_boot=60,
    )  # fmt: skip


@pytest.mark.slow
def test_two_runs_are_told_apart_and_together(found):
    assert found.runs == ("tiny 0", "tiny 1") and found.steps == STEPS
    loss = found.curves.index("loss")
    assert found.appeared_in(loss) == 2
    value, low, high = found.typical[loss].tolist()
    assert 0 < low <= value <= high <= STEPS[-1]


@pytest.mark.slow
def test_who_learned_the_form_but_not_the_answer_is_no_better_than_the_control(found):
    at = found.curves.index("log_prob: place")
    assert bool((found.change[:, at, 1] > 1).all())  # nats: the form was learned
    assert [of_run[at] for of_run in found.verdicts] == [appearance.CONTROLLED] * 2
    assert found.jumps == (("none", "none"),) * 2


@pytest.mark.slow
def test_the_table_names_the_controls(found):
    table = found.frame()
    assert len(table) == 2 * len(found.curves)
    here = table[table.curve == "probe_accuracy: place"]
    assert bool((here.shuffled < 1).all()) and bool((here.untrained < 1).all())
    assert set(table.verdict) <= {appearance.APPEARED, appearance.ABSENT, appearance.CONTROLLED}
    assert "n = 2 runs" in found.finding() and found.finding() in found.caption()


@pytest.mark.slow
def test_every_view_is_drawn(found):
    drawn = found.figure()
    assert len(drawn.layout.yaxis.ticktext) == len(found.curves) == len(order(found))
    assert "accuracy: place" in [n.text for n in found.figure(view="answers").layout.annotations]
    assert len(found.figure(view="curves").layout.annotations) >= len(found.curves)
    with pytest.raises(ConfigError, match="view is"):
        found.figure(view="table")


@pytest.mark.slow
def test_it_is_saved_and_read_again(found, tmp_path):
    assert Emergence.load(found.save(tmp_path / "emergence")) == found


def test_what_has_no_better_side_cannot_appear():
    with pytest.raises(ConfigError, match="distance has no better"):
        emergence(growing_model(), WORLD, measures=["distance"])
    with pytest.raises(NotEnoughDataError, match="5 checkpoints"):
        emergence(growing_model(), WORLD, steps=STEPS[:4])


def test_what_comes_and_goes_did_not_stay():
    values = 0.9 * ramp(4, 16)
    values[-1] = 0.2
    told = line(curve("accuracy", values))
    found = appearance.of_curve(told, "accuracy: place", Joints(MANY), 200, 0)
    assert found.verdict == appearance.WENT


def test_a_jump_between_two_checkpoints_is_put_in_the_middle_of_the_gap():
    best = Joints(MANY).fit(ramp(256, 512)[None])
    assert float(best.middle[0]) == pytest.approx((math.log1p(256) + math.log1p(512)) / 2, abs=0.1)
