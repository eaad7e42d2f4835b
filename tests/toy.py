"""A small real result for tests of what all results share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import plotly.graph_objects as go
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.statistics.intervals import Interval
from interp.results.provenance import Provenance
from interp.results.result import Result


@dataclass(frozen=True, kw_only=True)
class Toy(Result):
    """One field of every kind that a result may hold."""

    score: Float[Tensor, "layer pos"]
    rank: Int[Tensor, "pos"]
    kept: Bool[Tensor, "pos"]
    tokens: tuple[str, ...]
    interval: Interval
    by_name: Mapping[str, float]
    pairs: tuple[tuple[str, Float[Tensor, " k"]], ...] = ()
    kind: Literal["raw", "tuned"] = "raw"
    note: str | None = None
    columns: ClassVar = {"score_nats": "score"}
    labels: ClassVar = {"token": ("pos", "tokens")}

    def finding(self) -> str:
        return f"mean score {self.score.mean():.2f} nats; shuffled 0.01; n = {self.interval.n}"

    def caption(self) -> str:
        return f"Score in nats by layer and position of “{''.join(self.tokens)}”."

    def figure(self, title: str = "") -> go.Figure:
        from interp.plots.theme import heatmap

        return heatmap(
            self.score,
            x=self.tokens,
            x_title="position",
            y_title="layer",
            unit="score (nats)",
            title=title,
        )


def provenance_of_toy(**changes) -> Provenance:
    told = {"instrument": "toy", "model": "stories-demo", "model_hash": "0123456789abcdef"}
    more = {"step": 512, "code_version": "0.1.0", "prompt": "a <b>b</b>", "seed": 0}
    return Provenance(**(told | more | changes))


def make_toy(tokens=("<|bos|>", " <b>", "</script>", " Anna"), layers=3, seed=0, **changes) -> Toy:
    generator = torch.Generator().manual_seed(seed)
    held = {
        "score": torch.rand(layers, len(tokens), generator=generator),
        "rank": torch.arange(len(tokens)),
        "kept": torch.ones(len(tokens), dtype=torch.bool),
        "tokens": tuple(tokens),
        "interval": Interval(value=0.5, low=0.4, high=0.6, n=100),
        "by_name": {"first": 1.0, "$odd": float("nan")},
        "provenance": provenance_of_toy(call={"prompt": "a <b>b</b>", "seed": seed}),
    }
    return Toy(**(held | changes))
