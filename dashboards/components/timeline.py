"""A slider over training, log-spaced, that moves linked panels in the browser alone."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from dashboards.components import component
from interp.analyses.learning.checkpoint_metrics import CheckpointMetrics
from interp.analyses.learning.checkpoint_viewer import CheckpointViewer

FINE, COARSE = 32_767, 255
MOST_CURVES = 8


def timeline(
    viewer: CheckpointViewer, curves: CheckpointMetrics, *, names: Sequence[str], key: str
) -> None:
    """Draw the slider, the curves and the panels; nothing comes back, so nothing reruns.

    Args:
        viewer: text, words, attention and lens of each checkpoint.
        curves: measured at these or other checkpoints of the run.
        names: of curves to show, eight at most.
        key: unique on the page.
    """
    component("timeline")(key=key, data=timeline_data(viewer, curves, names))


def timeline_data(
    viewer: CheckpointViewer, curves: CheckpointMetrics, curve_names: Sequence[str]
) -> dict[str, Any]:
    """All that the browser needs: whole numbers where a picture needs no more."""
    reach = float(viewer.points.abs().max()) if viewer.words else 1.0
    tokens, best = _numbered(viewer)
    return {
        "steps": list(viewer.steps),
        "prompt": str(viewer.provenance.prompt),
        "tokens": list(viewer.tokens),
        "texts": list(viewer.texts),
        "words": list(viewer.words),
        "kinds": list(viewer.kinds),
        "points": _packed(viewer.points / (reach or 1.0) * FINE, "<i2"),
        "explained": [round(share, 3) for share in viewer.explained_variance.tolist()],
        "head": f"{viewer.layer}.{viewer.head}",
        "pattern": _packed(viewer.pattern * COARSE, "u1"),
        "rows": list(viewer.rows),
        "names": tokens,
        "best": _packed(best, "<u2"),
        "chances": _packed(viewer.chances * COARSE, "u1"),
        "curves": [_curve(curves, name) for name in curve_names[:MOST_CURVES]],
    }


def _curve(curves: CheckpointMetrics, name: str) -> dict[str, Any]:
    i = curves.curves.index(name)
    values = curves.values[i, :, 0]
    return {
        "name": name,
        "unit": curves.units[i],
        "steps": list(curves.steps),
        "values": _rounded(values),
        "low": _rounded(curves.values[i, :, 1]),
        "high": _rounded(curves.values[i, :, 2]),
        "control": _rounded(curves.controls[i]) if curves.control_names[i] else [],
        "control_name": curves.control_names[i],
    }


def _numbered(viewer: CheckpointViewer) -> tuple[list[str], list]:
    """Each guess once, and the number of each cell's."""
    flat = [token for step in viewer.guesses for row in step for token in row]
    names = list(dict.fromkeys(flat))
    number = {token: i for i, token in enumerate(names)}
    return names, [[[number[t] for t in row] for row in step] for step in viewer.guesses]


def _rounded(values: Tensor) -> list[float | None]:
    return [None if value != value else float(f"{value:.4g}") for value in values.tolist()]


def _packed(values: Any, kind: str) -> str:
    whole = np.rint(np.asarray(values))
    return b64encode(whole.astype(kind).tobytes()).decode()
