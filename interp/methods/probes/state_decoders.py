"""Linear classifiers that read a variable at each kind of token, and how well they read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.errors import NotEnoughDataError
from interp.core.hooks import Name
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, rate
from interp.methods.activations import rows_at
from interp.methods.data.examples import Example
from interp.methods.probes.classifier import Linear, fit_linear
from interp.methods.probes.state_tracking import PLACES

MOST_ROWS = 1500
FEWEST_ROWS = 20
STEPS = 60
TASKS = ("probe", "shuffled")


@dataclass(frozen=True, kw_only=True)
class Decoders:
    """One classifier a name; task 0 is the truth, task 1 the same with shuffled labels."""

    names: tuple[str, ...]
    weight: Float[Tensor, "decoder task class d_model"]
    bias: Float[Tensor, "decoder task class"]
    commonest: Int[Tensor, " decoder"]

    def log_odds(
        self, x: Float[Tensor, "cell d_model"], which: Int[Tensor, " cell"]
    ) -> Float[Tensor, "task cell class"]:
        """Of each cell, by the classifier that reads there."""
        found = x.new_empty(self.weight.shape[1], len(x), self.weight.shape[2])
        for i in which.unique().tolist():
            rows = which == i
            read = torch.einsum("nd,tcd->tnc", x[rows], self.weight[i])
            found[:, rows] = read + self.bias[i][:, None]
        return found


def thinned(cells: Sequence[Example], seed: int, most: int = MOST_ROWS) -> list[Example]:
    """At most so many cells a kind of token, drawn by the seed, in the order of the stories.

    Where each person or thing has a decoder of its own, each gets a third of that.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(cells), generator=generator).tolist()
    kept, counts = [], {}
    for i in order:
        counts[cells[i].kind] = counts.get(cells[i].kind, 0) + 1
        if counts[cells[i].kind] <= (most // 3 if ":" in cells[i].kind else most):
            kept.append(i)
    return [cells[i] for i in sorted(kept)]


def fit_decoders(
    model: LanguageModel,
    cells: Sequence[Example],
    classes: Sequence[str],
    site: Name,
    l2: float,
    seed: int,
) -> Decoders:
    """A classifier for each kind of token that has enough examples of two values or more.

    Raises:
        NotEnoughDataError: none has.
    """
    names = _enough(cells)
    if not names:
        raise NotEnoughDataError(
            f"Reading a story needs {FEWEST_ROWS} tokens of one kind at which two values or more "
            f"are true; {len(cells)} tokens came. Ask for more stories."
        )
    with progress_range(0.0, 0.5):
        rows = rows_at(model, cells, [site])[0]
    labels = torch.tensor([classes.index(cell.label) for cell in cells])
    found: dict[str, tuple[Linear, int]] = {}
    for number, (name, held) in enumerate(names.items()):
        report_progress(f"fitting, {name}", 0.5 + 0.5 * number / len(names), 1)
        truth = labels[held]
        order = torch.randperm(len(held), generator=torch.Generator().manual_seed(seed))
        tasks = torch.stack([truth, truth[order]])
        fitted = fit_linear(rows[held], tasks, len(classes), l2=l2, max_steps=STEPS)
        found[name] = fitted, int(truth.mode().values)
    return Decoders(
        names=tuple(found),
        weight=torch.stack([fitted.weight for fitted, _ in found.values()]),
        bias=torch.stack([fitted.bias for fitted, _ in found.values()]),
        commonest=torch.tensor([commonest for _, commonest in found.values()]),
    )


def _enough(cells: Sequence[Example]) -> dict[str, list[int]]:
    held: dict[str, list[int]] = {}
    for i, cell in enumerate(cells):
        held.setdefault(cell.kind, []).append(i)
    ordered = sorted(held, key=lambda name: (PLACES.index(name.partition(":")[0]), name))
    return {
        name: held[name]
        for name in ordered
        if len(held[name]) >= FEWEST_ROWS and len({cells[i].label for i in held[name]}) > 1
    }


def scored(
    model: LanguageModel,
    decoders: Decoders,
    cells: Sequence[Example],
    classes: Sequence[str],
    site: Name,
    seed: int,
) -> dict[str, dict[str, Interval]]:
    """By curve (`probe`, `shuffled`, `majority`) and kind of token: the share that is read right.

    Intervals are over stories; a kind met in one story only is left out.
    """
    cells = [cell for cell in cells if cell.kind in decoders.names]
    if not cells:
        return {}
    which = torch.tensor([decoders.names.index(cell.kind) for cell in cells])
    truth = torch.tensor([classes.index(cell.label) for cell in cells])
    read = decoders.log_odds(rows_at(model, cells, [site])[0], which).argmax(-1)
    right = dict(zip(TASKS, read == truth, strict=True))
    right["majority"] = decoders.commonest[which] == truth
    kinds = [cell.kind.partition(":")[0] for cell in cells]
    stories = torch.tensor([cell.story for cell in cells])
    return {curve: _by_kind(flags, kinds, stories, seed) for curve, flags in right.items()}


def _by_kind(
    flags: Bool[Tensor, " cell"], kinds: Sequence[str], stories: Int[Tensor, " cell"], seed: int
) -> dict[str, Interval]:
    found = {}
    for place in PLACES:
        held = torch.tensor([kind == place for kind in kinds])
        if len(stories[held].unique()) > 1:
            found[place] = rate(flags[held], stories[held], seed=seed)
    return found
