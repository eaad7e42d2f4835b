"""Activations at given positions, batched: rows of numbers for probes and directions."""

from collections.abc import Sequence

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from interp.core.cost import Passes
from interp.core.hooks import Name
from interp.core.protocols import LanguageModel, Run
from interp.methods.batches import MOST_VALUES, TextBatch, TokenValues, read_texts, reading
from interp.methods.data.examples import Example

Site = tuple[str, int]
NORMED = 64
"""Texts whose activations give the median length."""


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


WRITES_ANSWER = "writes the answer, not what leads to it: nothing reads an edit there"
"""What an edit after the last layer does, in the words of every caption."""


def nothing_reads(site: tuple[str, int], n_layers: int) -> bool:
    """Whether no layer comes after a site, so that an edit there is a push on the logits alone."""
    short, layer = site
    return short in ("resid_post", "mlp_out") and layer % n_layers == n_layers - 1


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
    by_story: dict[int, list[int]] = {}
    for number, example in enumerate(examples):
        by_story.setdefault(example.story, []).append(number)
    rows, groups = list(_longest_rows(examples).values()), list(by_story.values())
    streams: list[Tensor] = []

    def read(batch: TextBatch, run: Run) -> None:
        for i, site in enumerate(sites):
            values = _joined(run[site])
            if len(streams) <= i:  # set aside at once: see `TokenValues`
                streams.append(torch.empty(len(examples), values.shape[-1]))
            for row, story in zip(values, batch.numbers, strict=True):
                numbers = groups[story]
                positions = [len(examples[number].tokens) - 1 for number in numbers]
                streams[i][numbers] = row[positions].cpu()

    options = dict(cache=list(sites), logits=False, most_values=most_values)
    read_texts(model, rows, read, stage="reading the texts", **options)
    return torch.stack(streams)


def reading_examples(
    model: LanguageModel, examples: Sequence[Example], sites: Sequence[Name], *, times: float = 1
) -> Passes:
    """What `rows_at` costs, for `interp.core.cost.announce`.

    Args:
        model: any language model.
        examples: at least one.
        sites: hook points.
        times: how often all of it is done.
    """
    rows = list(_longest_rows(examples).values())
    return reading(model, rows, times=times, cache=list(sites), logits=False)


def mean_rows(
    model: LanguageModel, examples: Sequence[Example], sites: Sequence[Name]
) -> Float[Tensor, "site example d_model"]:
    """The mean of each site over each example's tokens, the first left out, on the CPU.

    Args:
        model: any language model.
        examples: at least one.
        sites: hook points; heads are joined to one row.
    """
    rows = [example.tokens for example in examples]
    means: list[Tensor] = []

    def read(batch: TextBatch, run: Run) -> None:
        for i, site in enumerate(sites):
            values = _joined(run[site])
            if len(means) <= i:  # set aside at once: see `TokenValues`
                means.append(torch.empty(len(rows), values.shape[-1]))
            for row, number, length in zip(values, batch.numbers, batch.lengths, strict=True):
                means[i][number] = row[min(1, length - 1) : length].mean(0)

    read_texts(model, rows, read, cache=list(sites), logits=False)
    return torch.stack(means)


def median_norms(
    model: LanguageModel, examples: Sequence[Example], sites: Sequence[Name]
) -> list[float]:
    """The median length of each site's activations over whole texts, first positions left out.

    The first position often holds a vector many times longer than the others, with no text in it.
    """
    rows = list(_longest_rows(examples).values())[:NORMED]
    norms = TokenValues(rows)

    def read(batch: TextBatch, run: Run) -> None:
        lengths = [_joined(run[site]).norm(dim=-1) for site in sites]
        norms.put(batch, torch.stack(lengths, -1))

    read_texts(model, rows, read, cache=list(sites), logits=False)
    return torch.cat([row[1:] for row in norms.rows]).median(0).values.tolist()


def _joined(values: Tensor) -> Float[Tensor, "batch pos d_model"]:
    """A site's values with its heads, if it has any, joined to one row."""
    return rearrange(values, "batch pos ... -> batch pos (...)").float()


def _longest_rows(examples: Sequence[Example]) -> dict[int, tuple[int, ...]]:
    """Each story's longest row: all its other examples are beginnings of it."""
    longest: dict[int, tuple[int, ...]] = {}
    for example in examples:
        longest[example.story] = max(longest.get(example.story, ()), example.tokens, key=len)
    return longest
