"""What a result may hold (tensors, numbers, text, tuples, dicts), and its way to JSON and back.

Knows nothing of results or files. JSON has no nan, no tuple keys and no tensors, so those, and the
small records of `interp.statistics`, are written as one-entry objects whose key starts with `$`.
"""

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import torch
from torch import Tensor

RECORDS = "interp.core.statistics.intervals"


def normalize(value: Any) -> Any:
    """The value as a result keeps it: CPU float32 (or int64, bool) tensors, tuples, plain numbers.

    Raises:
        TypeError: a kind of value that cannot be saved; the message names it.
    """
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, Tensor):
        return _normal_tensor(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return tuple(normalize(item) for item in value)
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError(f"A result's dict needs text keys; got {list(value)[:3]}.")
        return {key: normalize(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)) or _is_record(value):
        return value
    raise TypeError(
        f"A result holds tensors, numbers, text, tuples and dicts; got {type(value)}. "
        "Turn it into one of these (a model or tokenizer never belongs in a result)."
    )


def encode(value: Any, key: str, tensors: dict[str, Tensor]) -> Any:
    """JSON for a normalized value; its tensors go into `tensors`, named after `key`."""
    if isinstance(value, Tensor):
        tensors[key] = value
        return {"$tensor": key}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    if isinstance(value, tuple):
        return [encode(item, f"{key}.{i}", tensors) for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        pairs = [[k, encode(v, f"{key}.{i}", tensors)] for i, (k, v) in enumerate(value.items())]
        return {"$dict": pairs} if any(k.startswith("$") for k in value) else dict(pairs)
    if _is_record(value):
        entries = {field.name: getattr(value, field.name) for field in fields(value)}
        return {"$record": [type(value).__name__, encode(normalize(entries), key, tensors)]}
    return value


def decode(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The value that `encode` was given.

    Raises:
        ValueError, KeyError, TypeError: not written by `encode`, or a tensor is missing.
    """
    if isinstance(value, list):
        return tuple(decode(item, tensors) for item in value)
    if not isinstance(value, dict):
        return value
    mark = next(iter(value), "")
    if not mark.startswith("$"):
        return {key: decode(item, tensors) for key, item in value.items()}
    (content,) = value.values()
    if mark == "$tensor":
        return tensors[content]
    if mark == "$float":
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content]
    if mark == "$dict":
        return {str(key): decode(item, tensors) for key, item in content}
    if mark == "$record":
        name, entries = content
        return _record(_record_class(name), decode(entries, tensors))
    raise ValueError(f"Unknown mark {mark!r}.")


def same(left: Any, right: Any) -> bool:
    """Equal in kind and value, nan equal to nan, through tensors, tuples, dicts and records."""
    if type(left) is not type(right):
        return False
    if isinstance(left, Tensor):
        if left.dtype != right.dtype or left.shape != right.shape:
            return False
        return bool(((left == right) | ((left != left) & (right != right))).all())
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if _is_record(left):
        return all(same(getattr(left, f.name), getattr(right, f.name)) for f in fields(left))
    return left == right or (left != left and right != right)


def fits(value: Any, hint: Any) -> bool:
    """Whether a normalized value is of the annotated kind (tensor shapes and dtypes included)."""
    if hint is Any:
        return True
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return any(fits(value, kind) for kind in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple:
        return isinstance(value, tuple) and _items_fit(value, inner)
    if origin is not None:  # dict[str, X], Mapping[str, X], Sequence[X]
        if isinstance(value, Mapping):
            return all(fits(item, inner[-1]) for item in value.values())
        return isinstance(value, origin) and all(fits(item, inner[-1]) for item in value)
    if hint is float:
        return isinstance(value, (float, int)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint or type(None))


def _items_fit(value: tuple, kinds: tuple) -> bool:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return all(fits(item, kinds[0]) for item in value)
    return len(value) == len(kinds) and all(map(fits, value, kinds))


def _normal_tensor(tensor: Tensor) -> Tensor:
    """A compact copy that nobody else can write to."""
    if tensor.is_complex():
        raise TypeError("A result holds real tensors; got a complex one. Give its parts.")
    dtype = torch.float32 if tensor.is_floating_point() else torch.int64
    dtype = torch.bool if tensor.dtype == torch.bool else dtype
    return tensor.detach().to("cpu", dtype).clone(memory_format=torch.contiguous_format)


def _is_record(value: Any) -> bool:
    return is_dataclass(value) and type(value).__module__ == RECORDS


def _record(kind: type, entries: Mapping[str, Any]) -> Any:
    """The record, if each of its values is of the annotated kind.

    Raises:
        TypeError: one is of another kind, is missing, or is none of its.
    """
    hints = get_type_hints(kind)
    if wrong := [name for name, value in entries.items() if not fits(value, hints.get(name))]:
        raise TypeError(f"{kind.__name__}.{wrong[0]} is {entries[wrong[0]]!r:.80}")
    return kind(**entries)


def _record_class(name: str) -> type:
    kind = getattr(import_module(RECORDS), str(name), None)
    if not (isinstance(kind, type) and is_dataclass(kind) and kind.__module__ == RECORDS):
        raise ValueError(f"{RECORDS} has no record {name!r}.")
    return kind
