"""What a run will cost, before it starts: parameters, memory and minutes."""

import time
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from interp.models.config import GPTConfig
from interp.models.gpt import GPT, Block, Norm
from interp.training.loop.objective import Objective
from interp.training.loop.optimizers import build_optimizers
from interp.training.recipe.config import TrainConfig

_BYTES = 4
_PROGRAM_BYTES = 450 * 2**20
"""What Python and torch take before the first weight."""
_TRIAL = {"n_layers": 2, "n_heads": 3, "d_vocab": 256, "n_ctx": 96}
_TRIES = 4


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast this machine trains.

    Attributes:
        flops: floating-point operations a second, measured in training a small model.
        seconds_per_layer: time that an update takes for each layer, however small the layer is.
    """

    flops: float
    seconds_per_layer: float


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run will cost.

    Attributes:
        parameters: number of parameters of the model, exactly.
        memory_bytes: memory of the process, roughly.
        seconds: time of the updates and evaluations, roughly; writing the corpus not included.
    """

    parameters: int
    memory_bytes: int
    seconds: float


def estimate(config: TrainConfig, speed: Speed) -> Estimate:
    """What a run will cost on a machine of that speed."""
    parameters = n_parameters(config.model)
    return Estimate(
        parameters=parameters,
        memory_bytes=_memory(config, parameters),
        seconds=_seconds(config, speed),
    )


@cache
def n_parameters(cfg: GPTConfig) -> int:
    """How many numbers the weights of such a model are; none of them is made.

    Example:
        >>> cfg = GPTConfig(n_layers=2, d_model=8, n_heads=2, d_vocab=10, n_ctx=16)
        >>> n_parameters(cfg) == sum(weight.numel() for weight in GPT(cfg).parameters())
        True
    """
    with torch.device("meta"):
        parts: list[nn.Module] = [Norm(cfg.d_model, cfg), *(Block(cfg, 0),) * cfg.n_layers]
    tables = cfg.d_vocab * (1 if cfg.tied else 2)
    tables += cfg.n_ctx if cfg.positions == "learned" else 0
    return tables * cfg.d_model + sum(p.numel() for part in parts for p in part.parameters())


def measured_speed(threads: int) -> Speed:
    """Time a few updates of two small models: one that computes, one that mostly starts to.

    Args:
        threads: number of CPU threads, as many as the run will have.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        overhead = _trial(_trial_config(d_model=12, batch_size=1)) / _TRIAL["n_layers"]
        whole = _trial(_trial_config()) - overhead * _TRIAL["n_layers"]
    finally:
        torch.set_num_threads(before)
    return Speed(flops=_flops(_trial_config()) / max(whole, 1e-4), seconds_per_layer=overhead)


def _memory(config: TrainConfig, parameters: int) -> int:
    """Weights, gradients and two buffers each; and what a forward pass keeps for the backward."""
    cfg = config.model
    tokens = config.batch_size // config.accumulate * config.context
    # What a layer keeps of each token for the backward pass: about eight vectors as wide as the
    # stream (inputs of norms, projections and sums), queries, keys and values, and the MLP's two or
    # three. Fused attention keeps no scores. The unembedding keeps the logits, their log-softmax
    # and its gradient.
    wide = 8 * cfg.d_model + 3 * cfg.n_heads * cfg.d_head + (3 if cfg.gated else 2) * cfg.d_mlp
    kept = tokens * (cfg.n_layers * wide + 3 * cfg.d_vocab)
    return _PROGRAM_BYTES + _BYTES * (4 * parameters + kept)


def _seconds(config: TrainConfig, speed: Speed) -> float:
    update = _flops(config) / speed.flops + config.model.n_layers * speed.seconds_per_layer
    evaluations = 1 + (config.steps // config.eval_every if config.eval_every else 0)
    tokens = config.batch_size * config.context
    # An evaluation only runs forward, which is a third of forward and backward.
    return config.steps * update + evaluations * update * config.eval_tokens / tokens / 3


def _flops(config: TrainConfig) -> float:
    """Of one update: six a weight and token, six a width and pair of tokens, and Muon's own."""
    # A weight multiplies and adds once a token forward: 2. Backward it does so twice, for the
    # gradient of its input and for its own: 4. A look-up in a table costs nothing.
    # Scores and mixing take 2 each for every earlier token and width, on average over half of the
    # context: 2 a width and token of the context forward, and so 6 with the backward pass.
    cfg, tokens = config.model, config.batch_size * config.context
    looked_up = cfg.d_vocab * (not cfg.tied) + cfg.n_ctx * (cfg.positions == "learned")
    weights = n_parameters(cfg) - cfg.d_model * looked_up
    pairs = cfg.n_layers * cfg.n_heads * cfg.d_head * config.context
    muon = _muon_flops(cfg) if config.optimizer == "muon" else 0.0
    return tokens * 6.0 * (weights + pairs) + muon


@cache
def _muon_flops(cfg: GPTConfig) -> float:
    """Three products of matrices, five times, for each hidden matrix."""
    # For m x n with m <= n: the Gram matrix 2 m^2 n, its square 2 m^3, times the matrix 2 m^2 n.
    with torch.device("meta"):
        shapes = [sorted(p.shape) for p in Block(cfg, 0).parameters() if p.ndim == 2]
    return cfg.n_layers * sum(5.0 * (4 * m * m * n + 2 * m**3) for m, n in shapes)


def _trial_config(d_model: int = 96, batch_size: int = 16) -> TrainConfig:
    sizes = {**_TRIAL, "d_model": d_model}
    model = GPTConfig(positions="rotary", tied=False, act="silu", gated=True, **sizes)
    return TrainConfig(model=model, batch_size=batch_size, context=model.n_ctx)


def _trial(config: TrainConfig) -> float:
    """Seconds of an update on one row of tokens after the other, the best of some."""
    with torch.random.fork_rng(devices=[]):
        model = GPT(config.model)
    objective, optimizers = Objective(model), build_optimizers(model, config)
    n_tokens = config.batch_size * (config.context + 1)
    tokens = torch.arange(n_tokens).reshape(config.batch_size, -1) % config.model.d_vocab
    times = []
    for step in range(_TRIES):
        began = time.perf_counter()
        objective(tokens, torch.ones(tokens.shape))[0].backward()
        optimizers.step(step)
        model.zero_grad(set_to_none=True)
        times.append(time.perf_counter() - began)
    return min(times)
