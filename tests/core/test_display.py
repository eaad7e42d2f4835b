"""What is shown to people is true of the number behind it."""

import ast
import math
import random
import re
from pathlib import Path

import pytest

from interp.core.display import percent

PACKAGE = Path(__file__).parents[2]
A_SHARE = re.compile(r"-?[0-9.]+(e-[0-9]+)?%")


@pytest.mark.parametrize(
    ("share", "digits", "shown"),
    [
        (0.0002, 1, "0.02%"),
        (0.00049, 1, "0.049%"),
        (1 / 151_936, 2, "0.00066%"),
        (0.7705, 1, "77.0%"),
        (0.99996, 1, "99.996%"),
        (0.996, None, "99.6%"),
        (0.0312, None, "3.1%"),
        (0, 1, "0%"),
        (1, 1, "100%"),
        (-0.00001, 2, "-0.001%"),
        (1e-9, None, "1e-07%"),
        (math.nan, 1, "not known"),
        (math.inf, None, "not known"),
    ],
)
def test_a_percentage_says_what_the_share_is(share, digits, shown):
    assert percent(share, digits) == shown


def test_no_percentage_is_none_or_all_where_the_share_is_not():
    draw = random.Random(0)
    for _ in range(3000):
        small = 10 ** draw.uniform(-12, 0)
        for share in (small, 1 - small, -small):
            for digits in (None, 0, 1, 2):
                shown = percent(share, digits)
                told = float(shown.removeprefix("about ").removesuffix("%")) / 100
                assert A_SHARE.fullmatch(shown) or shown.startswith("about 100"), (share, shown)
                assert told != 0, (share, shown)
                assert told != 1 or share == 1 or shown.startswith("about"), (share, shown)
                places = (0 if abs(share) >= 0.0995 else 1) if digits is None else digits
                unit = 0.5 * 10 ** (-2 - places)
                assert abs(told - share) <= max(unit, 0.06 * abs(share)) + 1e-12, (share, shown)


def test_no_sentence_writes_a_percentage_by_itself():
    """A format of its own rounds what is not zero to 0.0%; `percent` does not."""
    own = []
    for path in [*PACKAGE.glob("interp/**/*.py"), *PACKAGE.glob("dashboards/**/*.py")]:
        if path.name == "display.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FormattedValue) and isinstance(node.format_spec, ast.JoinedStr):
                spec = "".join(
                    part.value for part in node.format_spec.values if isinstance(part, ast.Constant)
                )
                if "%" in spec:
                    own.append(f"{path.name}:{node.lineno}")
    assert not own
