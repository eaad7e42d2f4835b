"""Pictures of growing: the same seed at each checkpoint, axes that agree, hostile words as text."""

from dataclasses import replace

import pytest
import torch

from interp.analyses.learning.checkpoint_viewer import (
    CheckpointViewer,
    checkpoint_viewer,
    principal_plane,
    procrustes,
)
from interp.core.errors import ConfigError
from tests.analyses.tiny_growing import STEPS, growing_model
from tests.analyses.tiny_world import NAMES, PLACES, TinyWorld

WORLD = TinyWorld()


@pytest.fixture(scope="module")
def result() -> CheckpointViewer:
    return checkpoint_viewer(
        growing_model(), "Anna sits in the attic. Where is Anna?", WORLD, n_tokens=6
    )


def test_it_learns_what_to_write(result):
    assert result.steps == STEPS and len(result.texts) == len(STEPS)
    assert result.right[-1] > result.right[0]
    again = growing_model().generate(
        "Anna sits in the attic. Where is Anna?", max_new_tokens=6, seed=0
    )
    assert result.texts[-1] == again.text


def test_the_lens_ends_in_the_models_own_choice(result):
    model = growing_model()
    logits = model.run("Anna sits in the attic. Where is Anna?").logits[0]
    assert result.guesses[-1][-1] == tuple(model.tokenizer.display(logits.argmax(-1).tolist()))
    assert torch.allclose(result.chances[-1, -1], logits.softmax(-1).amax(-1), atol=1e-5)


def test_attention_rows_sum_to_one(result):
    assert torch.allclose(result.pattern.sum(-1), torch.ones(result.pattern.shape[:2]), atol=1e-5)


def test_the_worlds_words_are_shown_by_kind(result):
    kinds = dict(zip(result.words, result.kinds, strict=True))
    assert {kinds[place] for place in PLACES} == {"place"}
    assert result.points.shape == (len(STEPS), len(result.words), 2)
    own = checkpoint_viewer(growing_model(), "Anna sits", words=[*NAMES, "no such"], n_tokens=1)
    assert own.words == NAMES and set(own.kinds) == {"word"}


def test_turning_undoes_a_turn_and_changes_no_distance():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(12, 2, generator=generator).double()
    turn = torch.linalg.qr(torch.randn(2, 2, generator=generator).double()).Q
    assert torch.allclose(procrustes(points @ turn, points), points)
    other = torch.randn(12, 2, generator=generator).double()
    assert torch.allclose(
        torch.cdist(*[procrustes(points, other)] * 2), torch.cdist(points, points)
    )


def test_a_turn_brings_points_nearer_and_the_plane_keeps_the_most():
    generator = torch.Generator().manual_seed(1)
    vectors = torch.randn(20, 8, generator=generator) * torch.tensor([5.0, 3, 1, 1, 1, 1, 1, 1])
    points, share = principal_plane(vectors)
    assert float((points**2).sum()) / float(((vectors - vectors.mean(0)) ** 2).sum()) == (
        pytest.approx(share, rel=1e-5)
    )
    assert share > 0.7
    other = points @ torch.tensor([[0.0, 1], [-1, 0]]).double()
    assert float((procrustes(other, points) - points).norm()) < float((other - points).norm())


def test_every_view_is_drawn(result):
    for view in ("words", "attention", "lens"):
        figure = result.figure(view=view)
        assert figure.layout.annotations[0].text == "step 0"
    with pytest.raises(ConfigError, match="view needs"):
        result.figure(view="sound")
    assert "n = 1 prompt" in result.caption() and len(result.frame()) > len(STEPS)


def test_one_checkpoint_can_be_looked_at():
    one = checkpoint_viewer(growing_model(), "Anna is in the", steps=STEPS[:1], n_tokens=4)
    assert one.steps == tuple(STEPS[:1]) and len(one.texts) == 1
    assert "step 0" in one.finding() and one.caption() and one.figure(view="lens").data


def test_what_is_not_there_is_refused_in_words():
    with pytest.raises(ConfigError, match="got layer 7, head 0"):
        checkpoint_viewer(growing_model(), "Anna", layer=7)
    with pytest.raises(ConfigError, match="prompt"):
        checkpoint_viewer(growing_model())


def test_a_checkpoint_that_ends_the_text_at_once_says_so(result):
    ended = replace(result, texts=("", *result.texts[1:]))
    told = ended.finding()
    assert told.startswith(f"Step {result.steps[0]:,} ends the text at once, ")
    assert "''" not in told and f"step {result.steps[-1]:,} goes on with '" in told
