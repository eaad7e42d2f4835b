"""One prompt continued twice with the same random numbers: as the model is, and with edits.

Its question is where a text turns: any edits (not only those that add a vector), one pair of texts,
every token of both with its alternatives. How often that happens is what `steering_metrics` and
`steering` measure.

Control: the base text itself. Without edits, or at dose 0, both texts are the same tokens.

Units: nats; KL and log-probabilities before temperature and cut-offs.

    interp run continuation --prompt "It is a sunny morning. Anna is" --edits edits.json
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.cost import Passes, announce
from interp.core.edits import Edit, EditContext, edits_within
from interp.core.errors import TokenError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel
from interp.methods.distributions import kl_divergence
from interp.methods.prompts import displayed, one_row
from interp.results.provenance import provenance
from interp.results.result import Result

Candidates = tuple[tuple[tuple[str, float], ...], ...]
TOP = 4


@dataclass(frozen=True, kw_only=True)
class Continuation(Result):
    """Two texts of one prompt, and at each token of both what the edits changed.

    Attributes:
        base_text: what follows in the model as it is.
        steered_text: what follows under the edits, drawn with the same random numbers.
        base_tokens: tokens of the base text, for display.
        steered_tokens: tokens of the steered text, for display.
        parted: number of the first token in which they differ; -1 when they are the same.
        kl_nats: KL(edited || unedited) before each steered token, after the steered text so far.
        base_kl_nats: KL(edited || unedited) before each base token, after the base text so far.
        log_prob_nats: log-probability of each steered token under the unedited model.
        steered_log_prob_nats: log-probability of each steered token under the edits.
        base_log_prob_nats: log-probability of each base token under the unedited model.
        before: the most probable tokens before each steered token, unedited, with probabilities.
        after: the most probable tokens before each steered token, edited, with probabilities.
        idle_edits: the edits that met no position of prompt and steered text, in words.
    """

    base_text: str
    steered_text: str
    base_tokens: tuple[str, ...]
    steered_tokens: tuple[str, ...]
    parted: int
    kl_nats: Float[Tensor, " pos"]
    base_kl_nats: Float[Tensor, " base_pos"]
    log_prob_nats: Float[Tensor, " pos"]
    steered_log_prob_nats: Float[Tensor, " pos"]
    base_log_prob_nats: Float[Tensor, " base_pos"]
    before: Candidates
    after: Candidates
    idle_edits: tuple[str, ...] = ()
    labels: ClassVar = {
        "token": ("pos", "steered_tokens"),
        "base_token": ("base_pos", "base_tokens"),
    }

    @property
    def same(self) -> bool:
        """Whether the edits changed no token."""
        return self.parted < 0

    @property
    def cost_nats(self) -> float:
        """Loss a token of the steered text less that of the base text, both unedited."""
        return float(self.base_log_prob_nats.mean() - self.log_prob_nats.mean())

    def finding(self) -> str:
        return self._comparison() + "".join(
            f"; no position of prompt and text met this edit, so it changed nothing: {edit}"
            for edit in self.idle_edits
        )

    def _comparison(self) -> str:
        n = len(self.steered_tokens)
        if self.same:
            return f"Both texts are the same {n} tokens (mean KL {self.kl_nats.mean():.3f} nats)"
        return (
            f"The texts part at token {self.parted + 1} of {n}; mean KL "
            f"{self.kl_nats.mean():.3f} nats a token; under the unedited model the steered text "
            f"costs {self.cost_nats:+.2f} nats a token compared with the base text"
        )

    def caption(self) -> str:
        return (
            f"{self.finding()}. KL(edited || unedited) before each token of the steered text, both "
            "models having read the same steered text so far. Control: the base text, written by "
            "the unedited model with the same random numbers. n = 1 pair of texts: how often "
            "this happens, compared with random directions, is what steering_metrics measures."
        )


def continuation(
    model: LanguageModel,
    prompt: str,
    edits: Sequence[Edit] = (),
    *,
    max_new_tokens: int = 60,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
) -> Continuation:
    """Continue a prompt with and without edits, and compare the two token by token.

    Args:
        model: to steer.
        prompt: to continue.
        edits: interventions on the second text.
        max_new_tokens: of each text.
        temperature: of the sampling; 0 is greedy.
        top_k: draw from the k most probable tokens only.
        seed: of the random numbers, which both texts share.
    Returns:
        Continuation: both texts, where they part, KL and log-probabilities of every token.
    Raises:
        TokenError: the prompt cannot be encoded, or leaves no room in the context.
    Example:
        >>> happy = interp.concept(model, "happy", world=world)  # doctest: +SKIP
        >>> print(continuation(model, "It is a rainy night.", [happy.add(0.5)]))  # doctest: +SKIP
    Source:
        Turner et al. 2023 (activation addition). Differs: both texts share their random numbers,
        so that what differs is due to the edits.
    """
    call = dict(locals())
    edits = list(edits)
    prompt_ids = one_row(model, prompt)[0].tolist()
    options = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_k": top_k}
    new = min(max_new_tokens, model.cfg.n_ctx)
    announce(
        model,
        Passes(count=2 * new, tokens=1, width=len(prompt_ids) + new, logits=1),
        Passes(count=4, tokens=len(prompt_ids) + new, logits=len(prompt_ids) + new),
        smaller="Write fewer tokens (max_new_tokens=).",
    )
    report_progress("writing without the edits", 0, 3)
    base = model.generate(prompt, **options, seed=seed, top=0)
    report_progress("writing with the edits", 1, 3)
    steered = model.generate(prompt, edits=edits, **options, seed=seed, top=0)
    if not base.tokens[0] or not steered.tokens[0]:
        raise TokenError(
            f"A continuation needs room for one more token or more; got a prompt of "
            f"{len(prompt_ids)} tokens and {max_new_tokens} to write in a context of "
            f"{model.cfg.n_ctx}. Give a shorter prompt."
        )
    report_progress("comparing", 2, 3)
    base_kl, base_plain, *_ = _compare(model, prompt_ids, base.tokens[0], edits)
    kl, plain, edited, before, after = _compare(model, prompt_ids, steered.tokens[0], edits)
    return Continuation(
        base_text=base.text,
        steered_text=steered.text,
        base_tokens=displayed(model.tokenizer, base.tokens[0]),
        steered_tokens=displayed(model.tokenizer, steered.tokens[0]),
        parted=_parted(base.tokens[0], steered.tokens[0]),
        kl_nats=kl,
        base_kl_nats=base_kl,
        log_prob_nats=plain,
        steered_log_prob_nats=edited,
        base_log_prob_nats=base_plain,
        before=before,
        after=after,
        idle_edits=tuple(map(str, steered.idle_edits)),
        provenance=provenance(
            continuation, call, hooks=tuple(dict.fromkeys(str(edit.hook) for edit in edits))
        ),
    )


@torch.no_grad()
def _compare(
    model: LanguageModel, prompt: list[int], generated: list[int], edits: Sequence[Edit]
) -> tuple[Tensor, Tensor, Tensor, Candidates, Candidates]:
    """KL(edited || unedited), and log-probabilities and candidates without and with the edits.

    Before each written token, both models fed the same text.
    """
    tokens = torch.tensor([prompt + generated], device=model.device)
    # An edit may act on generated positions only, so the run must know where the prompt ends.
    lengths = [len(prompt)]
    # Both texts are compared, and an edit may wait for what only one of them has.
    edits = edits_within(edits, EditContext.of(tokens, prompt_lengths=torch.tensor(lengths)))
    both = [
        model.run(tokens, prompt_lengths=lengths, edits=each).logits[0, len(prompt) - 1 : -1]
        for each in ((), edits)
    ]
    plain, edited = (logits.double().cpu().log_softmax(-1) for logits in both)
    written = torch.tensor(generated)[:, None]
    kl = kl_divergence(edited, plain).clamp_min(0.0)
    log_probs = (each.gather(-1, written)[:, 0] for each in (plain, edited))
    return kl, *log_probs, _best(model, plain), _best(model, edited)


def _best(model: LanguageModel, log_probs: Float[Tensor, "pos d_vocab"]) -> Candidates:
    chances, ids = log_probs.exp().topk(min(TOP, log_probs.shape[-1]))
    return tuple(
        tuple(zip(displayed(model.tokenizer, row), map(float, chance), strict=True))
        for row, chance in zip(ids.tolist(), chances.tolist(), strict=True)
    )


def _parted(base: Sequence[int], steered: Sequence[int]) -> int:
    if list(base) == list(steered):
        return -1
    pairs = zip(base, steered, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(base), len(steered)))
