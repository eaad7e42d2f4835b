"""The one way to run texts through a model: padded batches of ids, a bounded memory at a time.

    nats = nats_per_token(model, rows)                    # what each token after the first cost

    streams = TokenValues(rows)                           # or anything else that a pass makes
    read_texts(
        model, rows, lambda batch, run: streams.put(batch, run["resid_post", -1]),
        cache=[("resid_post", -1)], logits=False,
    )
    streams.rows[3]                                       # of row 3: pos d_model

Rows are padded on the right, behind their end, where a causal model does not see it: so no mask is
needed and attention keeps its fast path. `most_values` bounds the largest tensor of a pass, and so
the peak, whatever the number of texts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from interp.core.cost import Passes, announce
from interp.core.edits import Edit, EditContext, edits_within
from interp.core.errors import NotEnoughDataError
from interp.core.hooks import Names, resolve_all, short_name
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel, ModelConfig, Run
from interp.core.surprisal import surprisal
from interp.worlds.world import World

MOST_VALUES = 2**22
"""Numbers in the largest tensor of a pass: 16 MiB in single precision. Larger batches were no
faster on a CPU; raise it for a GPU."""
FEWER = "Give fewer or shorter texts (texts=), or fewer stories or sequences (n_stories=, ...)."
CHUNK = 2**20
"""Logits whose log-softmax is taken at once."""


@dataclass(frozen=True, kw_only=True)
class TextBatch:
    """Some of the rows, as one tensor.

    Attributes:
        numbers: which of the rows they are.
        tokens: ids, padded on the right.
        lengths: tokens of each row without the padding.
    """

    numbers: tuple[int, ...]
    tokens: Int[Tensor, "batch pos"]
    lengths: tuple[int, ...]

    @property
    def real(self) -> Bool[Tensor, "batch pos"]:
        """False at padding."""
        lengths = torch.tensor(self.lengths, device=self.tokens.device)
        return torch.arange(self.tokens.shape[1], device=self.tokens.device) < lengths[:, None]

    @property
    def context(self) -> EditContext:
        """What an edit may know of a pass over the rows as whole prompts."""
        lengths = torch.tensor(self.lengths, device=self.tokens.device)
        return EditContext.of(self.tokens, self.real, lengths)

    @property
    def weights(self) -> Float[Tensor, "batch pos"]:
        """1 at tokens that are predicted, 0 at the first of each row and at padding."""
        weights = self.real.float()
        weights[:, 0] = 0.0
        return weights

    def nats(self, logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, "batch pos-1"]:
        """Surprisal of each token after the first; at padding it means nothing."""
        # The last column predicts nothing. To give it a target and drop its cost takes less memory
        # than to leave it out of the logits, which would copy all others.
        targets = rearrange(self.tokens.roll(-1, 1), "batch pos -> (batch pos)").to(logits.device)
        logits = rearrange(logits, "batch pos d_vocab -> (batch pos) d_vocab")
        # A few positions at a time: a log-softmax of all would be as large as the logits again.
        size = max(1, CHUNK // logits.shape[-1])
        nats = torch.cat(
            [surprisal(*part) for part in zip(logits.split(size), targets.split(size), strict=True)]
        )
        return nats.view(self.tokens.shape)[:, :-1]


class TokenValues:
    """A value for each token of each row, kept batch by batch in one tensor on the CPU.

    The tensor is set aside at once. Small pieces that are kept from pass to pass would lie between
    the large tensors of the passes, and the allocator could not use the holes again: memory would
    grow with the number of texts although nothing large is kept.

    Args:
        rows: whose values they are.
    Raises:
        NotEnoughDataError: a row is empty.
    """

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        if empty := [number for number, row in enumerate(rows) if not len(row)]:
            raise NotEnoughDataError(
                f"Every row needs a token to be read; row {empty[0]} has none. Leave it out."
            )
        self._lengths = [len(row) for row in rows]
        self.rows: list[Tensor] = []

    def put(self, batch: TextBatch, values: Tensor) -> None:
        """Keep a batch's values, `batch pos ...` or, for predicted tokens, `batch pos-1 ...`."""
        missing = batch.tokens.shape[1] - values.shape[1]
        if not self.rows:
            sizes = [length - missing for length in self._lengths]
            flat = torch.empty(sum(sizes), *values.shape[2:], dtype=values.dtype)
            self.rows = list(flat.split(sizes))
        for number, length, row in zip(batch.numbers, batch.lengths, values, strict=True):
            self.rows[number].copy_(row[: length - missing])


