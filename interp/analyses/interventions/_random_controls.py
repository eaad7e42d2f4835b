"""One batch under different edits: none, those asked for, and random ones as long.

How far random directions of equal length move a measure is the band that a concept must leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import repeat
from jaxtyping import Float
from torch import Tensor

from interp.analyses.interventions._steered_generation import (
    GeneratedRows,
    SteeredRows,
    added_by_row,
    edits_of_rows,
    generate_rows,
)
from interp.core.edits import Add, Edit, EditContext
from interp.core.errors import ConfigError
from interp.core.protocols import LanguageModel
from interp.methods.batches import TextBatch, nats_per_token
from interp.methods.probes.directions import random_directions

UNEDITED, STEERED, FIRST_RANDOM = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Arms:
    """What every text is written (or read) under, an arm after the other, as in a trial of a drug.

    Attributes:
        edits: additions of one vector at a strength.
        vectors: of each edit, an arm each: the edit's own (twice), then random ones of its length.
        strengths: of each edit, an arm each: 0 for the unedited arm.
    """

    edits: tuple[Add, ...]
    vectors: tuple[Float[Tensor, "arm d_model"], ...]
    strengths: tuple[Float[Tensor, " arm"], ...]

    def __len__(self) -> int:
        return len(self.strengths[0])

    def by_row(self, n_texts: int, width: int) -> list[Add]:
        """The edits of a batch that holds `n_texts` rows of every arm, up to `width` positions."""
        return [
            added_by_row(
                edit.hook,
                repeat(vectors, "arm d_model -> (arm text) d_model", text=n_texts),
                repeat(strengths, "arm -> (arm text)", text=n_texts),
                edit.where,
                width,
            )
            for edit, vectors, strengths in zip(
                self.edits, self.vectors, self.strengths, strict=True
            )
        ]


def random_arms(edits: Sequence[Edit], n_random: int, seed: int) -> Arms:
    """Unedited, edited, and `n_random` times with random directions in the edits' place.

    Raises:
        ConfigError: no edit, or one that does not add one vector.
    """
    odd = [e for e in edits if not (isinstance(e, Add) and _adds_one_vector(e))]
    if odd or not edits:
        got = type(odd[0]).__name__ if odd else "nothing"
        raise ConfigError(
            "Random directions of equal length are compared with edits, so each needs to add one "
            f"vector (Add); got {got}. Take concept.add(dose)."
        )
    vectors, strengths = [], []
    for number, edit in enumerate(edits):
        own = edit.vector.float()
        # A seed an edit: two edits that shared their random direction would be one twice as strong.
        random = random_directions(n_random, len(own), seed=seed * 1_009 + number) * own.norm()
        vectors.append(torch.cat([own.expand(2, -1).cpu(), random]))
        strengths.append(torch.tensor([0.0, *[float(edit.scale)] * (n_random + 1)]))
    return Arms(edits=tuple(edits), vectors=tuple(vectors), strengths=tuple(strengths))


def _adds_one_vector(edit: Add) -> bool:
    whole = edit.heads is None and edit.neurons is None
    number = not isinstance(edit.scale, Tensor) or edit.scale.ndim == 0
    return whole and number and edit.vector.ndim == 1


def texts_of_arms(
    model: LanguageModel,
    arms: Arms,
    prompt: Sequence[int],
    seeds: Sequence[int],
    **sampling: object,
) -> GeneratedRows:
    """A text of every arm and seed, arm by arm; texts of one seed share their random numbers."""
    rows = SteeredRows(
        prompts=[prompt] * (len(arms) * len(seeds)),
        seeds=[*seeds] * len(arms),
        edits=arms.by_row(len(seeds), model.cfg.n_ctx),
        sampling=sampling,
    )
    return generate_rows(model, rows)


def reading_loss(
    model: LanguageModel, arms: Arms, texts: Sequence[Sequence[int]]
) -> Float[Tensor, "arm text"]:
    """Loss in nats, summed over each text, of every arm reading it.

    Raises:
        ConfigError: an edit meets no position of any text.
    """
    passes = [EditContext.of(torch.tensor([list(ids)])) for ids in texts]
    for edit in arms.edits if passes else ():
        edit.where.check_within(*passes)
    losses = []
    for ids in texts:
        edits = arms.by_row(1, len(ids))

        def own(batch: TextBatch, edits: Sequence[Add] = edits) -> list[Add]:
            return edits_of_rows(edits, list(batch.numbers))

        nats = nats_per_token(model, [ids] * len(arms), edits=own)
        losses.append(torch.stack([row.sum() for row in nats]))
    return torch.stack(losses, 1)


def random_band(
    values: Float[Tensor, "*dose direction"],
) -> tuple[Float[Tensor, "*dose"], Float[Tensor, "*dose"]]:
    """Lowest and highest over random directions, nan left out; nan where none has a value."""
    known = ~values.isnan().all(-1)
    low = values.nan_to_num(torch.inf).amin(-1)
    high = values.nan_to_num(-torch.inf).amax(-1)
    return torch.where(known, low, torch.nan), torch.where(known, high, torch.nan)
