"""The tidy table of a result, made from the axes that its fields are annotated with.

Fields of one set of axes stand side by side, a column each and a row a place. Where the axes
differ, the table is long: a row a value, where it stands first, then which field it is of
(`quantity`), then the number.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import torch
from torch import Tensor

from interp.core.statistics.intervals import Interval

if TYPE_CHECKING:
    import pandas as pd

BOUND = "bound"
"""The axis of a tensor that holds value, low and high."""
REPEATS = ("seed", "draw", "direction")
"""Axes along which a control is repeated: a table gives the mean, the lowest and the highest."""
NUMBERS = ("value", "low", "high")


def table(result: Any) -> "pd.DataFrame":
    """The table of a result, by its class' `columns`, `axes` and `labels`.

    Args:
        result: a `Result`; properties of its class that are annotated with axes count as fields.
    """
    axes = field_axes(type(result))
    columns = result.columns or {name: name for name, own in axes.items() if "d_model" not in own}
    blocks = {
        column: _block(getattr(result, name), axes.get(name, ()))
        for column, name in columns.items()
    }
    if len({tuple(_places(block)) for block in blocks.values()}) == 1:
        return _side_by_side(blocks, result)
    return _long({name: _labelled(block, _places(block), result) for name, block in blocks.items()})


def field_axes(cls: type) -> dict[str, tuple[str, ...]]:
    """Names of the axes of each field and property of a result's class that has some.

    Args:
        cls: whose annotations and `axes` say them.
    """
    annotated = {**get_type_hints(cls), **_properties(cls)}
    tensors = {name: getattr(hint, "dim_str", "") for name, hint in annotated.items()}
    return {
        name: tuple(axis.partition("=")[0] for axis in text.split())
        for name, text in (tensors | cls.axes).items()
        if text
    }


def _properties(cls: type) -> dict[str, Any]:
    """Annotations of the properties that return a tensor: others may name types not loaded here."""
    getters = {
        name: getattr(entry, "fget", None) or getattr(entry, "func", None)
        for kind in reversed(cls.__mro__)
        for name, entry in vars(kind).items()
    }
    hints = {name: getattr(getter, "__annotations__", {}) for name, getter in getters.items()}
    return {name: hint["return"] for name, hint in hints.items() if "return" in hint}


def _block(value: Any, axes: tuple[str, ...]) -> "pd.DataFrame":
    """One field, a row a value: its axes' numbers (or a dict's keys), value, and ends if any."""
    import pandas as pd

    if isinstance(value, tuple) and all(isinstance(number, int | float) for number in value):
        value = torch.tensor(value, dtype=torch.float64)
    if isinstance(value, Tensor):
        return pd.DataFrame(_tensor_columns(value.numpy(), axes))
    rows = list(_rows(value, axes))
    return pd.DataFrame(rows, columns=None if rows else [*axes, "value"])


def _rows(value: Any, axes: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    if isinstance(value, Tensor):
        yield from _block(value, axes).to_dict("records")
    elif isinstance(value, Interval):
        yield {"value": value.value, "low": value.low, "high": value.high, "n": value.n}
    elif isinstance(value, Mapping | tuple):
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, inner in items:
            yield from ({axes[0]: key} | row for row in _rows(inner, axes[1:]))
    else:
        yield {"value": value}


def _tensor_columns(values: np.ndarray, axes: tuple[str, ...]) -> dict[str, np.ndarray]:
    names = list(axes)
    if BOUND in names:
        ends = np.moveaxis(values, names.index(BOUND), 0)
        names.remove(BOUND)
    else:
        ends = _over_repeats(values, names)
    places = np.indices(ends[0].shape)
    columns = {name: place.ravel() for name, place in zip(names, places, strict=True)}
    return columns | dict(zip(NUMBERS, (end.ravel() for end in ends), strict=False))


def _over_repeats(values: np.ndarray, names: list[str]) -> Sequence[np.ndarray]:
    """Mean, lowest and highest over the repeats, whose names are taken away; else the values."""
    repeats = tuple(i for i, name in enumerate(names) if name in REPEATS)
    if not repeats:
        return [values]
    names[:] = [name for name in names if name not in REPEATS]
    known = ~np.isnan(values)
    low = values.min(repeats, where=known, initial=np.inf)
    high = values.max(repeats, where=known, initial=-np.inf)
    with np.errstate(invalid="ignore"):  # 0 / 0 = nan, where no repeat has a value
        mean = values.sum(repeats, where=known) / known.sum(repeats)
    return [mean, *(np.where(np.isnan(mean), np.nan, end) for end in (low, high))]


def _labelled(block: "pd.DataFrame", places: Sequence[str], result: Any) -> "pd.DataFrame":
    """With the names of the places, each column behind the last axis that it depends on."""
    numbers = {place: block[place] for place in places}
    for column, (axes, names) in reversed(result.labels.items()):
        on = axes.split()
        if set(on) <= set(numbers):
            source = getattr(result, names) if isinstance(names, str) else names
            keys = zip(*(numbers[axis] for axis in on), strict=True)
            entries = [_entry(source, key) for key in keys]
            if column in numbers:
                block[column] = entries
            else:
                block.insert(block.columns.get_loc(on[-1]) + 1, column, entries)
    return block


def _entry(names: Any, keys: Sequence[Any]) -> Any:
    """What stands at a place; empty where nested lists have different lengths."""
    for key in keys:
        if not isinstance(names, Mapping | Tensor) and key >= len(names):
            return ""
        names = names[key]
    return names.item() if isinstance(names, Tensor) else names


def _places(block: "pd.DataFrame") -> list[str]:
    return [name for name in block.columns if name not in (*NUMBERS, "n")]


def _side_by_side(blocks: Mapping[str, "pd.DataFrame"], result: Any) -> "pd.DataFrame":
    first = next(iter(blocks.values()))
    places = _places(first)
    whole = first[places]
    for column, block in blocks.items():
        names = {end: f"{column}_{end}" for end in ("low", "high", "n") if column != "value"}
        block = block.rename(columns=names | {"value": column})
        whole = whole.merge(block, on=places, how="left") if places else whole.join(block)
    return _labelled(whole, places, result)


def _long(blocks: Mapping[str, "pd.DataFrame"]) -> "pd.DataFrame":
    import pandas as pd

    # As objects: a place that a quantity lacks is empty, and must not turn numbers into 2.0.
    parts = [
        block.astype({name: object for name in block if name not in NUMBERS}).assign(
            quantity=column, value=block["value"].astype(float)
        )
        for column, block in blocks.items()
        if len(block)
    ]
    places = dict.fromkeys(name for block in blocks.values() for name in _places(block))
    if not parts:
        return pd.DataFrame(columns=[*places, "quantity", "value"])
    whole = pd.concat(parts, ignore_index=True)
    rest = [name for name in (*NUMBERS, "n") if name in whole]
    whole = whole.reindex(columns=[*places, "quantity", *rest])
    empty = [name for name in whole if name not in NUMBERS]
    whole[empty] = whole[empty].astype(object).where(whole[empty].notna(), None)
    return whole
