"""Linear classifiers that read a variable at each kind of token, and how well they read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum
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
    """A linear classifier for each kind of token.

    Attributes:
        names: of the classifiers: a place, or `elsewhere: Anna`.
        weight: of each class's score; task 0 was fitted to the truth, task 1 to shuffled labels.
        bias: of each class's score.
        commonest: of each classifier, the class that is most frequent in training.
    """

    names: tuple[str, ...]
    weight: Float[Tensor, "decoder task class d_model"]
    bias: Float[Tensor, "decoder task class"]
    commonest: Int[Tensor, " decoder"]

    def log_odds(
        self, x: Float[Tensor, "cell d_model"], which: Int[Tensor, " cell"]
    ) -> Float[Tensor, "task cell class"]:
        """Of each cell, by the classifier that reads there."""
        _, tasks, classes, _ = self.weight.shape
        log_odds = x.new_empty(tasks, len(x), classes)
        pattern = "cell d_model, task label d_model -> task cell label"
        for i in which.unique().tolist():
            rows = which == i
            log_odds[:, rows] = einsum(x[rows], self.weight[i], pattern) + self.bias[i][:, None]
        return log_odds


def thinned(cells: Sequence[Example], seed: int) -> list[Example]:
    """At most `MOST_ROWS` cells a kind of token, drawn by the seed, in the order of the stories.

    Where each person or thing has a decoder of its own, each gets a third of that.
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(cells), generator=generator).tolist()
    kept, counts = [], {}
    for i in order:
        counts[cells[i].kind] = counts.get(cells[i].kind, 0) + 1
        if counts[cells[i].kind] <= (MOST_ROWS // 3 if ":" in cells[i].kind else MOST_ROWS):
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
    rows_by_name = _enough(cells)
    if not rows_by_name:
        raise NotEnoughDataError(
            f"Reading a story needs {FEWEST_ROWS} tokens of one kind at which two values or more "
            f"are true; got {len(cells)} tokens. Ask for more stories."
        )
    with progress_range(0.0, 0.5):
        rows = rows_at(model, cells, [site])[0]
    labels = torch.tensor([classes.index(cell.label) for cell in cells])
    decoders: dict[str, tuple[Linear, int]] = {}
    for number, (name, numbers) in enumerate(rows_by_name.items()):
        report_progress(f"fitting, {name}", 0.5 + 0.5 * number / len(rows_by_name), 1)
        truth = labels[numbers]
        order = torch.randperm(len(numbers), generator=torch.Generator().manual_seed(seed))
        tasks = torch.stack([truth, truth[order]])
        fitted = fit_linear(rows[numbers], tasks, len(classes), l2=l2, max_steps=STEPS)
        decoders[name] = fitted, int(truth.mode().values)
    return Decoders(
        names=tuple(decoders),
        weight=torch.stack([fitted.weight for fitted, _ in decoders.values()]),
        bias=torch.stack([fitted.bias for fitted, _ in decoders.values()]),
        commonest=torch.tensor([commonest for _, commonest in decoders.values()]),
    )


def _enough(cells: Sequence[Example]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for i, cell in enumerate(cells):
        rows.setdefault(cell.kind, []).append(i)
    ordered = sorted(rows, key=lambda name: (PLACES.index(name.partition(":")[0]), name))
    return {
        name: rows[name]
        for name in ordered
        if len(rows[name]) >= FEWEST_ROWS and len({cells[i].label for i in rows[name]}) > 1
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
    decoded = decoders.log_odds(rows_at(model, cells, [site])[0], which).argmax(-1)
    right = dict(zip(TASKS, decoded == truth, strict=True))
    right["majority"] = decoders.commonest[which] == truth
    kinds = [cell.kind.partition(":")[0] for cell in cells]
    stories = torch.tensor([cell.story for cell in cells])
    return {curve: _by_kind(flags, kinds, stories, seed) for curve, flags in right.items()}


def _by_kind(
    flags: Bool[Tensor, " cell"], kinds: Sequence[str], stories: Int[Tensor, " cell"], seed: int
) -> dict[str, Interval]:
    rates = {}
    for place in PLACES:
        here = torch.tensor([kind == place for kind in kinds])
        if len(stories[here].unique()) > 1:
            rates[place] = rate(flags[here], stories[here], seed=seed)
    return rates
