"""Interventions as values: what to change at a hook point, and where.

An edit is an argument of a run and never a state of the model, so there is nothing to clean up.
Where it does not act it returns the very bits it was given.
"""

import json
import sys
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.core.errors import ConfigError, ShapeError
from interp.core.hooks import Name, resolve, short_name
from interp.core.positions import EditContext, Where, from_first_token, whole_numbers

__all__ = [
    "Ablate",
    "Add",
    "Call",
    "Clamp",
    "Edit",
    "EditContext",
    "Project",
    "Replace",
    "Scale",
    "Where",
    "by_point",
    "edits_within",
    "from_first_token",
    "from_json",
    "idle_edits",
    "to_json",
]

_KEYED = frozenset({"attn_scores", "pattern"})
_HEADED = frozenset({"q", "k", "v", "rot_q", "rot_k", "z", "result"}) | {
    f"{part}_{rest}" for part in "qk" for rest in ("input", "norm_scale", "norm_normalized")
}
_HEAD_SITES = _KEYED | _HEADED | {"v_input"}
_NEURON_SITES = frozenset({"pre", "pre_linear", "post"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Edit:
    """A change at one kind of hook point.

    Attributes:
        hook: a full name, a short name (every layer) or (short name, layer).
        where: the positions that are changed; for scores and patterns these are the queries.
        heads: only these heads (sites with a head axis).
        neurons: only these neurons (`pre`, `pre_linear`, `post`).
    """

    tensors: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[tuple[str, ...]] = ()

    hook: Name
    where: Where = field(default_factory=Where)
    heads: tuple[int, ...] | None = None
    neurons: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for part in ("heads", "neurons"):
            if getattr(self, part) is not None:
                object.__setattr__(self, part, whole_numbers(getattr(self, part), part))
            if getattr(self, part) == ():
                raise ConfigError(
                    f"{part} must name one or more (or be None: all of them); got none, where "
                    "nothing would be changed."
                )
        if not isinstance(self.where, Where):
            raise ConfigError(f"where must be a Where; got {self.where!r:.80}.")
        for part in self.numbers:
            if not _is_number(getattr(self, part)):
                raise ConfigError(
                    f"{part} must be a finite number, or a tensor of one a row; got "
                    f"{getattr(self, part)!r:.80}."
                )
        for part in self.tensors:
            if getattr(self, part) is not None:
                object.__setattr__(self, part, torch.as_tensor(getattr(self, part)))
        self._check()

    def __str__(self) -> str:
        """Its kind and where it acts, for a sentence."""
        parts = {part: getattr(self, part) for part in ("heads", "neurons")}
        chosen = "".join(f", {name}={each!r:.60}" for name, each in parts.items() if each)
        return f"{type(self).__name__} at {self.hook!r}{chosen}, {self.where}"

    def apply(self, name: str, x: Tensor, context: EditContext) -> Tensor:
        """The activation `x` of the point `name`, changed where the edit acts.

        Raises:
            ShapeError: a value, head or neuron does not fit the site.
        """
        chosen = _chosen(self, name, x, context)
        new = self.change(name, x, context)
        if new.shape != x.shape:
            raise _misfit(self, name, x, f"made a tensor of shape {tuple(new.shape)}")
        return torch.where(chosen, new, x)

    @abstractmethod
    def change(self, name: str, x: Tensor, context: EditContext) -> Tensor:
        """The new activation, as if the edit acted everywhere."""

    def _check(self) -> None:
        """Refuse settings that cannot be used at any site."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Edit):
    """Add `scale` times a vector.

    Attributes:
        vector: (d), (pos d) or (batch pos d), with `head d_head` for `d` at sites with heads; row
            p of `pos` is for position p.
        scale: one number, or one a row of the batch.

    Example:
        >>> edit = Add(hook="hook_embed", vector=torch.ones(2), scale=3.0)
        >>> edit.apply("hook_embed", torch.zeros(1, 2, 2), EditContext.of(torch.tensor([[7, 8]])))
        tensor([[[0., 0.],
                 [3., 3.]]])
    """

    tensors: ClassVar[tuple[str, ...]] = ("vector",)
    numbers: ClassVar[tuple[str, ...]] = ("scale",)
    vector: Float[Tensor, "..."]
    scale: float | Float[Tensor, "batch"] = 1.0

    def change(self, name: str, x: Tensor, context: EditContext) -> Tensor:
        scale = _per_row(self, name, x, self.scale)
        return x + scale * _fitted(self, self.vector, name, x, context)


@dataclass(frozen=True, kw_only=True, eq=False)
class Replace(Edit):
    """Put a value in the activation's place.

    Attributes:
        value: (d), (pos d), (batch pos d) or one number; row p of `pos` is for position p.
    """

    tensors: ClassVar[tuple[str, ...]] = ("value",)
    value: Float[Tensor, "..."]

    def change(self, name: str, x: Tensor, context: EditContext) -> Tensor:
        return _fitted(self, self.value, name, x, context).expand(x.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Ablate(Edit):
    """Take the information out: zeros, a mean, or the activations of another run.

    Attributes:
        kind: what takes its place: `zero`, `mean` or `resample`.
        value: the mean (d), or the other run's activations (pos d) or (batch pos d).
    """

    tensors: ClassVar[tuple[str, ...]] = ("value",)
    kind: Literal["zero", "mean", "resample"] = "zero"
    value: Float[Tensor, "..."] | None = None

    def change(self, name: str, x: Tensor, context: EditContext) -> Tensor:
        if self.value is None:
            return torch.zeros_like(x)
        return _fitted(self, self.value, name, x, context).expand(x.shape)

    def _check(self) -> None:
        if self.kind not in ("zero", "mean", "resample"):
            raise ConfigError(f"kind must be zero, mean or resample; got {self.kind!r}.")
        if (self.kind == "zero") != (self.value is None):
            need = "no value" if self.kind == "zero" else "a value: the mean, or another run's"
            raise ConfigError(f"Ablate(kind={self.kind!r}) takes {need}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Scale(Edit):
    """Multiply by a factor; 1 changes nothing, 0 is a zero ablation.

    Attributes:
        factor: one number, or one for each row of the batch.
    """

    numbers: ClassVar[tuple[str, ...]] = ("factor",)
    factor: float | Float[Tensor, "batch"]

    def change(self, name: str, x: Tensor, context: EditContext) -> Tensor:
        return x * _per_row(self, name, x, self.factor)


@dataclass(frozen=True, kw_only=True, eq=False)
class Project(Edit):
    """Take directions out: what is left is orthogonal to all of them.

    Attributes:
        directions: vectors of any length, linearly dependent or not.
    """

    tensors: ClassVar[tuple[str, ...]] = ("directions",)
    directions: Float[Tensor, "k d"]

    def change(self, name: str, x: Tensor, context: EditContext) -> Tensor:
        _check_directions(self, name, x)
        basis = self._basis.to(x)
        return x - (x @ basis.T) @ basis

    def _check(self) -> None:
        object.__setattr__(self, "directions", _rows_of_numbers(self.directions))

    @cached_property
    def _basis(self) -> Tensor:
        # Right singular vectors with a size span what the directions span, dependent or not.
        _, sizes, rows = torch.linalg.svd(self.directions.double(), full_matrices=False)
        return rows[sizes > sizes.max() * 1e-7]


@dataclass(frozen=True, kw_only=True, eq=False)
class Clamp(Edit):
    """Set the readings `x @ direction` of several directions at once, by the smallest change.

    Solved jointly with the Gram matrix, so that directions that are not orthogonal do not undo one
    another.

    Attributes:
        directions: linearly independent ones, of any length.
        values: the readings to set, one a direction; or a row of them for each row of the batch.
    """

    tensors: ClassVar[tuple[str, ...]] = ("directions", "values")
    directions: Float[Tensor, "k d"]
    values: Float[Tensor, "*batch k"]

    def change(self, name: str, x: Tensor, context: EditContext) -> Tensor:
        _check_directions(self, name, x)
        values = self.values.to(x)
        if values.ndim == 2:
            if len(values) != len(x):
                raise _misfit(self, name, x, f"has values for {len(values)} rows")
            values = values.view(len(x), *[1] * (x.ndim - 2), -1)
        return x + (values - x @ self.directions.to(x).T) @ self._dual.to(x)

    def _check(self) -> None:
        object.__setattr__(self, "directions", _rows_of_numbers(self.directions))
        object.__setattr__(self, "values", torch.atleast_1d(self.values))
        count, values = len(self.directions), tuple(self.values.shape)
        if values[-1] != count or len(values) > 2:
            raise ShapeError(f"Clamp needs one value a direction, ({count}); got {values}.")
        if torch.linalg.matrix_rank(self.directions.detach().double()) < count:
            raise ConfigError(
                "Clamp's directions depend on one another: drop some, or use Project."
            )

    @cached_property
    def _dual(self) -> Tensor:
        # With D the directions, each row of (D D^T)^-1 D reads 1 along its own direction, 0 along
        # the others, and lies in their span: the smallest change that sets all readings is made of
        # these rows.
        rows = self.directions.double()
        return torch.linalg.solve(rows @ rows.T, rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class Call(Edit):
    """Any function of the activation and the context.

    Attributes:
        function: gives the new activation, of the same shape.
    """

    function: Callable[[Tensor, EditContext], Tensor]

    def change(self, name: str, x: Tensor, context: EditContext) -> Tensor:
        return self.function(x, context)


def by_point(edits: Sequence[Edit], hook_names: Sequence[str]) -> dict[str, list[Edit]]:
    """Full hook name to its edits, in the order given.

    Raises:
        HookNameError: an edit's hook matches no point.
    """
    points: dict[str, list[Edit]] = {}
    for edit in edits:
        for name in resolve(edit.hook, hook_names):
            points.setdefault(name, []).append(edit)
    return points


def edits_within(edits: Iterable[Edit], context: EditContext) -> list[Edit]:
    """The edits as far as a pass over some of several texts meets them; those it does not, not.

    Args:
        edits: of all the texts.
        context: of the pass.
    """
    places = ((edit, edit.where.within(context)) for edit in edits)
    return [
        edit if where == edit.where else replace(edit, where=where)
        for edit, where in places
        if where is not None
    ]


def idle_edits(
    edits: Sequence[Edit], prompts: Sequence[Sequence[int]], generated: Sequence[Sequence[int]]
) -> tuple[Edit, ...]:
    """Those edits that met no position of a generation, and so changed nothing.

    Args:
        edits: of the generation.
        prompts: ids of each row's prompt.
        generated: ids of what followed it.
    """
    context = EditContext.of_generation(prompts, generated)
    return tuple(edit for edit in edits if not edit.where.acts_in(context))


def to_json(edits: Iterable[Edit]) -> str:
    """The edits as JSON text, every number exact.

    Raises:
        ConfigError: one of them is a `Call`, which holds code.
    """
    return json.dumps([_plain(edit) for edit in edits])


def from_json(text: str) -> list[Edit]:
    """Edits from JSON text.

    Raises:
        ConfigError: the text does not describe edits.

    Example:
        >>> [edit] = from_json(to_json([Scale(hook=("z", 0), factor=0.5, heads=(1,))]))
        >>> edit.hook, edit.factor, edit.heads
        (('z', 0), 0.5, (1,))
    """
    try:
        return [_revived(dict(entry)) for entry in json.loads(text)]
    except UNREADABLE as error:
        raise ConfigError(f"This text does not describe edits: {error!s:.300}") from error


def _chosen(edit: Edit, name: str, x: Tensor, context: EditContext) -> Bool[Tensor, "..."]:
    short = short_name(name)
    keyed = short in _KEYED
    shape = [len(x), 1, x.shape[2], 1] if keyed else [*x.shape[:2], *[1] * (x.ndim - 2)]
    chosen = edit.where.chosen(context).view(shape)
    if edit.heads is not None:
        if short not in _HEAD_SITES:
            raise _misfit(edit, name, x, "names heads, which this site does not have")
        axis = 1 if keyed else 2
        chosen = chosen & _picked(edit, name, x, axis, edit.heads)
    if edit.neurons is not None:
        if short not in _NEURON_SITES:
            raise _misfit(edit, name, x, "names neurons, which this site does not have")
        chosen = chosen & _picked(edit, name, x, 2, edit.neurons)
    return chosen


def _picked(edit: Edit, name: str, x: Tensor, axis: int, members: tuple[int, ...]) -> Tensor:
    if any(not -x.shape[axis] <= member < x.shape[axis] for member in members):
        last, what = x.shape[axis] - 1, "heads" if members is edit.heads else "neurons"
        raise _misfit(edit, name, x, f"names {what} {members!r:.80}, needed are 0-{last}")
    picked = torch.zeros(x.shape[axis], dtype=torch.bool, device=x.device)
    picked[list(members)] = True
    return picked.view([-1 if i == axis else 1 for i in range(x.ndim)])


def _per_row(edit: Edit, name: str, x: Tensor, number: float | Tensor) -> float | Tensor:
    if not isinstance(number, Tensor) or number.ndim == 0:
        # Torch takes no whole number of more than 64 bits.
        return number if isinstance(number, Tensor) else float(number)
    if number.shape != (len(x),):
        raise _misfit(edit, name, x, f"has strengths of shape {tuple(number.shape)}")
    return number.to(x).view(-1, *[1] * (x.ndim - 1))


def _fitted(edit: Edit, value: Tensor, name: str, x: Tensor, context: EditContext) -> Tensor:
    """The value, broadcastable to `x`: rows put at the absolute positions they are for."""
    value = value.to(x)
    if short_name(name) in _KEYED:
        return _fitted_keys(edit, value, name, x, context)
    inner = x.shape[2:]
    extra = value.ndim - len(inner)
    _check_sizes(edit, name, x, value.shape[max(extra, 0) :], inner[max(-extra, 0) :])
    if extra <= 0:
        return value
    if extra > 2 or (extra == 2 and value.shape[0] not in (1, len(x))):
        raise _misfit(edit, name, x, f"has a value of shape {tuple(value.shape)}")
    rows = value if extra == 2 else value[None]
    place = _rows_for(edit, name, x, rows.shape[1], context)
    batch = torch.arange(len(x), device=x.device)[:, None] % len(rows)
    return rows[batch, place]


def _fitted_keys(edit: Edit, value: Tensor, name: str, x: Tensor, context: EditContext) -> Tensor:
    if value.ndim == 0:
        return value
    rows = value[(None,) * (4 - value.ndim)] if 2 <= value.ndim <= 4 else None
    if rows is None or rows.shape[0] not in (1, len(x)) or rows.shape[1] not in (1, x.shape[1]):
        raise _misfit(edit, name, x, f"has a value of shape {tuple(value.shape)}")
    queries = _rows_for(edit, name, x, rows.shape[2], context)[:, None, :, None]
    keys = context.key_positions.clamp(0, rows.shape[3] - 1)[:, None, None, :]
    batch = torch.arange(len(x), device=x.device)[:, None, None, None] % len(rows)
    heads = torch.arange(x.shape[1], device=x.device)[:, None, None] % rows.shape[1]
    # Four index tensors that broadcast to "batch head query key": each row picks the queries and
    # keys at its own absolute positions, and one row or head of values serves all.
    return rows[batch, heads, queries, keys]


def _rows_for(edit: Edit, name: str, x: Tensor, count: int, context: EditContext) -> Tensor:
    place = context.positions
    beyond = place[edit.where.chosen(context) & (place >= count)]
    if beyond.numel():
        which = f"has values for positions 0-{count - 1} but acts on position {int(beyond.min())}"
        raise _misfit(edit, name, x, f"{which} (Where(stop={count}) would leave it out)")
    return place.clamp(max=count - 1)


def _check_sizes(
    edit: Edit, name: str, x: Tensor, given: Sequence[int], needed: Sequence[int]
) -> None:
    if any(a not in (1, b) for a, b in zip(given, needed, strict=True)):
        raise _misfit(edit, name, x, f"has a value that ends in {tuple(given)}")


def _check_directions(edit: Project | Clamp, name: str, x: Tensor) -> None:
    width = edit.directions.shape[-1]
    if short_name(name) in _KEYED or edit.directions.ndim != 2 or width != x.shape[-1]:
        raise _misfit(edit, name, x, f"has directions of shape {tuple(edit.directions.shape)}")


def _rows_of_numbers(directions: Tensor) -> Tensor:
    """Directions as (k d).

    Raises:
        ShapeError: they have other axes, or there is none.
        ConfigError: one of their numbers is not finite, so they span nothing.
    """
    rows = torch.atleast_2d(directions)
    if rows.ndim != 2 or not rows.numel():
        raise ShapeError(f"Directions must be of shape (k, d); got {tuple(directions.shape)}.")
    if not torch.isfinite(rows).all():
        raise ConfigError("Directions must be finite numbers; some are not.")
    return rows


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return isinstance(value, Tensor)
    return abs(value) <= sys.float_info.max


def _misfit(edit: Edit, name: str, x: Tensor, what: str) -> ShapeError:
    site = f"the site {name!r} has shape {tuple(x.shape)}"
    return ShapeError(f"{type(edit).__name__} does not fit: {site}; the edit {what}.")


def _plain(edit: Edit) -> dict[str, Any]:
    if isinstance(edit, Call):
        raise ConfigError("A Call holds code, which JSON cannot; use another kind of edit.")
    entry = {part.name: _plain_value(getattr(edit, part.name)) for part in fields(edit)}
    where = {part.name: getattr(edit.where, part.name) for part in fields(edit.where)}
    where["tokens"] = None if edit.where.tokens is None else sorted(edit.where.tokens)
    return {"edit": type(edit).__name__, **entry, "where": where}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Tensor):
        kind = str(value.dtype).removeprefix("torch.")
        return {"dtype": kind, "values": value.detach().cpu().tolist()}
    return value


def _revived(entry: dict[str, Any]) -> Edit:
    kind = _KINDS[entry.pop("edit")]
    entry["where"] = Where(**entry["where"])
    if isinstance(entry["hook"], list):
        entry["hook"] = tuple(entry["hook"])
    for part, value in entry.items():
        if isinstance(value, dict):
            entry[part] = torch.tensor(value["values"], dtype=getattr(torch, value["dtype"]))
    return kind(**entry)


UNREADABLE = (
    TypeError, ValueError, KeyError, AttributeError, OverflowError, RuntimeError,
)  # fmt: skip
"""What values of another form raise, numbers beyond their kind and endless nesting among them."""
_KINDS = {kind.__name__: kind for kind in (Add, Replace, Ablate, Scale, Project, Clamp)}
