"""What training took: operations by the shapes of the matrices, text, and a reader's time for it.

Beside it stand published models, by numbers that their papers print.
"""

from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from torch import nn

from interp.core.errors import HookNameError, NotEnoughDataError
from interp.core.protocols import LanguageModel
from interp.methods.parameters import BLOCK_MATRICES
from interp.runs.corpus import packed_parts, part_ids
from interp.runs.record import corpus_of
from interp.worlds import load_world, world_names
from interp.worlds.world import World

BACKWARD = 2
"""The backward pass of y = x W makes two products of the forward's size: dy W' is the gradient of
x, x' dy that of W."""
HOURS = {"24 h a day": 24.0, "2 h a day": 2.0}
SPANS = ((365.25, "years"), (1.0, "days"), (1 / 24, "hours"), (1 / 1440, "minutes"))
WORDS_PER_TOKEN = 0.75
MOST_READ = 1_000_000
"""Tokens of a part of a corpus whose words are counted."""
"""An assumption for English text cut into sub-words; it differs from tokenizer to tokenizer."""

_GPT3 = "Brown et al. 2020, arXiv 2005.14165, table 2.1"
_PYTHIA = "tokens: Biderman et al. 2023, arXiv 2304.01373; parameters: EleutherAI's model cards"
_CHINCHILLA = "Hoffmann et al. 2022, arXiv 2203.15556, table 1"
_LLAMA = "Touvron et al. 2023, arXiv 2302.13971, table 2"
_LLAMA2 = "Touvron et al. 2023, arXiv 2307.09288, table 1"
_LLAMA3 = "Grattafiori et al. 2024, arXiv 2407.21783, section 1"
_SMOLLM2 = "Ben Allal et al. 2025, arXiv 2502.02737"

PUBLISHED = (
    ("GPT-3 125M", 125e6, 300e9, _GPT3),
    ("GPT-3", 175e9, 300e9, _GPT3),
    ("Gopher", 280e9, 300e9, _CHINCHILLA),
    ("Chinchilla", 70e9, 1.4e12, _CHINCHILLA),
    ("LLaMA 7B", 6.7e9, 1.0e12, _LLAMA),
    ("LLaMA 65B", 65.2e9, 1.4e12, _LLAMA),
    ("Llama 2 7B", 7e9, 2.0e12, _LLAMA2),
    ("Llama 2 70B", 70e9, 2.0e12, _LLAMA2),
    ("Llama 3 405B", 405e9, 15.6e12, _LLAMA3),
    ("Pythia 70M", 70_426_624.0, 299_892_736_000.0, _PYTHIA),
    ("Pythia 12B", 11_846_072_320.0, 299_892_736_000.0, _PYTHIA),
    ("SmolLM2 135M", 135e6, 2e12, _SMOLLM2),
    ("SmolLM2 360M", 360e6, 4e12, _SMOLLM2),
    ("SmolLM2 1.7B", 1.7e9, 11e12, _SMOLLM2),
)
"""Name, parameters, tokens of training, and the paper that prints them, with the place in it."""
UNPUBLISHED = (
    "GPT-2 (1.5 billion parameters; Radford et al. 2019) is not drawn: its paper gives 40 GB of "
    "text, not how many tokens were trained on."
)


def n_parameters(model: LanguageModel) -> int:
    """Numbers in a model's weights; those that two places share count once."""
    module = model if isinstance(model, nn.Module) else getattr(model, "model", None)
    if isinstance(module, nn.Module):
        return sum(weight.numel() for weight in module.parameters())
    return n_multiplied(model) + model.weight("W_E").numel()


def n_multiplied(model: LanguageModel) -> int:
    """Weights that every token is multiplied with: those of all matrices but the look-up tables."""
    total = model.weight("W_U").numel()
    for layer in range(model.cfg.n_layers):
        for name in BLOCK_MATRICES:
            with suppress(HookNameError):  # no gate, or attention only
                total += model.weight((name, layer)).numel()
    return total


