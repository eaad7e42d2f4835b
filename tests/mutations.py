"""Files, links and settings with something changed in them, drawn by a seed."""

import json
import math
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

HOSTILE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 7, 2**31, 2**63, -(2**70), 10**400, 0.5, -1.5, 1e20, -1e308,
    float("nan"), float("inf"), float("-inf"), "", " ", "x", "0", "-1", "nan", "../../etc/passwd",
    "/", "a\0b", "\ud83d", "\u202e", "<script>", "x" * 10_000, "resid_post", "blocks.0.hook_z",
    [], [[]], [0], ["x"], [None], [1e20], {}, {"": 0}, {"$tensor": "x"}, {"$float": "x"},
    {"$record": ["Interval", {}]}, {"$dict": [[1]]}, {"dtype": "xyz", "values": [1]},
    {"dtype": "float32", "values": [[1], [1, 2]]},
)  # fmt: skip
"""Values of every kind that JSON has, at and beyond the ends of what is used."""
NESTED = "NESTED"
LONG_NUMBER = "LONG-NUMBER"


def changed_json(value: Any, draw: random.Random) -> Any:
    """A copy of a JSON value with one to three of its values replaced, left out or doubled."""
    value = deepcopy(value)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        _change_one(value, draw)
    return value


def json_text(value: Any, draw: random.Random) -> str:
    """The value as JSON, now and then with what no `dumps` writes: endless nesting and numbers."""
    value = deepcopy(value)
    if (extreme := draw.random()) < 0.04 and (places := list(_places(value))):
        holder, key = draw.choice(places)
        holder[key] = NESTED if extreme < 0.02 else LONG_NUMBER
    text = json.dumps(value)
    text = text.replace(f'"{NESTED}"', "[" * 100_000 + "]" * 100_000)
    return text.replace(f'"{LONG_NUMBER}"', "9" * 5_000)


def changed_bytes(content: bytes, draw: random.Random) -> bytes:
    """A copy with bytes flipped, cut out, doubled or put in."""
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 5])):
        place = draw.randrange(len(changed) + 1)
        length = draw.choice([1, 1, 2, 8, 100])
        way = draw.randrange(4)
        if way == 0:
            changed[place : place + length] = draw.randbytes(min(length, len(changed) - place))
        elif way == 1:
            del changed[place : place + length]
        elif way == 2:
            changed[place:place] = changed[max(0, place - length) : place]
        else:
            marks = (b"\0", b"\xff\xfe", b"\x1f\x8b", b"PK\x03\x04", b"\n\n", b'"', b"\xed\xa0\xbd")
            changed[place:place] = draw.choice(marks)
    return bytes(changed)


def hostile(draw: random.Random) -> Any:
    """One hostile value."""
    return deepcopy(draw.choice(HOSTILE))


def gguf_value(draw: random.Random) -> Any:
    """One hostile value that a GGUF file can hold."""
    while True:
        value = hostile(draw)
        if isinstance(value, bool) or (isinstance(value, int) and 0 <= value < 2**32):
            return value
        if isinstance(value, float) and not 1e30 < abs(value) < math.inf:
            return value
        if (isinstance(value, str) and value.isprintable()) or value in ([0], ["x"], [1e20]):
            return value


def _change_one(value: Any, draw: random.Random) -> None:
    if not (places := list(_places(value))):
        return
    holder, key = draw.choice(places)
    ways: list[Callable[[], Any]] = [
        lambda: holder.__setitem__(key, hostile(draw)),
        lambda: holder.__setitem__(key, hostile(draw)),
        lambda: holder.__delitem__(key),
        lambda: holder.__setitem__(key, [holder[key], deepcopy(holder[key])]),
    ]
    if isinstance(holder, dict):
        ways.append(lambda: holder.__setitem__("more", hostile(draw)))
    else:
        ways.append(lambda: holder.append(hostile(draw)))
    draw.choice(ways)()


def _places(value: Any) -> Any:
    """Every value inside, as its holder and its key there; of long lists a few."""
    keys = list(value) if isinstance(value, dict) else list(range(min(len(value), 40)))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])
