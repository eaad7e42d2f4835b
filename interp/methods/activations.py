"""Activations at given positions, batched: rows of numbers for probes and directions."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.hooks import Name
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel
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
    model: LanguageModel, examples: Sequence[Example], sites: Sequence[Name], *, batch: int = 64
) -> Float[Tensor, "site example d_model"]:
    """What each site holds at the last token of each example, on the CPU.

    A story's examples share one forward pass. Rows are padded on the right, which a causal model
    cannot see.
    """
    longest = {story: max(rows, key=len) for story, rows in _texts(examples).items()}
    of_story: dict[int, list[int]] = {}
    for i, example in enumerate(examples):
        of_story.setdefault(example.story, []).append(i)
    found: list[Tensor | None] = [None] * len(examples)
    order = sorted(longest, key=lambda s: len(longest[s]))
    for number, stories in enumerate(_batches(order, batch)):
        report_progress("reading the texts", number * batch, len(order))
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


def mean_rows(
    model: LanguageModel, examples: Sequence[Example], sites: Sequence[Name], *, batch: int = 64
) -> Float[Tensor, "site example d_model"]:
    """The mean of each site over each example's tokens, the first left out, on the CPU."""
    found: list[Tensor | None] = [None] * len(examples)
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].tokens))
    for part in _batches(order, batch):
        tokens = _padded([examples[i].tokens for i in part], model.device)
        run = model.run(tokens, cache=list(sites))
        stacked = torch.stack([run[site].flatten(2).float() for site in sites])
        for row, i in enumerate(part):
            first = min(1, len(examples[i].tokens) - 1)
            found[i] = stacked[:, row, first : len(examples[i].tokens)].mean(1).cpu()
    return torch.stack(found, 1)


def median_norms(
    model: LanguageModel, examples: Sequence[Example], sites: Sequence[Name], *, n: int = 64
) -> list[float]:
    """The median length of each site's activations over whole texts, first positions left out.

    The first position often holds a vector many times longer than the others, with no text in it.
    """
    texts = [max(of, key=len) for of in _texts(examples).values()][:n]
    norms = []
    for part in _batches(texts, 32):
        run = model.run(_padded(part, model.device), cache=list(sites))
        lengths = torch.stack([run[site].flatten(2).float().norm(dim=-1) for site in sites]).cpu()
        norms += [lengths[:, row, 1 : len(ids)] for row, ids in enumerate(part)]
    return torch.cat(norms, 1).median(1).values.tolist()


def _texts(examples: Sequence[Example]) -> dict[int, list[tuple[int, ...]]]:
    rows: dict[int, list[tuple[int, ...]]] = {}
    for example in examples:
        rows.setdefault(example.story, []).append(example.tokens)
    return rows
