"""Many doses and directions in one generation, and what each did to the text.

The dose stands on the batch axis: every row has its own vector and strength, and rows of one prompt
share their random numbers, so that two doses differ by the dose alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.edits import Add, Where
from interp.core.protocols import LanguageModel
from interp.worlds.world import Sentence, World

MOST_ROWS, MOST_LOGITS = 1024, 2**25


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Rows to generate: which prompt, along which vector, how strongly.

    Attributes:
        prompts: token ids, all of them real.
        prompt: of each row, as a number.
        vectors: a row's direction times the site's median norm.
        doses: in shares of the site's median norm.
        site: hook point.
        where: positions that are edited.
        n_tokens: to generate.
        temperature: of the sampling; 0 is greedy.
        seed: row draws are a function of this, of the prompt and of nothing else.
    """

    prompts: tuple[tuple[int, ...], ...]
    prompt: Int[Tensor, " batch"]
    vectors: Float[Tensor, "batch d_model"]
    doses: Float[Tensor, " batch"]
    site: tuple[str, int]
    where: Where
    n_tokens: int
    temperature: float
    seed: int

    def rows(self, part: slice) -> list[list[int]]:
        """The prompts of these rows."""
        return [list(self.prompts[i]) for i in self.prompt[part].tolist()]

    def seeds(self, part: slice) -> list[int]:
        """A seed a row: the same for all rows of one prompt."""
        return [self.seed * 1_000_003 + i for i in self.prompt[part].tolist()]

    def edit(self, part: slice, width: int) -> Add:
        """The one edit that steers all these rows, each its own way."""
        vectors = self.vectors[part]
        # (batch, pos, d) without a copy: the same vector at every position.
        spread = vectors[:, None].expand(-1, width, -1)
        return Add(hook=self.site, vector=spread, scale=self.doses[part], where=self.where)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of each row.

    Attributes:
        tokens: generated ids.
        texts: generated text.
        loss_nats: summed over a row's generated tokens, under the model *without* the edit.
        kl_nats: KL(edited || unedited), summed over the same positions.
        lengths: generated tokens of each row.
    """

    tokens: list[list[int]]
    texts: list[str]
    loss_nats: Float[Tensor, " batch"]
    kl_nats: Float[Tensor, " batch"]
    lengths: Int[Tensor, " batch"]


def carry_out(model: LanguageModel, plan: Plan, *, edited: bool = True) -> Outcome:
    """Generate every row of the plan, then weigh what came under the unedited model.

    Without `edited` the same rows are generated unsteered, in the same batches.
    """
    starts = range(0, len(plan.prompt), MOST_ROWS)
    parts = [_carry_out(model, plan, slice(i, i + MOST_ROWS), edited) for i in starts]
    return Outcome(
        tokens=[row for part in parts for row in part.tokens],
        texts=[text for part in parts for text in part.texts],
        loss_nats=torch.cat([part.loss_nats for part in parts]),
        kl_nats=torch.cat([part.kl_nats for part in parts]),
        lengths=torch.cat([part.lengths for part in parts]),
    )


def _carry_out(model: LanguageModel, plan: Plan, part: slice, edited: bool) -> Outcome:
    rows = plan.rows(part)
    edits = [plan.edit(part, model.cfg.n_ctx)] if edited else []
    made = model.generate(
        rows,
        edits=edits,
        max_new_tokens=plan.n_tokens,
        temperature=plan.temperature,
        seed=plan.seeds(part),
        top=0,
    )
    loss, kl = damage(model, rows, made.tokens, edits)
    lengths = torch.tensor([len(row) for row in made.tokens])
    return Outcome(
        tokens=made.tokens, texts=made.texts, loss_nats=loss, kl_nats=kl, lengths=lengths
    )


def damage(
    model: LanguageModel,
    prompts: Sequence[list[int]],
    made: Sequence[list[int]],
    edits: Sequence[Add],
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    """Loss of the generated tokens under the unedited model, and KL(edited || unedited), summed."""
    rows = [prompt + new for prompt, new in zip(prompts, made, strict=True)]
    width = max(map(len, rows))
    device = model.device
    tokens = torch.tensor([[0] * (width - len(r)) + r for r in rows], device=device)
    mask = torch.tensor([[False] * (width - len(r)) + [True] * len(r) for r in rows], device=device)
    lengths = [len(prompt) for prompt in prompts]
    new = torch.tensor([len(row) for row in made], device=device)
    # Whole vocabularies for all rows at once would not fit the memory for a large one.
    size = max(1, MOST_LOGITS // (width * model.cfg.d_vocab))
    parts = []
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        known = {"mask": mask[part], "prompt_lengths": lengths[part]}
        plain = model.run(tokens[part], **known).logits
        few = [_rows_of(edit, part) for edit in edits]
        edited = model.run(tokens[part], **known, edits=few).logits if few else plain
        parts.append(_sums(tokens[part], new[part], plain, edited))
    return tuple(torch.cat(sums).cpu() for sums in zip(*parts, strict=True))


def _rows_of(edit: Add, part: slice) -> Add:
    return replace(edit, vector=edit.vector[part], scale=edit.scale[part])


def _sums(
    tokens: Int[Tensor, "batch pos"],
    new: Int[Tensor, " batch"],
    plain: Float[Tensor, "batch pos d_vocab"],
    edited: Float[Tensor, "batch pos d_vocab"],
) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
    plain, edited = (x[:, :-1].float().log_softmax(-1) for x in (plain, edited))
    width = tokens.shape[1]
    # The position that predicts token t is t - 1, so these are the last `new` of the width - 1.
    counted = torch.arange(width - 1, device=tokens.device) >= width - 1 - new[:, None]
    loss = -plain.gather(-1, tokens[:, 1:, None])[..., 0]
    kl = (edited.exp() * (edited - plain)).sum(-1)
    return (loss * counted).sum(1), (kl * counted).sum(1)


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What a world reads in one generated text.

    Attributes:
        hits: mentions of the concept.
        mentions: mentions of any concept of its group.
        sentences: whole sentences that were generated.
        well_formed: of these, sentences of the grammar.
        consistent: of the well-formed, true of the story so far.
    """

    hits: int
    mentions: int
    sentences: int
    well_formed: int
    consistent: int


def mark(world: World, prompt: str, text: str, word: str, among: Sequence[str]) -> Marks:
    """Read prompt and text as one story; count only sentences that begin in the text."""
    new = [s for s in world.parse(prompt + text).sentences if s.span[1] > len(prompt)]
    shown = [concept for sentence in new for concept in sentence.concepts if concept in among]
    return Marks(
        hits=shown.count(word),
        mentions=len(shown),
        sentences=len(new),
        well_formed=sum(sentence.well_formed for sentence in new),
        consistent=sum(_consistent(sentence) for sentence in new),
    )


def word_marks(text: str, words: Sequence[str]) -> Marks:
    """Without a world: how many of the text's words are among `words`."""
    said = [word.strip(".,;:!?\"'()").lower() for word in text.split()]
    wanted = {word.lower() for word in words}
    hits = sum(word in wanted for word in said)
    return Marks(hits=hits, mentions=len(said), sentences=0, well_formed=0, consistent=0)


def repetition(tokens: Sequence[int]) -> dict[str, int]:
    """How many trigrams of a row stood in it before, and how many there are."""
    grams = [tuple(tokens[i : i + 3]) for i in range(len(tokens) - 2)]
    return {"repeated": len(grams) - len(set(grams)), "trigrams": len(grams)}


def _consistent(sentence: Sentence) -> bool:
    return bool(sentence.well_formed and sentence.consistent)
