"""Concepts: a planted direction is found, controls stay low, edits carry the dose they promise."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from interp.analyses.probing.concept import Concept, concept
from interp.core.edits import Where
from interp.core.errors import ConfigError, ModelMismatchError, NotEnoughDataError
from interp.core.statistics.association import auroc
from interp.methods.data.examples import Example
from interp.methods.probes.directions import METHODS, direction_controls, fit_directions
from interp.models.gpt import GPT
from tests.analyses.tiny_model import tiny_model
from tests.analyses.tiny_world import NAMES, TinyWorld

WORLD = TinyWorld()


@pytest.fixture(scope="module")
def model() -> GPT:
    return tiny_model(steps=40)


@pytest.fixture(scope="module")
def glad(model: GPT) -> Concept:
    return concept(model, "glad", world=WORLD, at="stated", site=("resid_pre", 0), method="probe")


@pytest.mark.parametrize("method", list(METHODS))
def test_a_planted_direction_is_found_by_every_method(method: str) -> None:
    generator = torch.Generator().manual_seed(0)
    planted = torch.nn.functional.normalize(torch.randn(20, generator=generator), dim=0)
    flags = torch.rand(400, generator=generator) < 0.3
    x = torch.randn(400, 20, generator=generator) + 6 * planted * flags[:, None]
    direction = fit_directions(x, flags[None], method)[0]
    assert direction.norm() == pytest.approx(1.0, abs=1e-5)
    assert direction @ planted > 0.9, "the sign is that of the positive examples"


def test_controls_are_at_chance_when_nothing_is_there() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 10, generator=generator)
    flags = torch.arange(300) % 2 == 0
    tokens = torch.randint(0, 9, (300, 6), generator=generator).tolist()
    rows = [Example(tokens=tuple(t), label="", story=i, kind="") for i, t in enumerate(tokens)]
    numbers = torch.arange(300)
    controls = direction_controls(
        x, flags, rows, numbers, numbers[:200], numbers[200:], "mean_difference", 0
    )
    for interval in controls.values():
        assert interval.low < 0.5 < interval.high
    assert set(controls) == {"random", "shuffled", "bag_of_words"}


def test_a_word_is_told_from_its_group(glad: Concept) -> None:
    assert glad.name == "glad" and set(glad.among) == {"glad", "grim", "meek"}
    assert glad.auroc.low > 0.95
    # Three words are three points here, and a random direction often sorts three points.
    assert not glad.beats_controls and "WARNING" in glad.caption()
    assert glad.auroc.value > glad.controls["random"].value > 0.5
    assert glad.projections[glad.positive].mean() > glad.projections[~glad.positive].mean()


@pytest.mark.parametrize("each, readable", [(2, False), (3, False), (4, True)])
def test_an_order_of_few_held_out_examples_is_no_evidence(glad, each, readable) -> None:
    flags = torch.arange(2 * each) < each
    certain = auroc(flags.float(), flags)
    assert certain.low == 1.0, "all positives lie above, in every resample too"
    few = replace(glad, positive=flags, projections=flags.float(), auroc=certain)
    assert few.readable == readable and ("cannot be read" in few.finding()) != readable


def test_the_dose_is_a_share_of_the_median_norm(model: GPT, glad: Concept) -> None:
    tokens = model.tokenizer.encode(WORLD.sample(3).text)
    plain = model.run(tokens, cache=[glad.site])[glad.site][0]
    steered = model.run(tokens, cache=[glad.site], edits=[glad.add(0.5)])[glad.site][0]
    moved = (steered - plain).norm(dim=-1)
    assert moved[0] == 0, "the beginning of the text is left alone"
    assert moved[1:].tolist() == pytest.approx([0.5 * glad.median_norm] * (len(tokens) - 1), 1e-4)


def test_project_and_clamp_set_the_reading(model: GPT, glad: Concept) -> None:
    tokens = model.tokenizer.encode(WORLD.sample(3).text)
    for edit, wanted in ((glad.project(), 0.0), (glad.clamp(-0.7), -0.7 * glad.median_norm)):
        activations = model.run(tokens, cache=[glad.site], edits=[edit])[glad.site][0, 1:]
        torch.testing.assert_close(
            activations @ glad.direction,
            torch.full((len(activations),), wanted),
            atol=1e-3,
            rtol=1e-4,
        )


def test_the_edit_goes_where_it_is_told(glad: Concept) -> None:
    where = Where(span="generated")
    assert glad.add(1.0, where=where).where == where == glad.project(where=where).where


def test_where_written_is_before_the_words_of_the_group(model: GPT, glad: Concept) -> None:
    words = model.tokenizer.display(glad.slots)
    assert set(words) == {"·feels", "·Feeling"}
    tokens = model.tokenizer.encode(WORLD.sample(3).text)
    plain = model.run(tokens).logits[0]
    steered = model.run(tokens, edits=[glad.add(0.5, where=glad.where_written)]).logits[0]
    first = next(i for i, token in enumerate(tokens) if token in glad.slots)
    moved = (steered - plain).abs().amax(-1)
    assert moved[:first].max() == 0 < moved[first]


def test_a_gradient_raises_the_odds_of_its_word(model: GPT) -> None:
    result = concept(model, "glad", world=WORLD, site=("resid_post", 0), method="gradient")
    assert "shuffled" not in result.controls
    names = ("glad", "grim", "meek")
    ids = [model.tokenizer.encode(f" {mood}", bos=False)[0] for mood in names]

    def odds(dose: float) -> float:
        total = 0.0
        for seed in range(20):
            text = WORLD.sample(seed, split="held_out").text.split(" feels")[0] + " feels"
            last = model.run(model.tokenizer.encode(text), edits=[result.add(dose)]).logits[0, -1]
            total += float(last[ids[0]] - last[ids[1:]].logsumexp(0))
        return total / 20

    assert odds(-0.2) < odds(0.0) < odds(0.2)


def test_another_model_is_refused(model: GPT, glad: Concept) -> None:
    assert glad.on(model) is glad
    with pytest.raises(ModelMismatchError, match="find it again"):
        glad.add(1.0, model=model.untrained(1))


def test_texts_of_two_kinds_work_without_a_world(model: GPT) -> None:
    texts = [WORLD.sample(seed).text for seed in range(160)]
    asked = [text.split("Where")[1].split()[1] for text in texts]
    early = [t for t, name in zip(texts, asked, strict=True) if name < "Dan"]
    late = [t for t, name in zip(texts, asked, strict=True) if name >= "Dan"]
    for at in ("mean", "last"):
        result = concept(model, early, late, at=at, site=("resid_post", -1))
        assert result.among == () and result.site == ("resid_post", 1)
        assert 0 <= result.auroc.value <= 1 and result.auroc.n >= 20


def test_it_saves_and_repeats(model: GPT, glad: Concept, tmp_path: Path) -> None:
    assert Concept.load(glad.save(tmp_path / "glad")) == glad
    again = concept(model, "glad", world=WORLD, at="stated", site=("resid_pre", 0), method="probe")
    assert again == glad
    assert "AUROC" in str(glad) and "bag of words" in glad.caption()
    assert len(glad.frame()) == len(glad.positive)


def test_what_is_no_concept_is_refused(model: GPT) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'glad'"):
        concept(model, "gled", world=WORLD)
    with pytest.raises(ConfigError, match="positive and negative texts"):
        concept(model, ["a"], None)
    with pytest.raises(ConfigError, match="Did you mean 'pca'"):
        concept(model, "glad", world=WORLD, method="pac")
    with pytest.raises(NotEnoughDataError, match="8 examples"):
        concept(model, "glad", world=WORLD, at="stated", n_stories=4)


def test_a_concept_of_texts_has_the_name_it_is_given(model: GPT) -> None:
    stories = [WORLD.sample(seed).text for seed in range(40)]
    kinds = stories[:20], stories[20:]
    named = concept(model, *kinds, name="formal")
    assert named.name == "formal" and str(named).startswith("'formal' by mean difference")
    assert "name='formal'" in named.code()
    assert concept(model, *kinds).name == "these texts"
    torch.testing.assert_close(named.direction, concept(model, *kinds).direction)
    with pytest.raises(ConfigError, match="has its word as name"):
        concept(model, "glad", world=WORLD, name="formal")


def test_a_split_of_few_texts_has_both_kinds_on_either_side(model: GPT) -> None:
    glad, grim = ([f"{name} feels {mood}." for name in NAMES] for mood in ("glad", "grim"))
    for seed in range(40):
        one = concept(model, glad, grim, seed=seed)
        assert one.positive.any() and not one.positive.all()
    with pytest.raises(NotEnoughDataError, match="both kinds on either side"):
        concept(model, glad, grim[:1] * 8)
