"""Many runs in one generation, each row under an edit of its own, and what that cost the text.

Every row has its own vector and strength at the same places, and rows that share a seed share their
random numbers, so that two of them differ by the edit alone. One such batch is a dose-response
curve (`steering`), or an edit beside random ones (`steering_metrics`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from einops import repeat
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.cost import Passes, announce
from interp.core.edits import Add, EditContext, Where, edits_within
from interp.core.errors import ConfigError
from interp.core.hooks import Name
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel
from interp.methods.batches import TextBatch, reading, text_batches
from interp.methods.distributions import kl_divergence

MOST_ROWS = 1024
MOST_KEPT = 2**27
"""Numbers that the keys and values of one generation may hold: 512 MiB in single precision."""


@dataclass(frozen=True, kw_only=True)
class SteeredRows:
    """Rows to generate.

    Attributes:
        prompts: token ids of each row, all of them real.
        seeds: of each row; its draws are a function of this and of nothing else.
        edits: of the whole batch, each with a vector and a strength a row (`added_by_row`).
        sampling: further options of `generate`, the same for all rows.
    """

    prompts: Sequence[Sequence[int]]
    seeds: Sequence[int]
    edits: Sequence[Add]
    sampling: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class GeneratedRows:
    """What was generated, and what it cost.

    Attributes:
        tokens: generated ids.
        texts: generated text.
        loss_nats: summed over a row's generated tokens, under the model *without* the edits.
        kl_nats: KL(edited || unedited), summed over the same positions.
        lengths: generated tokens of each row.
        idle: for each edit, whether it met no position of any row.
    """

    tokens: list[list[int]]
    texts: list[str]
    loss_nats: Float[Tensor, " batch"]
    kl_nats: Float[Tensor, " batch"]
    lengths: Int[Tensor, " batch"]
    idle: tuple[bool, ...] = ()


def added_by_row(
    hook: Name,
    vectors: Float[Tensor, "batch d_model"],
    strengths: Float[Tensor, " batch"],
    where: Where,
    width: int,
) -> Add:
    """An edit that adds to each row of a batch its own vector, at each of `width` positions."""
    # A view: the same memory stands for every position.
    spread = repeat(vectors, "batch d_model -> batch pos d_model", pos=width)
    return Add(hook=hook, vector=spread, scale=strengths, where=where)


def edits_of_rows(edits: Sequence[Add], part: slice | list[int]) -> list[Add]:
    """The edits for some of the rows only."""
    return [replace(edit, vector=edit.vector[part], scale=edit.scale[part]) for edit in edits]


def generate_rows(model: LanguageModel, rows: SteeredRows) -> GeneratedRows:
    """Generate every row, then weigh what came under the unedited model.

    Raises:
        ConfigError: an edit met no position of any row, so that there is nothing to compare.
    """
    announce_generation(model, rows.prompts, rows.sampling["max_new_tokens"], smaller=FEWER)
    size, parts = _together(model, rows.prompts, rows.sampling["max_new_tokens"]), []
    for start in range(0, len(rows.prompts), size):
        report_progress("writing texts", start, len(rows.prompts))
        parts.append(_generate(model, rows, slice(start, start + size)))
    idle = tuple(map(all, zip(*(part.idle for part in parts), strict=True)))
    if wrong := [edit for edit, is_idle in zip(rows.edits, idle, strict=True) if is_idle]:
        raise ConfigError(
            f"An edit needs a position to act on, and no prompt or text of {len(rows.prompts)} has "
            f"one that meets {wrong[0].where}, so that nothing was changed. Edit other positions."
        )
    return GeneratedRows(
        tokens=[row for part in parts for row in part.tokens],
        texts=[text for part in parts for text in part.texts],
        loss_nats=torch.cat([part.loss_nats for part in parts]),
        kl_nats=torch.cat([part.kl_nats for part in parts]),
        lengths=torch.cat([part.lengths for part in parts]),
        idle=idle,
    )


FEWER = "Ask for fewer prompts, doses, random directions or tokens (n_prompts=, doses=, ...)."


def announce_generation(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    new: int,
    *,
    smaller: str,
    times: float = 1,
    beside: Sequence[Passes] = (),
) -> None:
    """Say what it costs to continue prompts with and without edits, and to weigh what came.

    Args:
        model: that writes.
        prompts: ids of each row.
        new: tokens written after each.
        smaller: see `interp.core.cost.announce`.
        times: how often all of it is done.
        beside: what else the call does.
    """
    size, width = _together(model, prompts, new), max(map(len, prompts))
    turns = times * len(prompts) / size
    whole = [[0] * (width + new)] * len(prompts)
    announce(
        model,
        Passes(count=turns, tokens=size * width, width=width, logits=size),
        Passes(count=turns * new, tokens=size, width=width + new, logits=size),
        reading(model, whole, times=2 * times),
        *beside,
        kept=size * _keys_and_values(model, width + new),
        smaller=smaller,
    )


def _together(model: LanguageModel, prompts: Sequence[Sequence[int]], new: int) -> int:
    """Rows of one generation, bounded by what is kept of each."""
    longest = max(map(len, prompts)) + new
    return min(MOST_ROWS, len(prompts), max(1, MOST_KEPT // _keys_and_values(model, longest)))


def _keys_and_values(model: LanguageModel, width: int) -> int:
    width = min(width, model.cfg.n_ctx)
    return 2 * model.cfg.n_layers * width * model.cfg.n_heads * model.cfg.d_head


def _generate(model: LanguageModel, rows: SteeredRows, part: slice) -> GeneratedRows:
    prompts, edits = [list(row) for row in rows.prompts[part]], edits_of_rows(rows.edits, part)
    generation = model.generate(
        prompts, edits=edits, seed=list(rows.seeds[part]), top=0, **rows.sampling
    )
    loss, kl = _damage(model, prompts, generation.tokens, edits)
    lengths = torch.tensor([len(row) for row in generation.tokens])
    return GeneratedRows(
        tokens=generation.tokens,
        texts=generation.texts,
        loss_nats=loss,
        kl_nats=kl,
        lengths=lengths,
        idle=tuple(edit in generation.idle_edits for edit in edits),
    )


def _damage(
    model: LanguageModel,
    prompts: Sequence[list[int]],
    generated: Sequence[list[int]],
    edits: Sequence[Add],
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Loss of the generated tokens under the unedited model, and KL(edited || unedited), summed."""
    rows = [prompt + new for prompt, new in zip(prompts, generated, strict=True)]
    sums = torch.zeros(2, len(rows))
    for batch in text_batches(model, rows):
        numbers = list(batch.numbers)
        lengths = [len(prompts[number]) for number in numbers]
        sums[:, numbers] = _sums(model, batch, lengths, edits_of_rows(edits, numbers)).cpu()
    return sums[0], sums[1]


def _sums(
    model: LanguageModel, batch: TextBatch, prompt_lengths: Sequence[int], edits: Sequence[Add]
) -> Float[Tensor, "2 batch"]:
    """Loss and KL over the tokens behind each prompt."""
    starts = torch.tensor(prompt_lengths, device=batch.tokens.device)
    position = torch.arange(1, batch.tokens.shape[1], device=batch.tokens.device)
    written = batch.real[:, 1:] & (position >= starts[:, None])
    # Of the texts of a whole generation some may lack what an edit waits for.
    edits = edits_within(edits, EditContext.of(batch.tokens, batch.real, starts))
    plain, edited = (
        model.run(batch.tokens, prompt_lengths=prompt_lengths, edits=each)
        .logits[:, :-1]
        .float()
        .log_softmax(-1)
        for each in ((), edits)
    )
    loss = -plain.gather(-1, batch.tokens[:, 1:, None])[..., 0]
    return torch.stack([loss * written, kl_divergence(edited, plain) * written]).sum(-1)
