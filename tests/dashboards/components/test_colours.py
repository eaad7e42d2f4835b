"""Steps of colour: every one can be read, the order is kept, what is no number has none."""

import base64

import pytest

from dashboards.components.colours import (
    STEPS,
    STOPS,
    UNKNOWN,
    contrast,
    legend,
    limits,
    quantised,
    ramp,
)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("tone", ["light", "dark"])
@pytest.mark.parametrize("scale", STOPS)
def test_every_step_has_ink_that_can_be_read_on_it(scale, tone):
    steps = ramp(scale)[tone]
    assert len(steps) == STEPS and steps[0][0] == STOPS[scale][tone][0]
    assert min(contrast(ink, paper) for paper, ink in steps) >= 4.5


@pytest.mark.parametrize("tone", ["light", "dark"])
@pytest.mark.parametrize("scale", ["sequential", "grid"])
def test_a_sequential_scale_only_grows_lighter_or_only_darker(scale, tone):
    contrasts = [contrast(paper, "#000000") for paper, _ in ramp(scale)[tone]]
    assert contrasts in (sorted(contrasts), sorted(contrasts, reverse=True))


def test_a_diverging_scale_is_far_from_its_middle_at_both_ends():
    for tone in ("light", "dark"):
        papers = [paper for paper, _ in ramp("diverging")[tone]]
        middle = papers[STEPS // 2]
        assert min(contrast(papers[0], middle), contrast(papers[-1], middle)) > 4


def test_values_keep_their_order_and_unknown_ones_have_no_step():
    steps = base64.b64decode(quantised([[-1.0, 0.0], [0.25, 9.0], [float("nan"), 1.0]], 0.0, 1.0))
    assert list(steps) == [0, 0, 16, 63, UNKNOWN, 63]
    assert list(base64.b64decode(quantised([3.0, 3.0], 3.0, 3.0))) == [0, 0]


def test_a_scale_ends_where_the_values_do_or_where_it_is_told_to():
    values = [-2.0, float("nan"), 1.0]
    assert limits(values, "sequential", None, None) == (-2, 1)
    assert limits([1.0, 3.0], "sequential", None, None) == (0, 3)
    assert limits(values, "diverging", None, None) == (-2, 2)
    assert limits(values, "diverging", -1.0, 3.0) == (-3, 3)
    assert limits([float("nan")], "diverging", None, None) == (-1, 1)
    scale = legend("grid", 0.0, 0.123456, "probability")
    assert (scale["low"], scale["high"], scale["unit"]) == ("0", "0.123", "probability")
