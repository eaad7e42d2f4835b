"""Figures as small JSON: packed single-precision numbers of about four digits, no template."""

import base64
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import plotly.graph_objects as go

KEPT_BITS = 14


def compact(figure: "go.Figure") -> tuple[dict[str, Any], str]:
    """The figure as plain JSON values, without its title, and the title's text.

    The page has room for a heading, so the title is taken out of the drawing.
    """
    plain = _plain(figure.to_plotly_json())
    layout = plain["layout"]
    title = (layout.pop("title", None) or {}).get("text") or ""
    layout.pop("template", None)
    layout.pop("width", None)
    layout["autosize"] = True
    if title and "t" in layout.get("margin", {}):
        layout["margin"]["t"] = min(layout["margin"]["t"], 16)
    return {"data": plain["data"], "layout": layout}, title


def round_bits(numbers: np.ndarray) -> np.ndarray:
    """Single precision with 14 bits of the fraction: within 1 part in 2^15.

    Whole numbers stay as they are. The zeros at the end are what makes the page small when it is
    compressed.
    """
    single = np.ascontiguousarray(numbers, dtype=np.float32)
    bits = single.view(np.uint32).astype(np.uint64)
    dropped = 23 - KEPT_BITS
    # Half of the last kept bit is added before the rest is cut off: to the nearest, carry included.
    rounded = (bits + (1 << (dropped - 1))) >> dropped << dropped
    kept_numbers = rounded.astype(np.uint32).view(np.float32).reshape(numbers.shape)
    exact = ~np.isfinite(single) | (single == np.round(single))
    return np.where(exact, single, kept_numbers)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


def _array(array: np.ndarray) -> Any:
    """A typed array as plotly.js reads it; text and small arrays as lists."""
    if array.dtype.kind not in "iuf" or array.size == 0:
        return _plain(array.tolist())
    packed = round_bits(array) if array.dtype.kind == "f" else _smallest(array)
    code = f"{packed.dtype.kind}{packed.dtype.itemsize}"
    about = {"dtype": code, "bdata": base64.b64encode(packed.tobytes()).decode("ascii")}
    return about | ({"shape": ", ".join(map(str, array.shape))} if array.ndim > 1 else {})


def _smallest(whole: np.ndarray) -> np.ndarray:
    for dtype in (np.int8, np.int16, np.int32):
        bounds = np.iinfo(dtype)
        if bounds.min <= whole.min() and whole.max() <= bounds.max:
            return np.ascontiguousarray(whole, dtype=dtype)
    return np.ascontiguousarray(whole, dtype=np.float64)
