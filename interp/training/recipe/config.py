"""Everything that decides what a training run computes: one frozen value with a JSON form."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from interp.core.errors import ConfigError, near_misses
from interp.models.config import GPTConfig
from interp.runs.metrics import is_number
from interp.training.data.curriculum import Stage, check_stages
from interp.training.recipe.schedule import Decay, learning_rate_scale

_CHOICES: dict[str, tuple[str, ...]] = {
    "rows": ("window", "document"),
    "optimizer": ("muon", "adamw"),
    "decay": ("linear", "cosine", "constant"),
    "precision": ("auto", "fp32", "bf16"),
    "history_precision": ("fp32", "bf16"),
}
_LEAST: dict[int, tuple[str, ...]] = {
    1: ("steps", "batch_size", "context", "accumulate", "eval_tokens", "keep_full", "log_every"),
    0: ("warmup_steps", "momentum_warmup_steps", "eval_every", "checkpoint_every"),
}
_POSITIVE = ("muon_lr", "embed_lr", "head_lr", "scalar_lr", "adamw_lr")
_NUMBERS = ("weight_decay", "momentum", "momentum_start", "final_fraction", "stable_fraction")

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
        rows: `window` = random windows over the token stream, `document` = rows begin a document.
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
    steps: int = 300
    batch_size: int = 16
    context: int = 128
    rows: Literal["window", "document"] = "window"
    optimizer: Literal["muon", "adamw"] = "muon"
    muon_lr: float = 0.03
    embed_lr: float = 0.03
    head_lr: float = 0.006
    scalar_lr: float = 0.006
    adamw_lr: float = 0.001
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.0
    momentum: float = 0.95
    momentum_start: float = 0.85
    momentum_warmup_steps: int = 100
    warmup_steps: int = 5
    decay: Decay = "linear"
    final_fraction: float = 0.02
    stable_fraction: float = 0.0
    grad_clip: float | None = None
    accumulate: int = 1
    seed: int = 0
    stages: tuple[Stage, ...] = field(default=())
    eval_every: int = 50
    eval_tokens: int = 32_768
    checkpoint_every: int = 100
    keep_full: int = 3
    history_precision: Literal["fp32", "bf16"] = "fp32"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool | Literal["auto"] = "auto"
    log_every: int = 10

    def __post_init__(self) -> None:
        self._check_numbers()
        self._check_kinds()
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} is one of {', '.join(allowed)}; got {getattr(self, name)!r}."
                )
        if self.compile not in ("auto", True, False):
            raise ConfigError(f"compile is 'auto', true or false; got {self.compile!r}.")
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

    def _check_numbers(self) -> None:
        whole = [(name, least) for least, names in _LEAST.items() for name in names]
        for name, least in whole:
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ConfigError(f"{name} must be at least {least}, and whole; got {value!r}.")
        for name in _POSITIVE:
            value = getattr(self, name)
            if not is_number(value) or value <= 0:
                raise ConfigError(f"{name} must be greater than 0; got {value!r}.")

    def _check_kinds(self) -> None:
        for name in (*_NUMBERS, *(["grad_clip"] if self.grad_clip is not None else [])):
            if not is_number(getattr(self, name)):
                raise ConfigError(f"{name} must be a number; got {getattr(self, name)!r}.")
        if len(self.betas) != 2 or not all(map(is_number, self.betas)):
            raise ConfigError(f"betas are two numbers; got {self.betas!r}.")
        if not isinstance(self.seed, int):
            raise ConfigError(f"seed must be whole; got {self.seed!r}.")

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
        values = dict(values)
        _check_names(cls, values, "training")
        try:
            if isinstance(values.get("model"), Mapping):
                values["model"] = GPTConfig.from_json(json.dumps(values["model"]))
            if "stages" in values:
                values["stages"] = tuple(_stage(stage) for stage in values["stages"])
            if "betas" in values:
                values["betas"] = tuple(values["betas"])
            return cls(**values)
        except (TypeError, AttributeError) as error:
            raise ConfigError(f"A training setting is of the wrong kind: {error}.") from error

    @classmethod
    def from_json(cls, text: str) -> Self:
        """A recipe from JSON text; see `from_dict`."""
        return cls.from_dict(json.loads(text))


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


def _stage(values: Stage | Mapping[str, Any]) -> Stage:
    if isinstance(values, Stage):
        return values
    _check_names(Stage, values, "stage")
    return Stage(**values)


def _check_names(kind: type, values: Mapping[str, Any], what: str) -> None:
    known = [f.name for f in dataclasses.fields(kind)]
    for name in values:
        if name not in known:
            raise ConfigError(f"No {what} setting is called {name!r}.{near_misses(name, known)}")
    required = [
        f.name
        for f in dataclasses.fields(kind)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    missing = [name for name in required if name not in values]
    if missing:
        raise ConfigError(f"A {what} config needs {', '.join(missing)}; got {', '.join(values)}.")
