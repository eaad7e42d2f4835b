"""The loop that continues prompts, for any model that can give the next logits."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.edits import Edit, EditContext, by_point, idle_edits
from interp.core.errors import ConfigError
from interp.core.precision import check_edited, check_finite
from interp.core.protocols import Generation, Step, Tokenizer
from interp.models.kv_cache import KVCache
from interp.models.no_tokenizer import NoTokenizer
from interp.models.sampling import SampledTokens, Sampling, describe, pick, to_steps, uniforms
from interp.models.taps import RunTap

Continue = Callable[[Int[Tensor, "batch new"]], Float[Tensor, "batch d_vocab"]]
"""Takes the prompts (padded on the left), then one column of tokens a call; gives the logits that
follow the last column."""

DESCRIBED_AT_ONCE = 16
"""Columns of logits that are kept before they are described: a bound on memory."""


class Decoder:
    """What the decoders of all models keep from column to column.

    Args:
        model: its `cfg` and `hook_names` are looked at.
        mask: True at the real tokens of the prompts.
        edits: interventions on every pass.
        use_cache: whether a pass may take up what earlier ones worked out.
        sampling: says how many columns may come.
    """

    def __init__(
        self,
        model: Any,
        mask: Bool[Tensor, "batch pos"],
        edits: Sequence[Edit],
        use_cache: bool,
        sampling: Sampling,
    ) -> None:
        self.model, self.points = model, by_point(edits, model.hook_names)
        self.lengths, self.padded = mask.sum(1) - sampling.written, not bool(mask.all())
        # No row goes past its context, and the shortest prompt leaves most room in it.
        room = min(sampling.max_new_tokens, model.cfg.n_ctx - int(mask.sum(1).min()))
        self.mask = torch.cat([mask, mask.new_ones(len(mask), room)], 1)
        self.ids = mask.new_zeros(len(mask), 0, dtype=torch.long)
        self.use_cache, self.seen = use_cache, 0

    def tap(self, new: Int[Tensor, "batch new"]) -> RunTap | None:
        """The tap of a pass over these columns, the last of those seen; None without edits."""
        if not self.points:
            return None
        context = EditContext.of(new, self.mask[:, : self.seen], self.lengths)
        return RunTap(frozenset(), self.points, context)

    def checked(
        self, logits: Float[Tensor, "batch d_vocab"], tap: RunTap | None
    ) -> Float[Tensor, "batch d_vocab"]:
        """The logits after a pass with this tap.

        Raises:
            NonFiniteError: the logits, or what the edits made, are no numbers to draw from.
        """
        if tap is not None:
            check_edited(self.model.name, tap.largest)
        real = self.mask.new_ones(len(logits), 1)
        check_finite(self.model.name, logits[:, None], {}, real, start=self.seen - 1)
        return logits


class GPTDecoder(Decoder):
    """The next logits of a GPT: with a KV cache, or by running everything anew each time."""

    def __init__(self, model: Any, mask: Tensor, *options: Any) -> None:
        super().__init__(model, mask, *options)
        shape = len(mask), self.mask.shape[1]
        self.kv = KVCache(model.cfg, *shape, model.embed.weight) if self.use_cache else None

    def __call__(self, new: Int[Tensor, "batch new"]) -> Float[Tensor, "batch d_vocab"]:
        # With edits no inference mode: what a `Call` keeps must stay usable with autograd.
        with torch.no_grad() if self.points else torch.inference_mode():
            return self._next(new)

    def _next(self, new: Tensor) -> Tensor:
        self.seen += new.shape[1]
        if self.kv is None:
            new = self.ids = torch.cat([self.ids, new], 1)
        mask = position_ids = None
        if self.padded:
            mask = self.mask[:, : self.seen]
            position_ids = (mask.long().cumsum(1) - 1)[:, self.seen - new.shape[1] :]
            # Rows that ended are fed on beside the others, past their context.
            position_ids = position_ids.clamp(0, self.model.cfg.n_ctx - 1)
        tap = self.tap(new)
        normalized = self.model.last_hidden_state(
            new, tap, mask=mask, position_ids=position_ids, kv=self.kv
        )
        return self.checked(self.model.to_logits(normalized[:, -1]), tap)


class Sampler:
    """Draws token after token and keeps the books of every row.

    Args:
        ends: tokens that end a text.
        n_ctx: tokens a row may have, prompt and all.
        edits: that `proceed` makes.
    """

    def __init__(
        self,
        proceed: Continue,
        tokens: Int[Tensor, "batch pos"],
        mask: Bool[Tensor, "batch pos"],
        tokenizer: Tokenizer,
        ends: frozenset[int],
        n_ctx: int,
        sampling: Sampling,
        edits: Sequence[Edit] = (),
    ) -> None:
        if sampling.stop and isinstance(tokenizer, NoTokenizer):
            raise ConfigError("Stop strings need a tokenizer, and this model has none.")
        self.proceed, self.sampling, self.edits = proceed, sampling, edits
        self.tokenizer, self.ends, self.n_ctx = tokenizer, ends, n_ctx
        self.tokens, self.mask = tokens, mask
        self.prompts = [row[real].tolist() for row, real in zip(tokens, mask, strict=True)]
        self.rows: list[list[int]] = [[] for _ in self.prompts]
        self.bytes = [b"" for _ in self.prompts]
        self.finished = [self._why_over(row) for row in range(len(self.prompts))]
        kind = torch.float32 if tokens.device.type == "mps" else torch.float64
        _check_written(sampling.written, self.prompts)
        # A text that is continued goes on with the draws behind those its tokens have used up; and
        # no row draws more often than its context has room.
        room = min(sampling.max_new_tokens, n_ctx - min(map(len, self.prompts)))
        draws = uniforms(sampling.seed, len(self.prompts), sampling.written + room)
        draws = draws[:, sampling.written :]
        self.draws = draws.to(tokens.device, kind)

    def picks(self) -> Iterator[SampledTokens]:
        """Every row's token, step by step, until all rows have ended."""
        seen, column = None, self.tokens
        for step in range(self.sampling.max_new_tokens):
            if all(self.finished):
                return
            logits = self.proceed(column)
            if self.sampling.repetition_penalty != 1:
                seen = self._seen(logits) if seen is None else seen.scatter(1, column, True)
            chosen = pick(logits, self.sampling, self.draws[:, step], seen)
            column = chosen.token
            self._add(column[:, 0].tolist())
            yield chosen

    def steps(self) -> Iterator[list[Step | None]]:
        """As `picks`, described in plain numbers; None for rows that had ended before."""
        counts = [0] * len(self.rows)
        for step, chosen in enumerate(self.picks()):
            [*rows] = to_steps(describe([chosen], self.sampling.top), self._draws_at(step))
            grew = [len(row) > count for row, count in zip(self.rows, counts, strict=True)]
            counts = [len(row) for row in self.rows]
            yield [row[0] if new else None for row, new in zip(rows, grew, strict=True)]

    def finish(self) -> Generation:
        """Draw to the end."""
        picks, columns = self.picks(), []
        while block := list(islice(picks, DESCRIBED_AT_ONCE)):
            columns += describe(block, self.sampling.top)
        steps = to_steps(columns, self._draws_at(None)) or [[] for _ in self.rows]
        return Generation(
            prompts=self.prompts,
            tokens=self.rows,
            texts=[self._text(row) for row in range(len(self.rows))],
            steps=[each[: len(row)] for each, row in zip(steps, self.rows, strict=True)],
            finished=self.finished,
            idle_edits=self._idle_edits(),
        )

    def _idle_edits(self) -> tuple[Edit, ...]:
        # What was written before counts as generated, as it did for the edits.
        written = self.sampling.written
        pairs = list(zip(self.prompts, self.rows, strict=True))
        prompts = [prompt[: len(prompt) - written] for prompt, _ in pairs]
        generated = [prompt[len(prompt) - written :] + new if new else [] for prompt, new in pairs]
        return idle_edits(self.edits, prompts, generated) if self.edits else ()

    def _draws_at(self, step: int | None) -> Tensor | None:
        if self.sampling.temperature == 0:
            return None
        return self.draws if step is None else self.draws[:, step : step + 1]

    def _seen(self, logits: Tensor) -> Bool[Tensor, "batch d_vocab"]:
        seen = torch.zeros_like(logits, dtype=torch.bool)
        for row, prompt in zip(seen, self.prompts, strict=True):
            row[prompt] = True
        return seen

    def _add(self, chosen: list[int]) -> None:
        for row, token in enumerate(chosen):
            if self.finished[row]:
                continue
            self.rows[row].append(token)
            if self.sampling.stop:
                self.bytes[row] += b"".join(self.tokenizer.pieces([token]))
            self.finished[row] = self._why_over(row)

    def _why_over(self, row: int) -> str:
        """Why the row has ended; empty while it has not."""
        tokens = self.rows[row]
        if tokens and tokens[-1] in self.ends:
            return "end_of_text"
        if self.sampling.stop and self._cut(row) is not None:
            return "stop_string"
        if len(tokens) == self.sampling.max_new_tokens:
            return "length"
        return "context" if len(self.prompts[row]) + len(tokens) >= self.n_ctx else ""

    def _cut(self, row: int) -> int | None:
        places = [self.bytes[row].find(text.encode()) for text in self.sampling.stop]
        return min((place for place in places if place >= 0), default=None)

    def _text(self, row: int) -> str:
        if self.finished[row] == "stop_string":
            return self.bytes[row][: self._cut(row)].decode("utf-8", "replace")
        return self.tokenizer.decode(self.rows[row])


def _check_written(written: int, prompts: Sequence[Sequence[int]]) -> None:
    shortest = min(map(len, prompts))
    if written >= shortest:
        raise ConfigError(
            f"written counts a prompt's last tokens, and one must stand before them; it is "
            f"{written} of {shortest} tokens."
        )