def read_texts(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    read: Callable[[TextBatch, Run], None],
    *,
    cache: Names = (),
    logits: bool = True,
    edits: Sequence[Edit] | Callable[[TextBatch], Sequence[Edit]] = (),
    most_values: int = MOST_VALUES,
    stage: str = "reading the texts",
) -> None:
    """Run every row, and call `read` with each batch and its run.

    Args:
        model: any language model.
        rows: ids of each text.
        read: takes from the run what it needs; `TokenValues` or a tensor that was made before keep
            it. Keeping a view of the run would keep all of it.
        cache: points that `read` needs.
        logits: whether it needs logits; a large vocabulary makes them most of the cost.
        edits: of all rows alike, or a function that gives each batch those of its own rows. They
            meet each row as a prompt: position -1 is the row's last token, not padding. Each
            batch is run under those that meet it.
        most_values: see `rows_at_once`.
        stage: what the reader of a progress bar is told.
    Raises:
        ConfigError: an edit of all rows meets no position of any row.
    """
    bound = dict(cache=cache, logits=logits, most_values=most_values)
    announce(model, reading(model, rows, **bound), smaller=FEWER)
    if edits and not callable(edits):
        passes = [batch.context for batch in text_batches(model, rows, **bound)]
        for edit in edits:
            edit.where.check_within(*passes)
    done = 0
    for batch in text_batches(model, rows, **bound):
        report_progress(stage, done, len(rows))
        done += len(batch.numbers)
        own = edits(batch) if callable(edits) else edits
        own = edits_within(own, batch.context) if own else own
        options = dict(edits=own, prompt_lengths=batch.lengths, cache=cache, logits=logits)
        # The run has no name here, so that it is gone before the next one begins.
        read(batch, model.run(batch.tokens, **options))


