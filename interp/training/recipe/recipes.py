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
    context=128,
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


WHOLE = 0.15
"""Share of the demo's rows that are whole stories while the easy levels last."""


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """Everything that decides a run on a world.

    Attributes:
        world: name of the world that writes the text.
        documents: number of training documents of each level.
        preset: name of the model's preset.
        steps: number of updates.
        stages: shares of the run, each with its mixture of levels; the shares sum to 1.
        shape: fields of the preset that are changed.
        settings: other fields of `TrainConfig`.
        seed: seed of the corpus, the weights and the batches.
    """

    world: str
    documents: Mapping[str, int]
    preset: str
    steps: int
    stages: tuple[tuple[float, Mapping[str, float]], ...]
    shape: Mapping[str, Any] = field(default_factory=dict)
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
            model=get_preset(self.preset, d_vocab=d_vocab, **self.shape),
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


def demo_recipe(seed: int = 0, *, long: bool = False) -> TrainingRecipe:
    """The demo's recipe: values first stand beside their owners, then further and further away.

    Without the early levels a model of this size stays at shortcuts ("the most recent place"); some
    whole stories are in every batch, so that the loss on them falls from the beginning on.

    Args:
        seed: seed of the corpus, the weights and the batches.
        long: the run of the shipped model, which also learns where a thing is that was handed over,
            left or taken again: that takes two steps, from the thing to who has it to that one's
            place, and is learned last.
    """
    words, phrases, clauses = ({level: 1.0} for level in ("words", "phrases", "clauses"))
    lessons = ({"echo": 1.0}, words, words | phrases, phrases | clauses, clauses)
    shares = (0.03, 0.13, 0.08, 0.08, 0.13) if long else (0.06, 0.26, 0.14, 0.13, 0.13)
    return TrainingRecipe(
        world="stories",
        documents=dict(
            echo=5_000, words=9_000, phrases=8_000, clauses=7_000, full=40_000 if long else 20_000
        ),
        preset="demo",
        steps=5_000 if long else 1_800,
        stages=(
            *zip(shares, map(_beside_whole_stories, lessons), strict=True),
            (1 - sum(shares), {"full": 1.0}),
        ),
        settings=WORLD_SETTINGS
        | dict(batch_size=24, stable_fraction=0.75, eval_every=100, checkpoint_every=200),
        seed=seed,
    )


def _beside_whole_stories(mix: Mapping[str, float]) -> dict[str, float]:
    """A mixture with whole stories in `WHOLE` of its rows."""
    total = sum(mix.values())
    return {level: (1 - WHOLE) * share / total for level, share in mix.items()} | {"full": WHOLE}


def induction_recipe(seed: int = 0) -> TrainingRecipe:
    """Two layers of attention learn to say a random block again, and form induction heads for it.

    In the stories they are of little use: what was said is found by what it was said of. Only three
    of the six syllables of a refrain are copies, and one story of five has a refrain.

    Source: Olsson et al. 2022, "In-context Learning and Induction Heads" (arguments 1 to 3).
    """
    return TrainingRecipe(
        world="repeats",
        documents=dict(full=6_000),
        preset="attn-only-2l",
        steps=600,
        stages=((1.0, {"full": 1.0}),),
        shape=dict(d_head=32, n_ctx=96, init_std=None, embed_std=0.125, head_std=0.125),
        settings=dict(
            batch_size=32,
            context=63,
            rows="document",
            optimizer="adamw",
            adamw_lr=3e-3,
            decay="constant",
            warmup_steps=10,
            eval_every=25,
            checkpoint_every=25,
            log_every=25,
        ),
        seed=seed,
    )
