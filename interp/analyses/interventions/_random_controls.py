"""Rows of one batch under different edits: none, those asked for, and random ones as long."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._steered_generation import MOST_LOGITS, Outcome, damage
from interp.core.edits import Add, Edit
from interp.core.errors import ConfigError
from interp.core.protocols import LanguageModel
from interp.methods.probes.directions import random_directions

REST, STEERED, FIRST_RANDOM = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Arms:
    """What every row of a batch gets, an arm after the other.

    Attributes:
        edits: additions of one vector at a strength.
        vectors: of each edit, an arm each: the edit's own (twice), then random ones of its length.
        scales: of each edit, an arm each: 0 for the unedited rows.
    """

    edits: tuple[Add, ...]
    vectors: tuple[Float[Tensor, "arm d_model"], ...]
    scales: tuple[Float[Tensor, " arm"], ...]

    def __len__(self) -> int:
        return len(self.scales[0])

    def rows(self, each: int, width: int) -> list[Add]:
        """The edits of a batch that holds `each` rows of every arm, up to `width` positions."""
        made = []
        for edit, vectors, scales in zip(self.edits, self.vectors, self.scales, strict=True):
            spread = vectors.repeat_interleave(each, 0)[:, None].expand(-1, width, -1)
            scale = scales.repeat_interleave(each)
            made.append(Add(hook=edit.hook, vector=spread, scale=scale, where=edit.where))
        return made


def arms_of(edits: Sequence[Edit], n_random: int, seed: int) -> Arms:
    """Unedited, edited, and `n_random` times with random directions in the edits' place.

    Raises:
        ConfigError: no edit, or one that does not add one vector.
    """
    odd = [e for e in edits if not (isinstance(e, Add) and _is_simple(e))]
    if odd or not edits:
        came = type(odd[0]).__name__ if odd else "nothing"
        raise ConfigError(
            f"Edits that add one vector (Add) were needed, for these have random ones of equal "
            f"length to be compared with; {came} came. Take concept.add(dose)."
        )
    vectors, scales = [], []
    for number, edit in enumerate(edits):
        own = edit.vector.float()
        drawn = random_directions(n_random, len(own), seed=seed * 1_009 + number) * own.norm()
        vectors.append(torch.cat([own.expand(2, -1).cpu(), drawn]))
        scales.append(torch.tensor([0.0, *[float(edit.scale)] * (n_random + 1)]))
    return Arms(edits=tuple(edits), vectors=tuple(vectors), scales=tuple(scales))


def written(
    model: LanguageModel, arms: Arms, prompt: Sequence[int], seeds: Sequence[int], **options: object
) -> Outcome:
    """A text of every arm and seed; texts of one seed share their random numbers."""
    rows = [list(prompt)] * (len(arms) * len(seeds))
    edits = arms.rows(len(seeds), model.cfg.n_ctx)
    made = model.generate(rows, edits=edits, seed=[*seeds] * len(arms), top=0, **options)
    loss, kl = damage(model, rows, made.tokens, edits)
    lengths = torch.tensor([len(row) for row in made.tokens])
    return Outcome(
        tokens=made.tokens, texts=made.texts, loss_nats=loss, kl_nats=kl, lengths=lengths
    )


@torch.no_grad()
def read_loss(
    model: LanguageModel, arms: Arms, texts: Sequence[Sequence[int]]
) -> Float[Tensor, "arm text"]:
    """Loss in nats, summed over each text, of every arm reading it."""
    losses = []
    for ids in texts:
        tokens = torch.tensor([list(ids)] * len(arms), device=model.device)
        size = max(1, MOST_LOGITS // (len(ids) * model.cfg.d_vocab))
        edits = arms.rows(1, len(ids))
        parts = []
        for start in range(0, len(arms), size):
            part = slice(start, start + size)
            few = [_few(edit, part) for edit in edits]
            log_probs = model.run(tokens[part], edits=few).logits[:, :-1].float().log_softmax(-1)
            parts.append(-log_probs.gather(-1, tokens[part, 1:, None])[..., 0].sum(1).cpu())
        losses.append(torch.cat(parts))
    return torch.stack(losses, 1)


def _few(edit: Add, part: slice) -> Add:
    return Add(hook=edit.hook, vector=edit.vector[part], scale=edit.scale[part], where=edit.where)


def _is_simple(edit: Add) -> bool:
    whole = edit.heads is None and edit.neurons is None
    number = not isinstance(edit.scale, Tensor) or edit.scale.ndim == 0
    return whole and number and edit.vector.ndim == 1
