"""Activations at given positions, batched: rows of numbers for probes and directions."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from interp.core.hooks import Name
from interp.core.protocols import LanguageModel, Run
from interp.methods.batches import MOST_VALUES, TextBatch, read_texts
from interp.methods.data.examples import Example

Site = tuple[str, int]


def residual_sites(model: LanguageModel, short: str = "resid_post") -> list[Site]:
    """That point of every layer; for the residual stream, the embedding before them."""
    layers = [(short, layer) for layer in range(model.cfg.n_layers)]
    return [("resid_pre", 0), *layers] if short == "resid_post" else layers


def site_label(site: Name, n_layers: int) -> str:
    """A site in words: `embedding`, `after layer 1`, `mlp_out 1`."""
    if isinstance(site, str):
        return site
    short, layer = site
    if short == "resid_pre" and layer == 0:
        return "embedding"
    layer %= n_layers
    return f"after layer {layer}" if short == "resid_post" else f"{short} {layer}"


def rows_at(
    model: LanguageModel,
    examples: Sequence[Example],
    sites: Sequence[Name],
    *,
    most_values: int = MOST_VALUES,
) -> Float[Tensor, "site example d_model"]:
    """What each site holds at the last token of each example, on the CPU.

    A story's examples share one forward pass, which needs no logits.

    Args:
        model: any language model.
        examples: at least one.
        sites: hook points; heads are joined to one row.
        most_values: see `methods.batches.rows_at_once`.
    """
    numbers: dict[int, list[int]] = {}
    for number, example in enumerate(examples):
        numbers.setdefault(example.story, []).append(number)
    groups = list(numbers.values())
    positions = [[len(examples[number].tokens) - 1 for number in group] for group in groups]

    def read(batch: TextBatch, run: Run) -> list[Tensor]:
        streams = [_joined(run[site]) for site in sites]
        return [
            torch.stack([stream[row, positions[number]].cpu() for stream in streams])
            for row, number in enumerate(batch.numbers)
        ]

    rows = list(_longest_rows(examples).values())
    options = dict(cache=list(sites), logits=False, most_values=most_values)
    read_rows = torch.cat(read_texts(model, rows, read, stage="reading the texts", **options), 1)
    order = torch.tensor([number for group in groups for number in group])
    return read_rows[:, order.argsort()]


def mean_rows(
    model: LanguageModel,
    examples: Sequence[Example],
    sites: Sequence[Name],
    *,
    most_values: int = MOST_VALUES,
) -> Float[Tensor, "site example d_model"]:
    """The mean of each site over each example's tokens, the first left out, on the CPU.

    Args:
        model: any language model.
        examples: at least one.
        sites: hook points; heads are joined to one row.
        most_values: see `methods.batches.rows_at_once`.
    """

    def read(batch: TextBatch, run: Run) -> list[Tensor]:
        streams = [_joined(run[site]) for site in sites]
        return [
            torch.stack([stream[row, min(1, length - 1) : length].mean(0) for stream in streams])
            for row, length in enumerate(batch.lengths)
        ]

    rows = [example.tokens for example in examples]
    options = dict(cache=list(sites), logits=False, most_values=most_values)
    return torch.stack(read_texts(model, rows, read, **options), 1).cpu()


def median_norms(
    model: LanguageModel, examples: Sequence[Example], sites: Sequence[Name], *, n: int = 64
) -> list[float]:
    """The median length of each site's activations over whole texts, first positions left out.

    The first position often holds a vector many times longer than the others, with no text in it.
    """

    def read(batch: TextBatch, run: Run) -> list[Tensor]:
        norms = torch.stack([_joined(run[site]).norm(dim=-1) for site in sites], -1)
        return [row[1:] for row in batch.unpadded(norms)]

    rows = list(_longest_rows(examples).values())[:n]
    norms = read_texts(model, rows, read, cache=list(sites), logits=False)
    return torch.cat(norms).median(0).values.tolist()


def _joined(values: Tensor) -> Float[Tensor, "batch pos d_model"]:
    """A site's values with its heads, if it has any, joined to one row."""
    return rearrange(values, "batch pos ... -> batch pos (...)").float()


def _longest_rows(examples: Sequence[Example]) -> dict[int, tuple[int, ...]]:
    """Each story's longest row: all its other examples are beginnings of it."""
    longest: dict[int, tuple[int, ...]] = {}
    for example in examples:
        longest[example.story] = max(longest.get(example.story, ()), example.tokens, key=len)
    return longest
