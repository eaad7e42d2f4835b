"""What each head does for one answer: how much its loss grows when the head is ablated.

Its question is who matters for one answer of one prompt, fast enough to ask while reading; `heads`
asks what each head is for, over many texts. Both replace a head by its mean in the same way, each
over its own text.

Control: the same answer in untrained models of the same config, and the top token after the same
words in random order: a head that matters there as much is not about this text. Heads that do the
same job hide each other, so a change near zero is no proof of uselessness.

Units: nats of loss, ablated - clean: a head that helps the answer is above zero. n = one prompt, so
there is no interval.

    interp run head_ablation
        --prompt "It is a sunny morning. Anna is in the garden. Where is Anna?" --csv ablation.csv
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from einops import rearrange, repeat
from jaxtyping import Float, Int
from torch import Tensor

from interp.analyses.attention_heads._head_ablation import later_sums
from interp.core.cost import Passes, announce
from interp.core.display import percent
from interp.core.edits import Ablate
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel, Prompt
from interp.core.surprisal import surprisal
from interp.methods.batches import rows_at_once
from interp.methods.prompts import answer_token, displayed, one_row
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result

MOST_VALUES = 2**26
Kind = Literal["mean", "zero"]


@dataclass(frozen=True, kw_only=True)
class HeadAblation(Result):
    """How much worse the answer is told without each head; above zero = the head helps it.

    Attributes:
        tokens: the prompt's tokens, for display.
        answer: the next token that is followed, for display.
        log_prob_nats: log-probability of the answer, with every head in place.
        change: change of the answer's loss in nats without each head, ablated - clean.
        untrained: change of the same answer's loss in untrained models of the same config, one a
            seed.
        shuffled: the change of the top token after the prompt's words in random order.
        kind: of ablation: `mean` or `zero`.
    """

    tokens: tuple[str, ...]
    answer: str
    log_prob_nats: float
    change: Float[Tensor, "layer head"]
    untrained: Float[Tensor, "seed layer head"]
    shuffled: Float[Tensor, "draw layer head"]
    kind: str
    columns: ClassVar = {
        "loss_change_nats": "change",
        "untrained": "untrained",
        "shuffled": "shuffled",
    }

    @property
    def most_helpful(self) -> tuple[int, int]:
        """Layer and head whose absence costs the answer most."""
        return divmod(int(self.change.nan_to_num(-math.inf).argmax()), self.change.shape[1])

    @property
    def most_harmful(self) -> tuple[int, int]:
        """Layer and head whose absence helps the answer most."""
        return divmod(int(self.change.nan_to_num(math.inf).argmin()), self.change.shape[1])

    def finding(self) -> str:
        clean, (layer, head), harmful = self.log_prob_nats, self.most_helpful, self.most_harmful
        without = clean - float(self.change[layer, head])
        controls = {"untrained": self.untrained, "shuffled words": self.shuffled[:, layer, head]}
        beside = ", ".join(
            f"{name} {_signed(values.min())} to {_signed(values.max())}"
            for name, values in controls.items()
            if values.numel()
        )
        hurts = (
            f" Head {harmful[0]}.{harmful[1]} hurts it most: {_signed(self.change[harmful])} nats "
            "without it."
            if _signed(self.change[harmful]).startswith("-")
            else ""
        )
        if not _signed(self.change[layer, head]).startswith("+"):
            return f"Head ablation: no head helps the answer {self.answer!r}.{hurts}"
        return (
            f"Head ablation: head {layer}.{head} helps most. Without it the probability of "
            f"{self.answer!r} goes from {percent(math.exp(clean))} to "
            f"{percent(math.exp(without))}, {_signed(self.change[layer, head])} nats of loss "
            f"({beside or 'no control'}).{hurts}"
        )

    def caption(self) -> str:
        return (
            f"{self.finding()} Each head's output is {self.kind}-ablated in turn, at every "
            "position but the first; above zero, the head helps the answer. Controls: the same "
            f"answer in {len(self.untrained)} untrained models of the same config (any of their "
            f"heads), and the top token after the same words in random order ({len(self.shuffled)} "
            f"orders). n = one prompt of {len(self.tokens)} tokens, so no interval: the head that "
            f"is named is the largest of {self.change.numel()}, and no test says that it is more "
            "than that. Heads that do the same job hide each other here."
        )


def head_ablation(
    model: LanguageModel,
    prompt: Prompt,
    *,
    answer: str = "",
    kind: Kind = "mean",
    untrained: int = 2,
    shuffles: int = 4,
    seed: int = 0,
) -> HeadAblation:
    """Take each head away in turn, and see how much worse the next token is told.

    Args:
        model: any language model.
        prompt: one text, or the ids of one row.
        answer: the next token to follow, which must be one token; the space before a word may be
            left out; empty = the most probable.
        kind: of ablation: `mean` puts the mean of the head's output over the prompt in its place,
            `zero` nothing. The first position is never edited nor in the mean: many heads rest on
            it (an attention sink), so what they write there is unlike the rest.
        untrained: untrained models of the same config to compare with, where they can be made.
        shuffles: random orders of the prompt's words to compare with.
        seed: of the first untrained model and of the orders.
    Returns:
        HeadAblation: change of the answer's loss "layer head", in nats.
    Raises:
        TokenError: the prompt cannot be read, or the answer is not one token.
        NotEnoughDataError: the prompt has one token only.
        ConfigError: an unknown kind of ablation.
    Example:
        >>> head_ablation(model, "It is a rainy night. Ben is in the").change  # doctest: +SKIP
    Source:
        Michel et al. 2019, "Are Sixteen Heads Really Better than One?", for taking heads away one
        by one. Theirs are zeroed and measured on a test set; ours on one prompt, for one answer.
    """
    call = dict(locals())
    tokens = one_row(model, prompt)
    _check(tokens, kind)
    named = torch.tensor(
        [answer_token(model.tokenizer, tokens[0].tolist(), answer)] if answer else [],
        dtype=torch.long,
    )
    _announce(model, tokens.shape[1], untrained, shuffles)
    share = 1 / (1 + untrained + shuffles)
    with progress_range(0.0, share):
        answers, clean, change = _changes(model, tokens, named, kind)
    rows, shuffled = _orders(tokens, shuffles, seed), change[:0]
    if len(rows):
        with progress_range(share, share * (1 + shuffles), "shuffled words, "):
            shuffled = _changes(model, rows, named[:0], kind)[2]
    untrained_changes = []
    for number, twin in enumerate(untrained_twins(model, untrained, seed)):
        begins = share * (1 + shuffles + number)
        with progress_range(begins, begins + share, f"untrained model {number + 1}, "):
            untrained_changes.append(_changes(twin, tokens, answers, kind)[2][0])
    return HeadAblation(
        tokens=displayed(model.tokenizer, tokens[0].tolist()),
        answer=displayed(model.tokenizer, answers.tolist())[0],
        log_prob_nats=-float(clean[0]),
        change=change[0],
        untrained=torch.stack(untrained_changes) if untrained_changes else change[:0],
        shuffled=shuffled,
        kind=kind,
        provenance=provenance(head_ablation, call, hooks=("z",)),
    )


def _announce(model: LanguageModel, width: int, untrained: int, shuffles: int) -> None:
    rows = model.cfg.n_layers * model.cfg.n_heads * (1 + untrained + shuffles)
    together = min(rows, rows_at_once(model, width, most_values=MOST_VALUES))
    tokens = together * width
    announce(
        model,
        Passes(count=rows / together, tokens=tokens, width=width, logits=tokens),
        copies=min(untrained, 2),
        draws=untrained,
        smaller="Give a shorter prompt, or fewer controls (untrained=0, shuffles=1).",
    )


def _signed(value: Float[Tensor, ""]) -> str:
    """Two digits; what rounds to zero has no sign."""
    text = f"{value:+.2f}"
    return "0.00" if text[1:] == "0.00" else text


def _check(tokens: Int[Tensor, "1 pos"], kind: str) -> None:
    if kind not in ("mean", "zero"):
        raise ConfigError(f"head_ablation needs kind 'mean' or 'zero'; got {kind!r}.")
    if tokens.shape[1] < 2:
        raise NotEnoughDataError(
            "Heads are never ablated at the first position, so head_ablation needs a prompt of "
            "two tokens; got one. Write a longer one."
        )


def _orders(tokens: Int[Tensor, "1 pos"], count: int, seed: int) -> Int[Tensor, "draw pos"]:
    """The prompt with everything after its first token in random order."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(count, tokens.shape[1] - 1, generator=generator).argsort(1) + 1
    return tokens[0][torch.cat([order.new_zeros(count, 1), order], 1)]


