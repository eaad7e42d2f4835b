"""The loss on a fixed held-out slice, beside the lowest loss that any model could reach."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from interp.core.protocols import Tokenizer
from interp.core.surprisal import surprisal
from interp.models.gpt import GPT
from interp.training.data.batches import Batch, fixed_batch
from interp.training.data.corpus import Corpus
from interp.training.distributed import ProcessGroup
from interp.training.recipe.config import TrainConfig


def held_out_batch(corpus: Corpus, config: TrainConfig) -> Batch:
    """The rows that every evaluation of a run reads, of the last level of the held-out split.

    Where the text's floor is known they begin at documents, whatever the run's own rows do: the
    floor is what a reader of whole documents pays, and nobody reaches it from a row that begins in
    the middle of one. Of other text they are rows as the run trains on.

    Args:
        corpus: a corpus with a `held_out` split.
        config: the run's recipe: its rows, context and size of the held-out slice.
    Raises:
        NotEnoughDataError: the held-out text is shorter than a row.
    """
    has_floor = corpus.part("held_out", corpus.levels("held_out")[-1]).has_floor
    return fixed_batch(
        corpus,
        n_rows=max(1, config.eval_tokens // config.context),
        context=config.context,
        rows="document" if has_floor else config.rows,
    )


class HeldOut:
    """Rows that every evaluation of a run reads, shared between the ranks.

    Args:
        rows: rows of the held-out split; tokens whose weight is 0 are left out.
        batch_size: rows that are run at once, over all ranks together.
        group: the ranks that train together.
    """

    def __init__(self, rows: Batch, batch_size: int, group: ProcessGroup) -> None:
        self._group = group
        self._per_rank = max(1, batch_size // group.size)
        counted = rows.weights[:, 1:] > 0
        self._n_counted = int(counted.sum())
        self._ids, self._counts = rows.tokens[:, 1:][counted].unique(return_counts=True)
        floor = rows.floor
        self._floor = None if floor is None else float(floor[:, 1:][counted].double().mean())
        # Every rank makes as many forward passes as the others: FSDP's ranks must meet in each.
        missing = -len(rows.tokens) % group.size
        self._tokens = _padded(rows.tokens, missing)[group.rank :: group.size]
        self._counted = _padded(counted, missing, False)[group.rank :: group.size]

    @torch.no_grad()
    def evaluate(
        self, model: GPT, autocast: Callable[[], AbstractContextManager[Any]]
    ) -> dict[str, Any]:
        """The record of an evaluation, without its step.

        Returns:
            `loss_nats_per_token`, `tokens` and, over the same tokens, `loss_nats_per_byte` and
            `bytes` (UTF-8; special tokens have none) and, where the floor is known,
            `floor_nats_per_token` and `regret_nats_per_token` (loss - floor).
        """
        model.eval()
        total = torch.zeros((), device=model.device, dtype=torch.float32)
        for some, mask in zip(
            self._tokens.split(self._per_rank), self._counted.split(self._per_rank), strict=True
        ):
            some, mask = some.to(model.device), mask.to(model.device)
            with autocast():
                logits = model(some[:, :-1])
            nats = surprisal(logits, some[:, 1:])
            total += (nats * mask).sum()
        model.train()
        total = self._group.sum(total).item()
        return self._record(total / max(self._n_counted, 1), self._bytes(model.tokenizer))

    def _bytes(self, tokenizer: Tokenizer) -> int:
        """Bytes of the text that the counted tokens stand for."""
        pieces = (tokenizer.pieces([number])[0] for number in self._ids.tolist())
        lengths = torch.tensor([len(piece) for piece in pieces], dtype=torch.long)
        return int((lengths * self._counts).sum())

    def _record(self, loss: float, n_bytes: int) -> dict[str, Any]:
        record = {"kind": "eval", "loss_nats_per_token": loss, "tokens": self._n_counted}
        if n_bytes:
            record["loss_nats_per_byte"] = loss * self._n_counted / n_bytes
            record["bytes"] = n_bytes
        if self._floor is None:
            return record
        return record | {
            "floor_nats_per_token": self._floor,
            "regret_nats_per_token": loss - self._floor,
        }


def _padded(rows: Tensor, missing: int, value: int = 0) -> Tensor:
    return torch.cat([rows, rows.new_full((missing, rows.shape[1]), value)])