def forward_flops(model: LanguageModel, n_tokens: int) -> int:
    """Of one forward pass over one row of tokens, a multiplication and an addition counted as two.

    Only products of matrices count: norms, activations, softmax and look-ups are left out, as in
    the papers. Attention is counted as it is computed, over the whole square of pairs.
    """
    cfg = model.cfg
    # A token meets each weight of a matrix once: one multiplication and one addition.
    by_weights = 2 * n_tokens * n_multiplied(model)
    # In each head, Q K' and pattern @ V take n^2 * d_head multiplications, and as many additions.
    return by_weights + 4 * n_tokens**2 * cfg.n_layers * cfg.n_heads * cfg.d_head


def training_flops(forward: float) -> float:
    """Operations of a forward pass and its backward pass, from those of the forward pass."""
    return (1 + BACKWARD) * forward


def corpus_size(
    model: LanguageModel,
    record: Mapping[str, Any],
    folder: Path | None,
    world: World | None,
    n: int,
) -> tuple[int, int]:
    """Tokens and words of a run's training documents, each document once.

    Words, and tokens where the corpus is gone, are reckoned from the mean of some documents of the
    world; of text of one's own, words from the beginning of each part of the corpus.

    Args:
        model: the model whose tokenizer counts.
        record: the run's record.
        folder: the run's folder; the corpus in it or beside it is counted, if it is still there.
        world: the world that told the text; None = the one on record.
        n: documents of each level that are told again to measure their mean.
    Raises:
        NotEnoughDataError: there is neither a world nor a corpus to measure.
    """
    digest, source = corpus_of(record)
    documents = source.get("documents")
    if world is None and source.get("world") in world_names():
        world = load_world(source["world"])
    if world is None and (own := _read(model, folder, digest)):
        return own
    if world is None or not isinstance(documents, Mapping) or source.get("world") != world.name:
        raise NotEnoughDataError(
            "The words of a corpus are measured on a world's documents or the corpus itself; this "
            "run's record names no world that was given, and its corpus is not there. Give "
            "world=..., or words=... if you know how many there are."
        )
    tokens, words = 0.0, 0.0
    for level, count in documents.items():
        texts = _documents(world, level, min(n, count))
        share = count / len(texts)
        words += share * sum(len(text.split()) for text in texts)
        tokens += share * sum(len(model.tokenizer.encode(text)) for text in texts)
    return _counted(folder, digest) or round(tokens), round(words)


@lru_cache(maxsize=16)
def _documents(world: World, level: str, n: int) -> tuple[str, ...]:
    """The first documents of a level; the same ones at every speed of reading."""
    return tuple(world.sample(i, level=level).text for i in range(n))


def _counted(folder: Path | None, digest: object) -> int | None:
    """Tokens of the corpus that the run was trained on, if its files are still there."""
    for _, parts in packed_parts(folder, digest):
        with suppress(KeyError, TypeError, AttributeError):
            return sum(part["tokens"] for part in parts.values())
    return None


def _read(model: LanguageModel, folder: Path | None, digest: object) -> tuple[int, int] | None:
    """Tokens of that corpus, and words by how many its parts begin with."""
    for place, parts in packed_parts(folder, digest):
        tokens, words = 0, 0.0
        with suppress(KeyError, TypeError, AttributeError, OSError, ValueError):
            for level, part in parts.items():
                ids = part_ids(place, level, part)[:MOST_READ].tolist()
                if ids:
                    read = len(model.tokenizer.decode(ids).split())
                    words += read * part["tokens"] / len(ids)
                tokens += part["tokens"]
            return tokens, round(words)
    return None


def days_of_reading(words: float, words_per_minute: float, hours_a_day: float) -> float:
    """Days that a person reads.

    Example:
        >>> days_of_reading(238 * 60 * 48, 238, 24)
        2.0
    """
    return words / words_per_minute / 60 / hours_a_day


def days_in_words(days: float) -> str:
    """A time in words: the largest unit of which there are two or more.

    Example:
        >>> days_in_words(3.2), days_in_words(0.5), days_in_words(4000)
        ('3.2 days', '12 hours', '11 years')
    """
    length, name = next((span for span in SPANS if days >= 2 * span[0]), SPANS[-1])
    value = days / length
    return f"{value:,.0f} {name}" if value >= 9.95 else f"{value:.2g} {name}"
