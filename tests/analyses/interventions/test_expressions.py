"""A concept moves as a whole where all kinds of sentence that show it gain."""

from copy import deepcopy
from dataclasses import replace

import numpy
import pytest
import torch

from interp.analyses.interventions._dose_response import DoseExperiment
from interp.analyses.interventions._expressions import (
    expression_gains,
    expressions_of,
    expressions_told,
    move_together,
    part_warning,
    words_suffice,
)
from interp.analyses.interventions._logit_bias import logit_bias
from interp.analyses.probing.concept import concept
from interp.core.edits import Where
from interp.core.statistics.intervals import UNKNOWN, Interval
from tests.analyses.tiny_model import tiny_model
from tests.analyses.tiny_world import MOODS, TinyWorld

WORLD = TinyWorld()


def gains_of(*lows: float) -> dict[str, Interval]:
    return {
        name: Interval(value=low + 0.2, low=low, high=low + 0.4, n=9)
        for name, low in zip(("word", "answer", "gait"), lows, strict=False)
    }


def test_the_verdict_counts_the_expressions_that_gain() -> None:
    whole, word, two = gains_of(0.1, 0.2, 0.1), gains_of(0.1, -0.2, -0.3), gains_of(0.1, 0.1, 0.0)
    assert move_together(whole) and not part_warning(whole)
    assert expressions_told(whole).startswith("all 3 expressions move together: word +0.30 [+0.10")
    assert not move_together(word)
    assert "1 of 3 expressions is shown to move ('word')" in part_warning(word)
    assert not move_together(two) and "2 of 3 expressions are shown to move" in part_warning(two)
    assert "none of 3" in expressions_told(gains_of(-0.1, -0.1, -0.1))


def test_what_the_text_does_not_hold_is_no_expression() -> None:
    seen = gains_of(0.1, 0.1) | {"gait": UNKNOWN}
    assert move_together(seen) and "gait" not in expressions_told(seen)
    assert expressions_told(gains_of(0.1)) == part_warning(gains_of(0.1)) == ""
    assert not move_together(gains_of(0.1)) and not move_together({})


def test_the_expressions_of_a_group_are_the_kinds_of_sentence_that_show_it() -> None:
    assert expressions_of(WORLD, MOODS, level="full", seed=0) == ("mood", "how")
    assert expressions_of(None, MOODS) == expressions_of(WORLD, ()) == ()


def test_where_the_words_alone_move_all_as_much_they_suffice() -> None:
    gains = gains_of(0.1, 0.2, 0.1)
    assert words_suffice(gains, gains) and words_suffice(gains, gains_of(0.5, 0.5, 0.5))
    assert not words_suffice(gains, gains_of(0.1, -0.3, 0.1))  # [0.2, 0.6] above [-0.3, 0.1]
    assert not words_suffice(gains, {}) and not words_suffice(gains_of(0.1, -0.1), gains)


def test_the_logit_bias_raises_all_expressions_alike_and_is_the_shortest_that_does() -> None:
    model = deepcopy(tiny_model(steps=1))
    with torch.no_grad():
        model.ln_final.weight.copy_(torch.linspace(0.5, 2.0, model.cfg.d_model))
    glad = concept(model, "glad", world=WORLD, at="stated", site=("resid_post", -1), n_stories=40)
    glad = replace(glad, written=((5, 8), (6, 9), (7, -1)))
    push = logit_bias(model, glad, MOODS, (), [WORLD.sample(0).text])
    # By the model itself: how far each logit rises where the final norm's scale is held.
    gained = model.unembed(push.vector[None])[0] - model.unembed(0 * push.vector[None])[0]
    said, answered = gained[5] - gained[[6, 7]].mean(), gained[8] - gained[9]
    assert said > 0
    torch.testing.assert_close(said, answered)
    columns = (model.weight("W_U") * model.weight("ln_final.w")[:, None]).detach().double()
    rows = torch.stack([columns[:, 5] - columns[:, [6, 7]].mean(1), columns[:, 8] - columns[:, 9]])
    # By another solver: of all solutions, least squares takes the shortest too.
    wanted = numpy.linalg.lstsq(rows.numpy(), numpy.ones(2), rcond=None)[0]
    shortest = torch.tensor(wanted / numpy.linalg.norm(wanted) * glad.median_norm).float()
    torch.testing.assert_close(push.vector, shortest, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_gains_are_the_differences_of_shares_in_the_texts() -> None:
    model = tiny_model()
    glad = concept(model, "glad", world=WORLD, at="stated", site=("resid_post", 0))
    prompts = tuple(WORLD.sample(i).text.split(".")[0] + "." for i in range(4))
    experiment = DoseExperiment(
        model=model, prompts=prompts, read=dict, where=Where(), n_tokens=10, temperature=1.0, seed=3
    )
    push = logit_bias(model, glad, MOODS, (), prompts)
    gains = expression_gains(experiment, push, 0.5, WORLD, "glad", MOODS, ("mood", "how"))
    longer = replace(experiment, read=lambda *_: {"rate": (0, 0)}, n_tokens=30)
    _, texts = longer.measure(push.site, push.vector[None], (0.0, 0.5))
    for kind, gain in gains.items():
        shares = []
        for half in (texts[:4], texts[4:]):
            said = [
                mood
                for prompt, text in zip(prompts, half, strict=True)
                for sentence in WORLD.parse(prompt + text).sentences
                for mood in sentence.concepts
                if mood in MOODS and sentence.kind == kind and sentence.span[1] > len(prompt)
            ]
            shares.append(said.count("glad") / len(said))
        assert gain.value == pytest.approx(shares[1] - shares[0])