def _changes(
    model: LanguageModel, rows: Int[Tensor, "row pos"], answers: Int[Tensor, "*row"], kind: Kind
) -> tuple[Int[Tensor, " row"], Float[Tensor, " row"], Float[Tensor, "row layer head"]]:
    """The answers (the most probable where none is given), their loss, and its changes."""
    run = model.run(rows, cache=["z"])
    answers = answers if len(answers) else run.logits[:, -1].argmax(-1).cpu()
    clean = _loss(run.logits, answers)
    change = clean.new_zeros(len(rows), model.cfg.n_layers, model.cfg.n_heads)
    # A pass has all rows once for each of its heads.
    together = max(1, rows_at_once(model, rows.shape[1], most_values=MOST_VALUES) // len(rows))
    for layer in range(model.cfg.n_layers):
        report_progress(f"without the heads of layer {layer}", layer, model.cfg.n_layers)
        for heads in torch.arange(model.cfg.n_heads).split(together):
            value = _without(run["z", layer], heads, kind)
            edit = Ablate(hook=("z", layer), kind="resample", value=value)
            copies = repeat(rows, "row pos -> (head row) pos", head=len(heads))
            logits = model.run(copies, edits=[edit]).logits
            loss = _loss(logits, repeat(answers, "row -> (head row)", head=len(heads)))
            by_head = rearrange(loss, "(head row) -> row head", head=len(heads))
            change[:, layer, heads] = by_head - clean[:, None]
    return answers, clean, change


def _without(
    z: Float[Tensor, "row pos head d_head"], heads: Int[Tensor, " chosen"], kind: Kind
) -> Float[Tensor, "chosen_row pos head d_head"]:
    """The outputs with one of the heads replaced, all rows for the first head first."""
    copies = repeat(z, "row pos head d_head -> chosen row pos head d_head", chosen=len(heads))
    copies = copies.clone()  # until here, one memory for all
    sums, counts = later_sums(z, torch.ones(z.shape[:2], dtype=torch.bool, device=z.device))
    means = sums / counts[:, None, None]
    for number, head in enumerate(heads.tolist()):
        copies[number, :, :, head] = means[:, None, head] if kind == "mean" else 0.0
    return rearrange(copies, "chosen row pos head d_head -> (chosen row) pos head d_head")


def _loss(
    logits: Float[Tensor, "row pos d_vocab"], answers: Int[Tensor, " row"]
) -> Float[Tensor, " row"]:
    """Nats of each row's answer as its next token."""
    return surprisal(logits[:, -1].cpu(), answers)
