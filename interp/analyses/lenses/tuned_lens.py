"""An affine map a layer that carries its residual stream to where the final norm can read it.

A tuned lens learns what the rest of the model does on average, so it says what can be read from a
layer, not what the model uses. It refuses any other weights than those it was trained on.

Control: the raw lens on the same held-out documents (the gain is paired by document), and one
distribution for every position, the mean of the final ones.

Units: KL(final || row) in nats per token. n = held-out documents, which are also resampled.

    interp run tuned_lens --world stories --out lens
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.cost import Passes, Work, announce_work
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.positions import numbers_within
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import Interval, mean_interval, plain
from interp.methods.data.examples import sample_stories
from interp.methods.distributions import kl_divergence
from interp.methods.unembedding import Translate, check_readout, residuals
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import World

CHUNK, MOST_LOGITS = 256, 2**26
"""Positions, and logits of all rows, that are read at once."""
LEAST_BATCH, LEAST_TOKENS, LEAST_STEPS = 64, 2000, 50
"""For a first look: positions a step, positions in all, steps."""


@dataclass(frozen=True, kw_only=True)
class TunedLens(Result):
    """Translators h -> h + W h + b for the embedding and each block but the last, and their worth.

    Where layers were asked for, it holds the rows of their streams only.

    Attributes:
        weight: W of each row; 0 = the raw logit lens.
        bias: b of each row.
        kl_tuned: KL(final || row) in nats on held-out documents, for each row.
        kl_raw: KL(final || row) of the raw logit lens on the same documents: the control.
        gain: kl_raw - kl_tuned, paired by document; positive = the translator helps.
        kl_unigram: KL from the final distribution to the mean of the training documents' final
            distributions: a lens that ignores the stream altogether.
        loss_nats: training KL, mean over rows, at each step.
        n_train: training positions.
        only_layers: the layers that were asked for; empty = the embedding and all but the last.
    """

    weight: Float[Tensor, "layer d_model d_model"]
    bias: Float[Tensor, "layer d_model"]
    kl_tuned: tuple[Interval, ...]
    kl_raw: tuple[Interval, ...]
    gain: tuple[Interval, ...]
    kl_unigram: Interval
    loss_nats: Float[Tensor, " step"]
    n_train: int
    only_layers: tuple[int, ...] = ()
    columns: ClassVar = {"tuned_kl_nats": "kl_tuned", "raw_kl_nats": "kl_raw", "gain_nats": "gain"}
    axes: ClassVar = {"kl_tuned": "layer", "kl_raw": "layer", "gain": "layer"}
    labels: ClassVar = {"layer": ("layer", "streams")}

    @property
    def streams(self) -> tuple[int, ...]:
        """Which stream each row reads: 0 = the embedding, 1 = after layer 0, …"""
        return tuple(n + 1 for n in self.only_layers) or tuple(range(len(self.gain)))

    @property
    def row_names(self) -> tuple[str, ...]:
        """`embedding`, `after layer 0`, …"""
        return tuple(f"after layer {n - 1}" if n else "embedding" for n in self.streams)

    def translator(self, model: LanguageModel) -> Translate:
        """The function that moves a row's stream; the last row is left as it is.

        Raises:
            ModelMismatchError: the model's weights are not those it was tuned on.
            ConfigError: it was tuned for some layers only, and the others could not be compared.
        """
        if self.only_layers:
            raise ConfigError(
                "A lens that is read along all layers needs a map for each; this one has those of "
                f"{', '.join(map(str, self.only_layers))}. Tune one without layers=."
            )
        remedy = "Tune one on this model with interp.tuned_lens(model, texts)."
        need = "A tuned lens needs the weights it was tuned on"
        self.provenance.refuse_other(model, need, remedy)

        def translate(layer: int, resid: Tensor) -> Tensor:
            if layer >= len(self.weight):
                return resid
            weight, bias = self.weight[layer].to(resid), self.bias[layer].to(resid)
            return resid + resid @ weight.T + bias

        return translate

    def finding(self) -> str:
        row = max(range(len(self.gain)), key=lambda i: self.gain[i].value)
        name = "after the embedding" if self.streams[row] == 0 else self.row_names[row]
        return (
            f"Tuned lens: at best, {name}, {plain(self.kl_tuned[row])} nats from the final "
            f"distribution against {plain(self.kl_raw[row])} for the raw lens "
            f"({self.kl_tuned[row].n} held-out documents)."
        )

    def caption(self) -> str:
        return (
            f"{self.finding()} KL(final || row) in nats on held-out documents; controls: the raw "
            "logit lens, and one distribution for every position (the mean final distribution), "
            f"{plain(self.kl_unigram)}. n = {self.kl_raw[0].n} documents, 95 % bootstrap intervals "
            f"over documents, not corrected for {len(self.gain)} layers, of which the one with the "
            f"largest gain is named; trained on {self.n_train} positions of other documents. The "
            "translator learns what the rest of the model would do on average, so a low KL says "
            "what can be read there, not what is used."
        )


def tuned_lens(
    model: LanguageModel,
    texts: Sequence[str] = (),
    *,
    layers: Sequence[int] = (),
    world: World | None = None,
    n_stories: int = 100,
    held_out: Sequence[str] = (),
    steps: int = 300,
    batch: int = 512,
    learning_rate: float = 1e-3,
    max_tokens: int = 50_000,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> TunedLens:
    """Train the translators of a tuned lens, and measure them on documents held out.

    Args:
        model: any language model.
        texts: documents to learn from, longer ones cut at the context. Give these or `world`.
        layers: learn for the streams after these layers only, -2 = before the last; empty = for the
            embedding's too and all but the last layer's. `logit_lens` takes a lens of all.
        world: whose stories to learn from, of the split that models are trained on.
        n_stories: how many of the world's stories.
        held_out: documents to measure on; without them, a fifth of `texts` (drawn by `seed`).
        steps: updates of Adam, with a linear decay to 0.
        batch: positions an update.
        learning_rate: of Adam, for streams scaled to unit root mean square.
        max_tokens: most positions that are kept in memory for training.
        tolerance: largest gap in nats between the last row and the model's own log-probabilities.
        seed: of the split, the batches and the resampling.
    Returns:
        TunedLens: save it with `.save(folder)`, give it to `logit_lens(..., lens=)`.
    Raises:
        ConfigError: both texts and a world, or neither; a layer that the model lacks, or its last.
        CostError: it would take long or much memory; says which arguments would not.
        NotEnoughDataError: fewer than five documents, or fewer than two held out.
        ReadoutError: the last row is not the model's own output.
    Example:
        >>> lens = tuned_lens(model, stories)  # doctest: +SKIP
        >>> logit_lens(model, "It is a rainy night. Ben is in the", lens=lens)  # doctest: +SKIP
    Source:
        Belrose et al. 2023, "Eliciting Latent Predictions from Transformers with the Tuned Lens".
        Theirs is trained with SGD and Nesterov momentum, ours with Adam on scaled streams.
    """
    call = dict(locals())
    own = _inner_layers(model, layers)
    streams = tuple(n + 1 for n in own) or tuple(range(model.cfg.n_layers))
    sources = _texts(texts, world, n_stories, seed)
    encoded = (
        [model.tokenizer.encode(text)[: model.cfg.n_ctx] for text in part]
        for part in (sources, held_out)
    )
    train_rows, test_rows = split_documents(*encoded, seed)
    _announce(model, train_rows, test_rows, max_tokens, streams, steps, batch)
    with progress_range(0.0, 0.1):
        train, _ = _harvest(model, train_rows, streams, max_tokens, tolerance)
        test, owners = _harvest(model, test_rows, streams, max_tokens, tolerance)
    with progress_range(0.1, 0.9):
        weight, bias, losses = _fit(model, train, steps, batch, learning_rate, seed)
    report_progress("the held-out documents", 0.9, 1)
    maps = ((weight, bias), (weight * 0, bias * 0))
    tuned, raw = (_held_out_kl(model, test, *affine) for affine in maps)
    rows = range(len(weight))
    return TunedLens(
        weight=weight,
        bias=bias,
        kl_tuned=tuple(mean_interval(tuned[row], owners, seed) for row in rows),
        kl_raw=tuple(mean_interval(raw[row], owners, seed) for row in rows),
        gain=tuple(mean_interval(raw[row] - tuned[row], owners, seed) for row in rows),
        kl_unigram=mean_interval(_unigram_kl(model, train, test), owners, seed),
        loss_nats=losses,
        n_train=train.shape[1],
        only_layers=own,
        provenance=provenance(tuned_lens, call, hooks=("resid_pre 0", "resid_post")),
    )


def _inner_layers(model: LanguageModel, layers: Sequence[int]) -> tuple[int, ...]:
    last = model.cfg.n_layers - 1
    own = numbers_within(layers, "layers", last + 1)
    if last in own:
        raise ConfigError(
            f"layers must be among 0-{last - 1}; got {last}, the last one, whose stream the model "
            "itself reads: there is nothing to learn."
        )
    return own


def _announce(
    model: LanguageModel,
    train: list[list[int]],
    test: list[list[int]],
    max_tokens: int,
    streams: tuple[int, ...],
    steps: int,
    batch: int,
) -> None:
    cfg = model.cfg
    longest = max(map(len, train + test))
    # A row's logits, their log-softmax and its gradient; a step takes them forward and backward.
    reading_out = cfg.d_vocab * (2 * cfg.d_model + 100) + 2 * cfg.d_model**2
    inner = tuple(n - 1 for n in streams if n)

    def work(batch: int, layers: Sequence[int], steps: int, max_tokens: int) -> Work:
        learned, held_out = (min(max_tokens, sum(map(len, rows))) for rows in (train, test))
        # The embedding's stream has no number as a layer: it is the first to be left out.
        rows = len(streams) if layers == inner else len(layers)
        finals = -(-rows // _rows_at_once(model, batch))  # readings of the last row, each step
        return Work(
            passes=(
                Passes(count=(learned + held_out) / longest, tokens=longest, logits=2 * longest),
            ),
            operations=((3 * rows + finals) * steps * batch + 2 * (rows + 1) * held_out)
            * reading_out,
            kept=(rows + 1) * cfg.d_model * (learned + held_out + 5 * cfg.d_model)
            + 4 * max(MOST_LOGITS, batch * cfg.d_vocab),
        )

    announce_work(
        model,
        work,
        {"batch": batch, "layers": inner, "steps": steps, "max_tokens": max_tokens},
        {
            "batch": range(batch - 1, LEAST_BATCH - 1, -1),
            "max_tokens": range(max_tokens - 1, LEAST_TOKENS - 1, -1),
            "steps": range(steps - 1, LEAST_STEPS - 1, -1),
            "layers": range(len(inner) - 1, 0, -1),  # last: the logit lens takes only a whole one
        },
        smaller="Fewer layers, steps and positions take less (layers=, steps=, batch=, "
        "max_tokens=); a batch of 64 teaches a lens for a look.",
    )


def _rows_at_once(model: LanguageModel, batch: int) -> int:
    """As many rows as the bound on their logits allows: a small model's all."""
    return max(1, MOST_LOGITS // (batch * model.cfg.d_vocab))


def _texts(texts: Sequence[str], world: World | None, n_stories: int, seed: int) -> Sequence[str]:
    """The documents: given, or a world's stories."""
    if (world is None) != bool(texts):
        got = "both" if texts else "neither"
        raise ConfigError(f"A tuned lens needs texts or a world to learn from; got {got}.")
    if world is None:
        return texts
    stories = sample_stories(world, n_stories, seed=seed, level="full", split="train")
    return [story.text for story in stories]


def _fit(
    model: LanguageModel, train: Tensor, steps: int, batch: int, learning_rate: float, seed: int
) -> tuple[Tensor, Tensor, Float[Tensor, " step"]]:
    """W and b a row, and the training KL; rows learn side by side, each from its own KL."""
    rows, n_positions, d_model = train.shape
    # Adam moves a parameter by about the learning rate a step, whatever its gradient. W has no
    # unit, but b has that of the stream, which grows from row to row; so b is learned in shares of
    # its row's root mean square, and one learning rate fits all rows.
    scale = train[:-1].pow(2).mean((1, 2), keepdim=True).sqrt().clamp_min(1e-6)
    weight = torch.zeros(rows - 1, d_model, d_model, requires_grad=True, device=scale.device)
    bias = torch.zeros(rows - 1, 1, d_model, requires_grad=True, device=scale.device)
    adam = torch.optim.Adam([weight, bias], lr=learning_rate)
    decay = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, total_iters=max(steps, 1))
    generator = torch.Generator().manual_seed(seed)
    losses = torch.zeros(steps)
    size = _rows_at_once(model, batch)
    together = [slice(row, min(row + size, rows - 1)) for row in range(0, rows - 1, size)]
    for step in range(steps):
        report_progress("training", step, steps)
        picks = torch.randint(0, n_positions, (batch,), generator=generator)
        resid = train[:, picks.to(scale.device)]
        weight.grad, bias.grad = torch.empty_like(weight), torch.empty_like(bias)
        for own in together:
            # Rows share no parameters, so the sum trains each as if it were alone; and of these two
            # only, since the model's own weights are to collect no gradient.
            part = (weight[own].detach().requires_grad_(), bias[own].detach().requires_grad_())
            kl = _kl(model, resid[own], resid[-1], part[0], part[1] * scale[own]).mean(-1)
            weight.grad[own], bias.grad[own] = torch.autograd.grad(kl.sum(), part)
            losses[step] += kl.detach().sum().cpu() / (rows - 1)
        adam.step()
        decay.step()
    return weight.detach(), (bias * scale).detach()[:, 0], losses


