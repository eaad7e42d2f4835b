"""Labels of points never meet another label or point; one that cannot stand is left out."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.plots.label_sides import LINE, POINT, SIDES, _box, _meets, label_sides

SIZE = (300.0, 320.0)


def boxes(points, labels, sides):
    places = np.asarray(points) * SIZE
    rows = zip(places, labels, sides, strict=True)
    return [_box(x, y, side, label) for (x, y), label, side in rows if side]


@given(st.integers(0, 10_000), st.integers(0, 60), st.floats(0.01, 1.0))
@settings(max_examples=60, deadline=None)
def test_no_label_meets_another_or_a_point_that_is_not_its_own(seed, n, spread):
    draw = np.random.default_rng(seed)
    points = draw.normal(size=(n, 2)) * spread / 4
    labels = ["w" * length for length in draw.integers(1, 12, size=n)]
    sides = label_sides(points, labels, SIZE)
    assert len(sides) == n and set(sides) <= {*SIDES, ""}
    there = boxes(points, labels, sides)
    for i, box in enumerate(there):
        assert not _meets(box, there[:i])
    for i, (x, y) in enumerate(points * SIZE):
        others = boxes(np.delete(points, i, 0), np.delete(labels, i), sides[:i] + sides[i + 1 :])
        assert not _meets((x - POINT, y - POINT, x + POINT, y + POINT), others)


def test_points_far_apart_all_have_their_label_on_top():
    points = [(0.1, 0.1), (0.5, 0.5), (0.9, 0.9)]
    assert label_sides(points, ["one", "two", "three"], SIZE) == [SIDES[0]] * 3


def test_of_many_points_at_one_place_only_some_have_a_label():
    sides = label_sides([(0.5, 0.5 + i * LINE / 4000) for i in range(30)], ["word"] * 30, SIZE)
    assert 0 < sum(map(bool, sides)) < 30
