"""The form that a signature makes: what a link may ask for."""

import pytest


@pytest.mark.parametrize("asked", ["1000000000", "-1", "nan", "x"])
def test_a_number_that_no_page_can_measure_with_is_forgotten(application, asked):
    test = application("head_ablation", head_ablation_untrained=asked)
    assert not test.exception
    assert test.number_input(key="head_ablation_untrained").value == 2


def test_a_number_within_the_bounds_is_taken_from_the_link(application):
    test = application("head_ablation", head_ablation_untrained="3")
    assert test.number_input(key="head_ablation_untrained").value == 3
