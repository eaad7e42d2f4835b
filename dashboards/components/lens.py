"""A grid of what each layer predicts at each position, and the candidates of the picked cell."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from dashboards.components import component
from dashboards.components.colours import legend, limits, quantised
from interp.analyses.lenses.logit_lens import LogitLens
from interp.core.display import percent
from interp.plots.lenses.logit_lens import UNITS, Metric, cell_values

RANKS = ("answer_rank", "rank")
LOG_UNITS = {
    "answer_rank": "rank of the final prediction (log scale)",
    "rank": "rank of {} (log scale)",
}
LED, AMONG = 2, 1


@dataclass(frozen=True, kw_only=True)
class GridCell:
    """A place in the grid: row 0 = embedding, position 0 = the first token."""

    layer: int
    pos: int


def draw(
    result: LogitLens,
    *,
    beside: Sequence[LogitLens],
    metric: Metric,
    cell: GridCell,
    first: int,
    count: int,
    key: str,
    on_change: Callable[[], None],
) -> None:
    """Draw the grid and the candidates; the cell that is picked comes back as `[layer, pos]`.

    Args:
        result: whose cells are drawn; its first target, if any, is marked where it is on top.
        beside: lenses on the same prompt, whose candidates of the cell are side by side.
        metric: what colours the cells.
        cell: whose candidates are listed.
        first: the first position that is drawn.
        count: how many positions are drawn.
        key: of the component; its state `cell` is in the session under it.
        on_change: when a cell is picked.
    """
    span = slice(first, first + count)
    values = cell_values(result, metric)
    top = {"probability": 1.0, "target": 0.0}.get(metric)
    low, high = limits(values, "grid", 0.0 if metric != "target" else None, top)
    names, best = _best(result, span)
    data = {
        "rows": list(result.row_names),
        "columns": list(result.tokens[span]),
        "first": first,
        "names": names,
        "best": best,
        "steps": quantised(values[:, span], low, high),
        "numbers": _packed(_readable(values[:, span], metric), "<f4"),
        "marks": _marks(result, span),
        "target": result.targets[0] if result.targets else "",
        "legend": _legend(result, metric, low, high),
        "chosen": [cell.layer, cell.pos],
        "panel": [candidates(reading, cell) for reading in beside],
    }
    component("lens")(key=key, data=data, on_cell_change=on_change)


def candidates(result: LogitLens, cell: GridCell) -> dict[str, Any]:
    """The best tokens of a cell with their probabilities, and what else is known of it."""
    tokens = result.top_tokens[cell.layer][cell.pos]
    chances = result.top_log_probs[cell.layer, cell.pos].exp().tolist()
    about = [
        ["entropy", f"{result.entropy_bits[cell.layer, cell.pos]:.2f} bits"],
        ["KL to final", f"{result.kl_nats[cell.layer, cell.pos]:.3f} nats"],
        ["final prediction", result.top_tokens[-1][cell.pos][0]],
        ["its rank here", str(result.answer_ranks[cell.layer, cell.pos].item())],
    ]
    for number, target in enumerate(result.targets):
        chance = result.log_probs[cell.layer, cell.pos, number].exp().item()
        rank = result.ranks[cell.layer, cell.pos, number].item()
        about.append([target, f"{percent(chance, 2)}, rank {rank}"])
    return {
        "title": f"{result.lens.capitalize()} lens",
        "rows": [[token, p] for token, p in zip(tokens, chances, strict=True)],
        "about": about,
    }


def _best(result: LogitLens, span: slice) -> tuple[list[str], str]:
    """Each token once, and the number of each cell's best one."""
    rows = [[best[0] for best in row[span]] for row in result.top_tokens]
    names = list(dict.fromkeys(token for row in rows for token in row))
    numbers = {token: number for number, token in enumerate(names)}
    return names, _packed([[numbers[token] for token in row] for row in rows], "<u2")


def _marks(result: LogitLens, span: slice) -> str:
    """2 where the followed token leads, 1 where it is among the candidates, 0 elsewhere."""
    if not result.targets:
        return ""
    ranks = result.ranks[:, span, 0].numpy()
    among = ranks < result.top_log_probs.shape[-1]
    return _packed(np.where(ranks == 0, LED, np.where(among, AMONG, 0)), "u1")


def _readable(values: Tensor, metric: Metric) -> Tensor:
    """The numbers as they are read out: ranks as ranks, log-probabilities as probabilities."""
    if metric in RANKS:
        return (10**values - 1).round()
    return values.exp() if metric == "target" else values


def _legend(result: LogitLens, metric: Metric, low: float, high: float) -> dict[str, Any]:
    followed = result.targets[0] if result.targets else ""
    unit = LOG_UNITS.get(metric, UNITS[metric]).format(followed)
    ends = {"low": "0", "high": f"{10**high - 1:.0f}"} if metric in RANKS else {}
    return legend("grid", low, high, unit) | ends


def _packed(values: Any, kind: str) -> str:
    return b64encode(np.asarray(values).astype(kind).tobytes()).decode()