def reading(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    *,
    times: float = 1,
    cache: Names = (),
    logits: bool = True,
    most_values: int = MOST_VALUES,
) -> Passes:
    """What it costs to read every row, for `interp.core.cost.announce`.

    Args:
        model: that reads them.
        rows: ids of each text.
        times: how often all of them are read.
        cache: points that are cached.
        logits: whether logits are made.
        most_values: see `rows_at_once`.
    """
    tokens, width = sum(map(len, rows)), max(map(len, rows), default=1)
    row = _values(model.cfg, width, _points(model, cache), logits)
    together = min(len(rows), max(1, most_values // row)) * width
    count, own = max(1.0, tokens / max(together, 1)), min(together, tokens)
    return Passes(count=times * count, tokens=own, width=width, logits=own if logits else 0)


def nats_per_token(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    *,
    edits: Sequence[Edit] | Callable[[TextBatch], Sequence[Edit]] = (),
    most_values: int = MOST_VALUES,
) -> list[Float[Tensor, " pos"]]:
    """Surprisal of each token of each row after its first, in nats, on the CPU.

    Args:
        model: any language model.
        rows: ids of each text; of a row of one token nothing is predicted.
        edits: as in `read_texts`.
        most_values: see `rows_at_once`.

    Example:
        >>> nats_per_token(model, [[1, 5, 2], [1, 4]])  # doctest: +SKIP
        [tensor([1.3, 0.2]), tensor([2.1])]
    """
    nats = TokenValues(rows)

    def read(batch: TextBatch, run: Run) -> None:
        nats.put(batch, batch.nats(run.logits))

    read_texts(model, rows, read, edits=edits, most_values=most_values)
    return nats.rows


def text_batches(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    *,
    cache: Names = (),
    logits: bool = True,
    most_values: int = MOST_VALUES,
) -> Iterator[TextBatch]:
    """The rows in padded batches, the shortest first, each within the bound or of one row.

    Args:
        model: that will run them; the tokens are put on its device.
        rows: ids of each text.
        cache: points that will be cached.
        logits: whether logits will be made.
        most_values: see `rows_at_once`.
    """
    points = _points(model, cache)
    numbers: list[int] = []
    for number in sorted(range(len(rows)), key=lambda number: len(rows[number])):
        width = len(rows[number])
        if numbers and (len(numbers) + 1) * _values(model.cfg, width, points, logits) > most_values:
            yield _batch(model, rows, numbers)
            numbers = []
        numbers.append(number)
    if numbers:
        yield _batch(model, rows, numbers)


def rows_at_once(model: LanguageModel, width: int, *, most_values: int = MOST_VALUES) -> int:
    """How many rows of a width one pass may hold: at least one.

    Args:
        model: that will run them.
        width: tokens of a row.
        most_values: bound on the numbers in the largest tensor of the pass, and in all cached
            activations together.
    """
    return max(1, most_values // _values(model.cfg, width, (), logits=True))


def padded(
    rows: Sequence[Sequence[int]], device: torch.device | None = None
) -> Int[Tensor, "batch pos"]:
    """Rows of ids as one tensor, shorter ones padded on the right."""
    width = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)


def encoded_texts(model: LanguageModel, texts: Sequence[str]) -> list[list[int]]:
    """The ids of each text, cut at the model's context.

    Raises:
        NotEnoughDataError: no text, or one of which nothing can be predicted.
    """
    rows = [model.tokenizer.encode(text)[: model.cfg.n_ctx] for text in texts]
    short = next((i for i, row in enumerate(rows) if len(row) < 2), None)
    if not rows or short is not None:
        problem = "none" if not rows else f"text {short} of {len(rows[short])}"
        raise NotEnoughDataError(f"Needs texts of two tokens or more; got {problem}.")
    return rows


def texts_or_stories(
    texts: Sequence[str], world: World | None, count: int, split: str
) -> tuple[str, ...]:
    """The texts that were given, or a world's first stories of a split.

    Raises:
        NotEnoughDataError: neither texts nor world.
    """
    if not texts and world is None:
        raise NotEnoughDataError("Needs texts, or a world that tells stories; got neither.")
    return tuple(texts) or tuple(world.sample(i, split=split).text for i in range(count))


def _batch(
    model: LanguageModel, rows: Sequence[Sequence[int]], numbers: Sequence[int]
) -> TextBatch:
    chosen = [rows[number] for number in numbers]
    return TextBatch(
        numbers=tuple(numbers),
        tokens=padded(chosen, model.device),
        lengths=tuple(map(len, chosen)),
    )


def _points(model: LanguageModel, cache: Names) -> list[str]:
    """Short names of the points, one for each layer."""
    return [short_name(name) for name in resolve_all(cache, model.hook_names)] if cache else []


def _values(cfg: ModelConfig, width: int, points: Sequence[str], logits: bool) -> int:
    """Numbers in the largest tensor that a pass makes of one row, or in all it caches of it."""
    # Attention may be written out (n_heads x width scores a token) even where it is not cached.
    widest = max(cfg.d_mlp, 3 * cfg.n_heads * cfg.d_head, cfg.n_heads * width)
    cached = sum(_values_at(cfg, width, point) for point in points)
    return width * max(widest, cached, cfg.d_vocab if logits else 0)


def _values_at(cfg: ModelConfig, width: int, point: str) -> int:
    """Numbers that a hook point holds for each token of a row."""
    if point in ("pattern", "attn_scores"):
        return cfg.n_heads * width
    if point in ("result", "q_input", "k_input", "v_input"):
        return cfg.n_heads * cfg.d_model
    if point in ("pre", "pre_linear", "post"):
        return cfg.d_mlp
    by_head = point in ("q", "k", "v", "rot_q", "rot_k", "z")
    return cfg.n_heads * cfg.d_head if by_head else cfg.d_model
