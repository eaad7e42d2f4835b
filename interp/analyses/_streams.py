"""Activations at given positions, batched: rows of numbers for probes and directions."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses._examples import Example
from interp.protocols import LanguageModel, Name

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
    model: LanguageModel, examples: Sequence[Example], sites: Sequence[Name], *, batch: int = 64
) -> Float[Tensor, "site example d_model"]:
    """What each site holds at the last token of each example, on the CPU.

    A story's examples share one forward pass. Rows are padded on the right, which a causal model
    cannot see.
    """
    longest: dict[int, tuple[int, ...]] = {}
    for example in examples:
        if len(example.tokens) > len(longest.get(example.story, ())):
            longest[example.story] = example.tokens
    of_story: dict[int, list[int]] = {}
    for i, example in enumerate(examples):
        of_story.setdefault(example.story, []).append(i)
    found: list[Tensor | None] = [None] * len(examples)
    for stories in _batches(sorted(longest, key=lambda s: len(longest[s])), batch):
        run = model.run(_padded([longest[s] for s in stories], model.device), cache=list(sites))
        stacked = torch.stack([run[site].flatten(2).float() for site in sites])
        for row, story in enumerate(stories):
            for i in of_story[story]:
                found[i] = stacked[:, row, len(examples[i].tokens) - 1].cpu()
    return torch.stack(found, 1)


def _batches(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)
