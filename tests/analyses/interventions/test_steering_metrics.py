"""Steering metrics: no dose moves nothing, arms share their draws, counts are those of texts."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from interp.analyses.interventions.steering_metrics import SteeringMetrics, steering_metrics
from interp.core.edits import Add, Project, Where
from interp.core.errors import ConfigError, NotEnoughDataError
from tests.analyses.tiny_model import tiny_model
from tests.analyses.tiny_world import MOODS, TinyWorld

WORLD = TinyWorld()
PROMPT = "Anna sits in the den."
QUICK = {"n_texts": 8, "n_random": 4, "n_stories": 3, "max_new_tokens": 24}


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def writes_glad(model):
    ids = [model.tokenizer.encode(f" {mood}", bos=False)[0] for mood in MOODS]
    rows = model.weight("W_U").T[ids] * model.ln_final.weight
    direction = torch.nn.functional.normalize((rows[0] - rows[1:].mean(0)).detach(), dim=0)
    after = model.tokenizer.encode("Anna feels", bos=False)[-1]
    where = Where(tokens=frozenset({after}))
    return Add(hook=("resid_post", 1), vector=direction * 28, scale=1.0, where=where)


@pytest.fixture(scope="module")
def metrics(model, writes_glad):
    return steering_metrics(model, PROMPT, [writes_glad], world=WORLD, concepts=["glad"], **QUICK)


def at_dose(edit, dose):
    return Add(hook=edit.hook, vector=edit.vector, scale=dose, where=edit.where)


def test_at_no_dose_every_arm_is_the_unedited_model(model, writes_glad):
    still = at_dose(writes_glad, 0.0)
    metrics = steering_metrics(model, PROMPT, [still], world=WORLD, concepts=["glad"], **QUICK)
    for name, interval in metrics.steered.items():
        assert interval.value == pytest.approx(metrics.base[name].value, abs=1e-6, nan_ok=True)
        figure = torch.full((4,), interval.value)
        assert torch.allclose(metrics.random[name], figure, atol=1e-6, equal_nan=True), name
    assert metrics.steered["kl_nats_per_token"].value == 0.0


def test_a_direction_that_writes_the_word_raises_its_rate(metrics):
    name = "rate of glad"
    assert metrics.steered[name].value > metrics.base[name].value
    alike = replace(metrics, random={**metrics.random, name: torch.tensor([0.0, 0.2])})
    assert alike.band(name) == pytest.approx((0.0, 0.2)) and alike.outside(name)
    assert metrics.steered["kl_nats_per_token"].value > 0 == metrics.base["kl_nats_per_token"].value
    # This world's choices have no prices: a loss that passed for regret would stand there.
    assert "regret_nats_per_token" not in metrics.steered
    assert "above the random band" in str(alike)
    wide = replace(metrics, random={**metrics.random, name: torch.tensor([0.0, 1.0])})
    assert not wide.outside(name) and "inside the random band 0.00 to 1.00" in str(wide)


def test_damage_is_told_as_damage_and_numbers_that_look_equal_are_not_told_apart(metrics):
    def told(value, band):
        steered = metrics.steered | {
            "well_formed": replace(metrics.base["well_formed"], value=value)
        }
        random = metrics.random | {"well_formed": torch.tensor(band)}
        return replace(metrics, steered=steered, random=random)

    fine = told(0.994, [0.69, 0.9901])
    assert "0.99, no more damage than random directions do (0.69 to 0.99)" in str(fine)
    assert not fine.outside("well_formed") and "above the random band 0.69" not in str(fine)
    assert "0.50, more damage than random directions do (0.69 to 0.99)" in str(
        told(0.5, [0.69, 0.99])
    )
    unknown = told(math.nan, [math.nan, math.nan])
    assert not unknown.outside("well_formed") and "nan" not in unknown.caption()


def test_the_unedited_texts_do_not_depend_on_the_edit(model, writes_glad, metrics):
    other = steering_metrics(
        model, PROMPT, [at_dose(writes_glad, -0.6)], world=WORLD, concepts=["glad"], **QUICK
    )
    assert other.base == metrics.base
    assert other.steered["rate of glad"].value < metrics.steered["rate of glad"].value


def test_counts_are_those_of_texts_written_one_by_one(model, writes_glad, metrics):
    hits, mentions, well = 0, 0, []
    for i in range(8):
        text = model.generate(PROMPT, edits=[writes_glad], max_new_tokens=24, seed=[i]).text
        new = [s for s in WORLD.parse(PROMPT + text).sentences if s.span[1] > len(PROMPT)]
        said = [word for sentence in new for word in sentence.concepts if word in MOODS]
        hits, mentions = hits + said.count("glad"), mentions + len(said)
        well += [sentence.well_formed for sentence in new]
    assert metrics.steered["rate of glad"].value == pytest.approx(hits / mentions)
    assert metrics.steered["well_formed"].value == pytest.approx(sum(well) / len(well))


def test_several_edits_and_plain_words_without_a_world(model, writes_glad):
    second = Add(hook=("resid_post", 0), vector=torch.ones(32), scale=0.5)
    metrics = steering_metrics(
        model, PROMPT, [writes_glad, second], words=["glad", "grim"], **QUICK
    )
    assert set(metrics.steered) == {
        "rate of glad / grim", "repetition", "loss_nats_per_token", "kl_nats_per_token",
    }  # fmt: skip
    assert 0 < metrics.steered["rate of glad / grim"].value < 1


def test_it_saves_draws_and_tells(metrics, tmp_path):
    assert SteeringMetrics.load(metrics.save(tmp_path / "gauges")) == metrics
    assert list(metrics.frame()["measure"]) == list(metrics.steered)
    figure = metrics.figure()
    assert len([trace for trace in figure.data if trace.name == "steered"]) == len(metrics.steered)
    assert "4 random directions" in metrics.caption() and "8 texts" in metrics.caption()
    assert "from_json(" in metrics.code() and "concepts=" in metrics.code()


def test_no_grid_line_runs_through_the_tick_labels_of_the_strip_above(metrics):
    layout = metrics.figure().to_plotly_json()["layout"]
    strips = sorted(layout[name]["domain"] for name in layout if name.startswith("yaxis"))
    height = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]
    gaps = [height * (above[0] - below[1]) for below, above in pairwise(strips)]
    assert len(gaps) > 1 and min(gaps) > 14


def test_what_cannot_be_measured_is_refused(model, writes_glad):
    with pytest.raises(ConfigError, match="got Project"):
        steering_metrics(
            model, PROMPT, [Project(hook=("resid_post", 0), directions=torch.ones(32))]
        )
    with pytest.raises(ConfigError, match="got nothing"):
        steering_metrics(model, PROMPT, [])
    with pytest.raises(ConfigError, match="no world"):
        steering_metrics(model, PROMPT, [writes_glad], concepts=["glad"])
    with pytest.raises(ConfigError, match="Did you mean 'glad'"):
        steering_metrics(model, PROMPT, [writes_glad], world=WORLD, concepts=["gladd"])
    with pytest.raises(NotEnoughDataError, match="two or more"):
        steering_metrics(model, PROMPT, [writes_glad], n_texts=1)
    with pytest.raises(NotEnoughDataError, match="random direction"):
        steering_metrics(model, PROMPT, [writes_glad], n_random=0)