def _kl(
    model: LanguageModel,
    resid: Float[Tensor, "layer pos d_model"],
    last: Float[Tensor, "pos d_model"],
    weight: Float[Tensor, "layer d_model d_model"],
    bias: Float[Tensor, "layer 1 d_model"],
) -> Float[Tensor, "layer pos"]:
    """KL(final || row) of some rows, after their translators, from the last row's distribution."""
    moved = resid + resid @ weight.mT + bias
    return kl_divergence(_log_probs(model, last).detach(), _log_probs(model, moved))


def _log_probs(
    model: LanguageModel, resid: Float[Tensor, "*row pos d_model"]
) -> Float[Tensor, "*row pos d_vocab"]:
    return model.unembed(resid).float().log_softmax(-1)


@torch.no_grad()
def _held_out_kl(
    model: LanguageModel,
    streams: Float[Tensor, "layer pos d_model"],
    weight: Float[Tensor, "layer d_model d_model"],
    bias: Float[Tensor, "layer d_model"],
) -> Float[Tensor, "layer pos"]:
    size = max(1, min(CHUNK, MOST_LOGITS // (len(weight) * model.cfg.d_vocab)))
    chunks = streams.split(size, dim=1)
    return torch.cat(
        [_kl(model, part[:-1], part[-1], weight, bias[:, None]).cpu() for part in chunks], -1
    )


@torch.no_grad()
def _unigram_kl(model: LanguageModel, train: Tensor, test: Tensor) -> Float[Tensor, " pos"]:
    chunks = train[-1].split(CHUNK)
    mean = sum(model.unembed(resid).float().softmax(-1).sum(0) for resid in chunks)
    log_mean = (mean / mean.sum()).log()
    tests = test[-1].split(CHUNK)
    return torch.cat([kl_divergence(_log_probs(model, resid), log_mean).cpu() for resid in tests])


def split_documents(
    rows: list[list[int]], held_out: list[list[int]], seed: int
) -> tuple[list[list[int]], list[list[int]]]:
    """Training and held-out documents; without the latter, a fifth of the former, drawn by `seed`.

    Raises:
        NotEnoughDataError: fewer than five documents, or fewer than two held out.
    """
    if len(rows) < 5 or len(held_out) == 1:
        raise NotEnoughDataError(
            "Five documents or more are needed, and two or more held out, to measure on text that "
            f"was not learned from; got {len(rows)} and {len(held_out)}. Give more texts."
        )
    if held_out:
        return rows, held_out
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    count = max(2, len(rows) // 5)
    return [rows[i] for i in order[count:]], [rows[i] for i in order[:count]]


@torch.no_grad()
def _harvest(
    model: LanguageModel,
    rows: list[list[int]],
    kept: Sequence[int],
    max_tokens: int,
    tolerance: float,
) -> tuple[Float[Tensor, "layer pos d_model"], list[int]]:
    """Residual streams of the documents, until `max_tokens` positions are reached.

    Those of `kept` (0 = embedding) and the final one; and the number of each position's document.

    Raises:
        ReadoutError: the last stream does not reproduce the model's logits.
    """
    streams, owners, n_tokens = [], [], 0
    for number, row in enumerate(rows):
        # Two documents in any case: an interval over documents needs them.
        if n_tokens >= max_tokens and number >= 2:
            break
        run, resid = residuals(model, torch.tensor([row]))
        check_readout(model, resid[-1], run.logits, tolerance)
        streams.append(resid[[*kept, -1], 0].float())  # in which the translators are learned
        owners += [number] * len(row)
        n_tokens += len(row)
    return torch.cat(streams, 1), owners
