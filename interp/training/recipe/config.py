"""Everything that decides what a training run computes: one frozen value with a JSON form."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from interp.core.errors import ConfigError, near_misses
from interp.models.config import GPTConfig
from interp.training.data.curriculum import Stage, check_stages
from interp.training.fields import (
    Count,
    CountOrZero,
    Range,
    Rate,
    Share,
    ShareBelowOne,
    check_fields,
    check_value,
)
from interp.training.recipe.schedule import Decay, learning_rate_scale

MAY_CHANGE = frozenset(
    {"steps", "eval_every", "eval_tokens", "checkpoint_every", "keep_full", "log_every", "compile"}
)
"""Fields that a resumed run may change; the change is recorded in `run.json`."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run's recipe.

    Attributes:
        model: the transformer's sizes and switches; `d_vocab` must be the corpus' tokenizer's.
        steps: number of updates.
        batch_size: rows an update, over all ranks and accumulation steps together.
        context: predicted tokens a row.
        rows: `window` = random windows over the token stream, `document` = rows begin a document;
            evaluations always do where a floor is known.
        optimizer: `muon` for the hidden matrices beside AdamW, or `adamw` for everything.
        muon_lr: learning rate of the hidden matrices under `muon`.
        embed_lr: learning rate of the embeddings under `muon`.
        head_lr: learning rate of the unembedding under `muon`.
        scalar_lr: learning rate of norms and biases under `muon`.
        adamw_lr: learning rate of everything under `adamw`.
        betas: AdamW's decay rates of the two moments of the gradient.
        weight_decay: decoupled weight decay, for matrices only.
        momentum: Muon's momentum after its warm-up.
        momentum_start: Muon's momentum at step 0.
        momentum_warmup_steps: steps in which Muon's momentum rises to its final value.
        warmup_steps: steps of the linear warm-up of the learning rate.
        decay: shape of the learning rate's decay.
        final_fraction: share of the learning rate that is left at the end.
        stable_fraction: share of the run at the full learning rate, before it decays.
        grad_clip: greatest norm of the whole gradient; None = no clipping.
        accumulate: micro-batches an update.
        seed: seed of the weights, the batches and dropout.
        stages: the curriculum; empty = every level of the corpus, by its number of tokens.
        eval_every: steps between evaluations; 0 = only at the end.
        eval_tokens: tokens of the fixed held-out slice that evaluations read.
        checkpoint_every: steps between full states, beside the log-spaced weights; 0 = last only.
        keep_full: full states (weights and optimizer) kept.
        history_precision: precision of the log-spaced weights; `bf16` halves their size.
        precision: `auto` = bf16 on a GPU that has it, else fp32.
        compile: `auto` = on CUDA only.
        log_every: steps between readings of the loss (the only host syncs).
    """

    model: GPTConfig
    steps: Count = 300
    batch_size: Count = 16
    context: Count = 128
    rows: Literal["window", "document"] = "window"
    optimizer: Literal["muon", "adamw"] = "muon"
    muon_lr: Rate = 0.03
    embed_lr: Rate = 0.03
    head_lr: Rate = 0.006
    scalar_lr: Rate = 0.006
    adamw_lr: Rate = 0.001
    betas: tuple[ShareBelowOne, ShareBelowOne] = (0.9, 0.95)
    weight_decay: Annotated[float, Range(0, 1e3)] = 0.0
    momentum: ShareBelowOne = 0.95
    momentum_start: ShareBelowOne = 0.85
    momentum_warmup_steps: CountOrZero = 100
    warmup_steps: CountOrZero = 5
    decay: Decay = "linear"
    final_fraction: Share = 0.02
    stable_fraction: Share = 0.0
    grad_clip: Rate | None = None
    accumulate: Count = 1
    seed: Annotated[int, Range(-(2**63), 2**64 - 1)] = 0
    stages: tuple[Stage, ...] = field(default=())
    eval_every: CountOrZero = 50
    eval_tokens: Count = 32_768
    checkpoint_every: CountOrZero = 100
    keep_full: Count = 3
    history_precision: Literal["fp32", "bf16"] = "fp32"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool | Literal["auto"] = "auto"
    log_every: Count = 10

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "betas", tuple(self.betas))
        object.__setattr__(self, "stages", tuple(self.stages))
        if self.batch_size % self.accumulate:
            raise ConfigError(
                f"batch_size must be a multiple of accumulate; got {self.batch_size} rows in "
                f"{self.accumulate} micro-batches."
            )
        if self.context > self.model.n_ctx:
            raise ConfigError(
                f"Rows of {self.context} tokens do not fit a model with n_ctx={self.model.n_ctx}: "
                f"lower context or raise n_ctx."
            )
        check_stages(self.stages)

    def learning_rate_scale(self, step: int) -> float:
        """What every base learning rate is multiplied with in update `step`, counted from 0."""
        return learning_rate_scale(
            step,
            steps=self.steps,
            warmup_steps=self.warmup_steps,
            decay=self.decay,
            final_fraction=self.final_fraction,
            stable_fraction=self.stable_fraction,
        )

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON objects hold it."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["model"] = json.loads(self.model.to_json())
        values["stages"] = [stage.to_dict() for stage in self.stages]
        values["betas"] = list(self.betas)
        return values

    def to_json(self) -> str:
        """The recipe as JSON text."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """A recipe from what `to_dict` gave.

        Raises:
            ConfigError: a field is unknown (its nearest names are listed) or cannot be used.
        """
        if not isinstance(values, Mapping):
            raise ConfigError(f"A training config is an object; got {type(values).__name__}.")
        _check_names(cls, values, "training")
        return cls(**cls.checked(values))

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Some fields, given as JSON holds them, as the recipe holds them; each checked alone.

        Raises:
            ConfigError: a field is unknown, or its value is of another kind or out of its range.
        """
        values = dict(values)
        if isinstance(values.get("model"), Mapping):
            values["model"] = _model(values["model"])
        if isinstance(values.get("stages"), list | tuple):
            values["stages"] = tuple(map(_stage, values["stages"]))
        for name, value in values.items():
            _check_known(cls, name, "training")
            check_value(cls, name, value)
        return values

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A recipe from JSON text; see `from_dict`."""
        try:
            return cls.from_dict(json.loads(text))
        except (json.JSONDecodeError, RecursionError) as error:
            raise ConfigError(
                f"A training config is written in JSON; this is not: {error}"
            ) from None


def differences(old: TrainConfig, new: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Every field in which two recipes differ, with both values; the model's as `model.name`."""
    flat_old, flat_new = _flat(old), _flat(new)
    names = [*flat_old, *(name for name in flat_new if name not in flat_old)]
    return {
        name: (flat_old.get(name), flat_new.get(name))
        for name in names
        if flat_old.get(name) != flat_new.get(name)
    }


def _flat(config: TrainConfig) -> dict[str, Any]:
    values = config.to_dict()
    model = values.pop("model")
    return values | {f"model.{name}": value for name, value in model.items()}


def _model(values: Mapping[str, Any]) -> GPTConfig:
    try:
        return GPTConfig.from_json(json.dumps(values))
    except (TypeError, RecursionError) as error:
        raise ConfigError(f"These are not the settings of a GPT: {error}") from error


def _stage(values: Any) -> Any:
    if not isinstance(values, Mapping):
        return values
    _check_names(Stage, values, "stage")
    return Stage(**values)


def _check_names(kind: type, values: Mapping[str, Any], what: str) -> None:
    for name in values:
        _check_known(kind, name, what)
    required = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in values]
    if missing:
        raise ConfigError(
            f"A {what} config needs {', '.join(missing)}; got {', '.join(map(str, values))}."
        )


def _check_known(kind: type, name: Any, what: str) -> None:
    known = [f.name for f in dataclasses.fields(kind)]
    if name not in known:
        raise ConfigError(f"No {what} setting is called {name!r}.{near_misses(name, known)}")
