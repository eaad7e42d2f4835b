"""A run as a person plans it, choice by choice: its recipe, and the arguments that start it."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from interp.core.errors import ConfigError
from interp.models.io.presets import get_preset
from interp.models.tokenizer import Tokenizer
from interp.training.data.curriculum import Stage
from interp.training.fields import Count, Rate, check_fields
from interp.training.recipe.config import TrainConfig
from interp.training.recipe.text_source import TEXT_VOCABULARY, TextSource, chosen_source
from interp.worlds import load_world

LETTERS = 100
"""About as many characters as a text in one alphabet has."""
_USUAL = 4_000
"""Documents of each level of a world that has no recipe."""
_RATES = ("muon_lr", "embed_lr", "head_lr", "scalar_lr", "adamw_lr")


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What was chosen; None leaves it to the preset and its recipe.

    Attributes:
        world: name of the world that writes the text; None = the user's own text.
        preset: name of the preset that gives the model's shape.
        tokenizer: tokenizer of the user's own text, `bpe` or `characters`.
        documents: number of training documents of each level of the world.
        layers: number of layers of the model.
        width: width of the residual stream.
        heads: attention heads of each layer.
        context: tokens that the model predicts in one row.
        steps: number of updates.
        batch_size: rows of an update.
        learning_rate: of the hidden matrices; the other learning rates keep their proportion to it.
        curriculum: level after level of the world; False = all of them from the first step on.
        seed: seed of the corpus, the weights and the batches.
        threads: number of CPU threads.
    """

    world: str | None
    preset: str = "demo"
    tokenizer: str = "bpe"
    documents: Count | None = None
    layers: Count | None = None
    width: Count | None = None
    heads: Count | None = None
    context: Count | None = None
    steps: Count | None = None
    batch_size: Count | None = None
    learning_rate: Rate | None = None
    curriculum: bool = True
    seed: int = 0
    threads: Count | None = None

    def __post_init__(self) -> None:
        check_fields(self)

    def config(self) -> TrainConfig:
        """The run's recipe; of own text the vocabulary is what it will have at most, or about.

        Raises:
            ConfigError: choices that do not go together.
        """
        return self._config(self._given())

    def arguments(self) -> list[str]:
        """The options of `interp train`, but for `--data` and `--out`."""
        options = [f"--world={self.world}"] if self.world else [f"--tokenizer={self.tokenizer}"]
        options += [f"--preset={self.preset}", f"--seed={self.seed}"]
        options += [f"--documents={self.documents}"] if self.world and self.documents else []
        options += [f"--threads={self.threads}"] if self.threads else []
        return options + [
            f"--set={name}={json.dumps(value)}" for name, value in self._given().items()
        ]

    def n_documents(self) -> int:
        """How many documents the world will write; 0 for the user's own text."""
        if not self.world:
            return 0
        recipe = self._source().recipe
        counts = (
            recipe.documents if recipe else dict.fromkeys(load_world(self.world).levels, _USUAL)
        )
        most = self.documents or (max(counts.values()) if recipe else _USUAL)
        return sum(min(most, n) if recipe else most for n in counts.values())

    def _given(self) -> dict[str, Any]:
        """Every setting that differs from the preset's own."""
        direct = {"steps": self.steps, "batch_size": self.batch_size, "context": self.context}
        given = {name: value for name, value in direct.items() if value is not None}
        given |= {f"model.{name}": value for name, value in self._shape().items()}
        known = self._config({**given, "seed": self.seed})
        if self.learning_rate is not None and self.learning_rate != known.muon_lr:
            factor = self.learning_rate / known.muon_lr
            given |= {name: round(getattr(known, name) * factor, 8) for name in _RATES}
        return given | self._stages(known)

    def _shape(self) -> dict[str, Any]:
        """The model's changed sizes; what hangs on them changes with them."""
        preset = get_preset(self.preset)
        asked = {"n_layers": self.layers, "d_model": self.width, "n_heads": self.heads}
        shape = {k: v for k, v in asked.items() if v not in (None, getattr(preset, k))}
        width, heads = shape.get("d_model", preset.d_model), shape.get("n_heads", preset.n_heads)
        if width % heads:
            raise ConfigError(
                f"The width must be a multiple of the heads; {width} was chosen with {heads} heads."
            )
        if "d_model" in shape and not preset.attn_only:
            shape["d_mlp"] = max(1, round(preset.d_mlp * width / preset.d_model))
        if "n_heads" in shape and heads % preset.n_key_value_heads:
            shape["n_key_value_heads"] = heads
        if self.context is not None and self.context > preset.n_ctx:
            shape["n_ctx"] = self.context
        return shape

    def _stages(self, known: TrainConfig) -> dict[str, Any]:
        """The curriculum, where it is not the recipe's own."""
        levels = list(load_world(self.world).levels) if self.world else []
        if len(levels) < 2 or (self.curriculum and known.stages):
            return {}
        if not self.curriculum:
            return {"stages": []} if known.stages else {}
        length = known.steps // len(levels)
        first = [Stage(steps=length, mix={level: 1.0}) for level in levels[:-1] if length]
        return {"stages": [s.to_dict() for s in [*first, Stage(mix={levels[-1]: 1.0})]]}

    def _config(self, given: dict[str, Any]) -> TrainConfig:
        return self._source().config(self._d_vocab(), self.preset, {**given, "seed": self.seed})

    def _source(self) -> TextSource:
        data, tokenizer = (None, None) if self.world else (Path("text"), self.tokenizer)
        return chosen_source(
            data, self.world, self.preset, tokenizer, None, self.documents, self.seed
        )

    def _d_vocab(self) -> int:
        if self.world:
            return _words_of(self.world)
        return LETTERS if self.tokenizer == "characters" else TEXT_VOCABULARY


@cache
def _words_of(world: str) -> int:
    """How many tokens a world's text has."""
    return Tokenizer.words(list(load_world(world).vocabulary)).d_vocab
