"""Recipes that are known to work: a world, how much text it writes, the model, and the run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

from interp.models.io.presets import get_preset
from interp.training.data.corpus import Corpus
from interp.training.data.curriculum import Stage
from interp.training.data.sources import write_world_corpus
from interp.training.recipe.config import TrainConfig
from interp.worlds import load_world

WORLD_SETTINGS: dict[str, Any] = dict(
    context=96,
    rows="document",
    muon_lr=0.01,
    embed_lr=0.02,
    head_lr=0.006,
    scalar_lr=0.006,
    warmup_steps=10,
    stable_fraction=0.5,
    log_every=20,
)
"""Rows, learning rates and schedule that small models learn the stories with."""


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that decides a run on a world.

    Attributes:
        world: name of the world that writes the text.
        documents: number of training documents of each level.
        preset: name of the model's preset.
        steps: number of updates.
        stages: shares of the run, each with its mixture of levels; the shares sum to 1.
        settings: other fields of `TrainConfig`.
        seed: seed of the corpus, the weights and the batches.
    """

    world: str
    documents: Mapping[str, int]
    preset: str
    steps: int
    stages: tuple[tuple[float, Mapping[str, float]], ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def write_corpus(self, folder: str | Path, *, n_documents: int | None = None) -> Corpus:
        """The recipe's corpus; `n_documents` bounds each level's, for a quick look."""
        counts = {
            level: min(n, n_documents) if n_documents else n for level, n in self.documents.items()
        }
        return write_world_corpus(
            load_world(self.world),
            folder,
            n_documents=counts,
            n_held_out=min(400, *counts.values()),
            levels=tuple(counts),
            seed=self.seed,
        )

    def config(self, d_vocab: int, *, steps: int | None = None) -> TrainConfig:
        """The run on a corpus with that vocabulary; other `steps` keep the stages' shares."""
        steps = steps or self.steps
        return TrainConfig(
            model=get_preset(self.preset, d_vocab=d_vocab),
            steps=steps,
            stages=self._stages(steps),
            seed=self.seed,
            **self.settings,
        )

    def _stages(self, steps: int) -> tuple[Stage, ...]:
        ends = accumulate((share for share, _ in self.stages), initial=0.0)
        spans = pairwise(round(end * steps) for end in ends)
        lasting = [
            Stage(steps=end - start, mix=mix)
            for (start, end), (_, mix) in zip(spans, self.stages, strict=True)
            if end > start
        ]
        return (*lasting[:-1], Stage(mix=self.stages[-1][1]))


def demo_recipe(seed: int = 0) -> TrainingRecipe:
    """The demo's recipe: values first stand beside their owners, then further and further away.

    Without the early levels a model of this size stays at shortcuts ("the most recent place").
    """
    words, phrases, clauses, full = (
        {level: 1.0} for level in ("words", "phrases", "clauses", "full")
    )
    return TrainingRecipe(
        world="stories",
        documents=dict(echo=5_000, words=9_000, phrases=8_000, clauses=7_000, full=16_000),
        preset="demo",
        steps=1_700,
        stages=(
            (0.06, {"echo": 1.0}),
            (0.26, words),
            (0.14, words | phrases),
            (0.13, phrases | clauses),
            (0.13, clauses | full),
            (0.28, full),
        ),
        settings=WORLD_SETTINGS | dict(batch_size=32, eval_every=100, checkpoint_every=200),
        seed=seed,
    )
