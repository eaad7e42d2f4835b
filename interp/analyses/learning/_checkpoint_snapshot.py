"""What one checkpoint writes and shows on a prompt, kept so that another head is only a look."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.cache import ByteBoundedCache
from interp.core.protocols import LanguageModel
from interp.methods.unembedding import residuals

MOST_BYTES = 128 * 2**20
LARGEST = 2**20

_memory = ByteBoundedCache(MOST_BYTES)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One checkpoint on one prompt.

    Attributes:
        text: what the checkpoint writes after the prompt.
        vectors: embeddings of the words that are compared.
        patterns: attention of every head; without layers where that would be too large to keep.
        guesses: the lens's best token by row and position, for display.
        chances: the probability of each guess.
        right: share of the prompt's tokens that were the checkpoint's first choice.
    """

    text: str
    vectors: Float[Tensor, "word d_model"]
    patterns: Float[Tensor, "layer head query key"]
    guesses: tuple[tuple[str, ...], ...]
    chances: Float[Tensor, "layer pos"]
    right: float


@dataclass(frozen=True, kw_only=True)
class SnapshotSettings:
    """All that a `Snapshot` depends on but the weights.

    Attributes:
        prompt: the text to go on from and to look at.
        ids: the tokens of the words whose embeddings are compared.
        n_tokens: how many tokens to write.
        temperature: of the writing; 0 = always the best token.
        seed: of the writing.
    """

    prompt: str | tuple[int, ...]
    ids: tuple[int, ...]
    n_tokens: int
    temperature: float
    seed: int


def snapshot(
    history: Mapping[int, LanguageModel],
    weights: str,
    step: int,
    tokens: Int[Tensor, "1 pos"],
    settings: SnapshotSettings,
) -> Snapshot:
    """What a run's checkpoint shows, from memory if it was asked before.

    Args:
        history: the run's checkpoints by step; the one of `step` is opened if need be.
        weights: hash of the run's newest weights: they stand for all its checkpoints, which need
            not be opened to know their own.
        step: of the checkpoint.
        tokens: of the prompt.
        settings: all else that it depends on.
    """
    key = (weights, step, settings)
    return _memory.get_or_make(key, lambda: _take(history[step], tokens, settings))


@torch.no_grad()
def _take(model: LanguageModel, tokens: Tensor, settings: SnapshotSettings) -> Snapshot:
    size = model.cfg.n_layers * model.cfg.n_heads * tokens.shape[1] ** 2
    patterns = torch.zeros(0, model.cfg.n_heads, tokens.shape[1], tokens.shape[1])
    if size <= LARGEST:
        run = model.run(tokens, cache=["pattern"], logits=False)
        patterns = run.stack("pattern")[:, 0].float().cpu()
    run, streams = residuals(model, tokens)
    chances, best = model.unembed(streams[:, 0]).float().softmax(-1).max(-1)
    ids = tokens[0].cpu()
    first = run.logits[0, :-1].argmax(-1).cpu()
    written = model.generate(
        settings.prompt,
        max_new_tokens=settings.n_tokens,
        temperature=settings.temperature,
        seed=settings.seed,
        top=1,
    )
    return Snapshot(
        text=written.text,
        vectors=model.weight("W_E").float().cpu()[list(settings.ids)],
        patterns=patterns,
        guesses=tuple(tuple(model.tokenizer.display(row)) for row in best.tolist()),
        chances=chances.cpu(),
        right=float((first == ids[1:]).float().mean()) if len(ids) > 1 else 0.0,
    )
