"""One next token from the letters to the draw: every number on the way.

Control: a uniform guess, for probability and entropy. What the embedding, each attention and each
MLP wrote at the last position must sum to the score: the gap is printed, and one above `tolerance`
is refused.

Units: probabilities in [0, 1], entropy in bits, scores in nats: a score is a logit less the mean
logit of the vocabulary, because softmax does not see what is added to all. Contributions are direct
only: what a part does through later ones is not in them. n = 1 prediction, so no interval.

    interp run prediction --prompt "It is a sunny morning." --temperature 0.8 --html prediction.html
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.analyses.lenses._direct_logit_attribution import attribute_logits, attribution_points
from interp.core.cost import Passes, announce
from interp.core.display import percent
from interp.core.edits import Edit
from interp.core.errors import ConfigError, TokenError
from interp.core.progress import report_progress
from interp.core.protocols import Generation, LanguageModel, Prompt, Run
from interp.methods.distributions import entropy_bits
from interp.methods.prompts import displayed, one_row
from interp.results.provenance import provenance
from interp.results.result import Result


@dataclass(frozen=True, kw_only=True)
class Prediction(Result):
    """How a model came by its next token.

    Attributes:
        tokens: all that was read, for display.
        ids: the ids of `tokens`.
        n_written: how many of `tokens`, at the end, were chosen before.
        vector: what the first block gets at the last position.
        embed_norms: length of each token's vector as the first block gets it.
        resid_norms: length of the residual stream; row 0 = embedding, then after each layer.
        attn_norms: length of what each layer's attention adds.
        mlp_norms: length of what each layer's MLP adds; 0 where a model has none.
        attention: where the last position looks, mean over the heads of a layer.
        guesses: best token of each row of the last position's stream, read as the lens does.
        guess_probabilities: probabilities of `guesses`.
        chosen_probabilities: probability of the chosen token in each row.
        candidates: the best tokens at temperature 1, and the chosen one, for display.
        candidate_ids: the ids of `candidates`.
        scores: logits of the candidates less the mean over the vocabulary, which softmax does not
            see.
        probabilities: probabilities of the candidates at temperature 1.
        tempered_probabilities: probabilities of the candidates at the temperature, before the
            cut-offs.
        sampling_probabilities: the probabilities that the candidates were drawn with, after
            temperature and cut-offs.
        cdf_low: where each candidate begins on the bar of probabilities from 0 to 1, in the order
            of ids.
        cdf_high: where each candidate ends on that bar.
        parts: names of what adds up to a score.
        contributions: what each part adds to each candidate's score.
        gap: the largest difference between a score and the sum of its parts.
        n_vocab: tokens there are.
        n_kept: tokens that could be drawn.
        kept_mass: share of the probability at the temperature that the cut-offs kept.
        entropy_bits: entropy at temperature 1.
        drawn_entropy_bits: entropy of the distribution that was drawn from.
        draw: the random number in [0, 1) that chose; None when greedy.
        chosen: number of the chosen candidate.
        ends: whether the chosen token ends the text.
        temperature: that the logits were divided by.
    """

    tokens: tuple[str, ...]
    ids: Int[Tensor, " pos"]
    n_written: int
    vector: Float[Tensor, " d_model"]
    embed_norms: Float[Tensor, " pos"]
    resid_norms: Float[Tensor, "layer pos"]
    attn_norms: Float[Tensor, "layer pos"]
    mlp_norms: Float[Tensor, "layer pos"]
    attention: Float[Tensor, "layer pos"]
    guesses: tuple[str, ...]
    guess_probabilities: Float[Tensor, " row"]
    chosen_probabilities: Float[Tensor, " row"]
    candidates: tuple[str, ...]
    candidate_ids: Int[Tensor, " k"]
    scores: Float[Tensor, " k"]
    probabilities: Float[Tensor, " k"]
    tempered_probabilities: Float[Tensor, " k"]
    sampling_probabilities: Float[Tensor, " k"]
    cdf_low: Float[Tensor, " k"]
    cdf_high: Float[Tensor, " k"]
    parts: tuple[str, ...]
    contributions: Float[Tensor, "part k"]
    gap: float
    n_vocab: int
    n_kept: int
    kept_mass: float
    entropy_bits: float
    drawn_entropy_bits: float
    draw: float | None
    chosen: int
    ends: bool
    temperature: float
    former_fields: ClassVar = {
        "looks": "attention",
        "heated": "tempered_probabilities",
        "drawn": "sampling_probabilities",
        "low": "cdf_low",
        "high": "cdf_high",
    }
    labels: ClassVar = {
        "token": ("pos", "tokens"),
        "guess": ("row", "guesses"),
        "candidate": ("k", "candidates"),
        "part": ("part", "parts"),
    }

    @property
    def chosen_id(self) -> int:
        """Of the token that was chosen."""
        return int(self.candidate_ids[self.chosen])

    @property
    def best(self) -> int:
        """Number of the most probable candidate at temperature 1: the model's own answer."""
        return int(self.probabilities.argmax())

    def finding(self) -> str:
        added = self.contributions[:, self.best]
        most = int(added.argmax())
        return (
            f"The model's answer is {self.candidates[self.best]!r}, "
            f"{percent(self.probabilities[self.best], 1)} at temperature 1 (a uniform guess has "
            f"{percent(1 / self.n_vocab, 2)}); {self._taken()}. The part that adds most to it is "
            f"{self.parts[most]}, {added[most]:+.2f} of its score of {self.scores[self.best]:.2f}; "
            "n = 1 token."
        )

    def _taken(self) -> str:
        """Which token was taken, and how."""
        at = self.chosen
        if self.draw is None:
            return "it was taken, as the best"
        with_chance = f"drawn with probability {percent(self.sampling_probabilities[at], 1)}"
        if at == self.best:
            return f"it was {with_chance}"
        return (
            f"{self.candidates[at]!r} was {with_chance} "
            f"({percent(self.probabilities[at], 1)} at temperature 1)"
        )

    def caption(self) -> str:
        at = self.chosen
        luck = "The best token was taken, with no draw."
        if self.draw is not None:
            luck = (
                f"The draw {self.draw:.4f} fell between {self.cdf_low[at]:.4f} and "
                f"{self.cdf_high[at]:.4f}, the token's place on the bar of probabilities in the "
                "order of ids."
            )
        return (
            f"{self.finding()} Read: {len(self.tokens)} tokens. At temperature "
            f"{self.temperature:g} the cut-offs kept {self.n_kept:,} of {self.n_vocab:,} tokens "
            f"with {percent(self.kept_mass, 1)} of the probability; entropy "
            f"{self.entropy_bits:.2f} bits at temperature 1, {self.drawn_entropy_bits:.2f} as "
            f"drawn, {math.log2(self.n_vocab):.2f} for the control, a uniform guess. {luck} A "
            "score is a logit less the mean logit. Its parts are what the embedding, each "
            "attention and each MLP wrote at the last position, "
            "read by the final norm with its scale held and the unembedding; they sum to it within "
            f"{self.gap:.1e}. They are direct only: what a part does through later ones is not in "
            "them, nor what would happen without it. n = 1 prediction, so no interval."
        )


def prediction(
    model: LanguageModel,
    prompt: Prompt,
    *,
    then: Sequence[int] = (),
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    k: int = 10,
    edits: Sequence[Edit] = (),
    tolerance: float = 1e-3,
    seed: int = 0,
) -> Prediction:
    """How a model comes by its next token, from the letters to the draw.

    Args:
        model: any language model.
        prompt: one text, or the ids of one row.
        then: ids that were chosen so far after the prompt. Each has used up one draw, so that the
            chosen ids, put here one after another, are what `model.generate` writes.
        temperature: divides the logits; 0 = the best token, no draw.
        top_k: only the k best tokens can be drawn.
        top_p: only the best tokens that have this share of the probability together.
        min_p: only tokens with this share of the best one's probability.
        k: candidates that are shown.
        edits: interventions during the run.
        tolerance: largest gap in nats between a score and the sum of its parts.
        seed: of the draw.
    Returns:
        Prediction: ids, norms, scores and their parts, probabilities, the draw and the choice.
    Raises:
        TokenError: the prompt cannot be read, or leaves no room for a token.
        ReadoutError: the parts do not add up to the scores.
        ConfigError: an option out of its range.
    Example:
        >>> prediction(model, "It is a rainy", temperature=0.0).candidates[0]  # doctest: +SKIP
        '·afternoon'
    Source:
        Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits" (direct logit
        attribution). Ours is of scores centred over the vocabulary, and refuses if parts are left.
    """
    call = dict(locals())
    if k < 1:
        raise ConfigError(f"A prediction needs k = 1 or more candidates; got k = {k}.")
    ids = [*one_row(model, prompt)[0].tolist(), *then]
    announce(
        model,
        Passes(count=2, tokens=len(ids), logits=len(ids)),
        kept=model.cfg.n_layers * len(ids) * (8 * model.cfg.d_model + model.cfg.n_heads * len(ids)),
        operations=2 * model.cfg.n_layers * model.cfg.d_model * model.cfg.d_vocab,
        smaller="Give a shorter prompt.",
    )
    report_progress("the next token", 0, 2)
    generation = _next_token(
        model, ids, written=len(then), temperature=temperature, top_k=top_k, top_p=top_p,
        min_p=min_p, seed=seed, edits=edits,
    )  # fmt: skip
    step = generation.steps[0][0]
    best = [token for token, _, _ in step.top[:k]]
    candidates = best if step.token in best else [*best, step.token]
    tokens = torch.tensor([ids], device=model.device)
    names = [*attribution_points(model), "pattern"]
    report_progress("what each part adds", 1, 2)
    lengths = [len(ids) - len(then)]
    run = model.run(tokens, cache=names, edits=edits, prompt_lengths=lengths)
    return Prediction(
        tokens=displayed(model.tokenizer, ids),
        ids=tokens[0],
        n_written=len(then),
        **_stream(model, run, step.token),
        candidates=displayed(model.tokenizer, candidates),
        candidate_ids=torch.tensor(candidates),
        **_choice(generation, candidates),
        tempered_probabilities=_tempered(run, candidates, temperature),
        **attribute_logits(model, run, candidates, edited=bool(edits), tolerance=tolerance),
        entropy_bits=float(entropy_bits(run.logits[0, -1].float().log_softmax(-1))),
        chosen=candidates.index(step.token),
        ends=generation.finished[0] == "end_of_text",
        temperature=temperature,
        provenance=provenance(prediction, call, hooks=tuple(map(str, names))),
    )


def _next_token(model: LanguageModel, ids: list[int], **options: object) -> Generation:
    """The next token as `generate` draws it, with every token's probability."""
    generation = model.generate(ids, max_new_tokens=1, top=model.cfg.d_vocab, **options)
    if not generation.steps[0]:
        raise TokenError(
            f"A next token needs room; the prompt fills the context of {model.cfg.n_ctx} tokens. "
            "Cut the text."
        )
    return generation


def _choice(generation: Generation, candidates: list[int]) -> dict[str, object]:
    """The step's own numbers, and each candidate's place on the bar that it was drawn from."""
    (step,) = generation.steps[0]
    ids, plain, sampling = (torch.tensor(column) for column in zip(*step.top, strict=True))
    shares = torch.zeros(len(ids), dtype=torch.float64).scatter(0, ids, sampling.double())
    # The draw takes the first token, in the order of ids, whose cumulative share lies above it;
    # `top` comes in the order of probability, so it is put in that of ids first.
    ends = shares.cumsum(0) / shares.sum()
    begins = torch.cat([ends.new_zeros(1), ends[:-1]])
    return {
        "probabilities": torch.zeros(len(ids)).scatter(0, ids, plain)[candidates],
        "sampling_probabilities": shares[candidates],
        "cdf_low": begins[candidates],
        "cdf_high": ends[candidates],
        "n_vocab": len(ids),
        "n_kept": int((shares > 0).sum()),
        "kept_mass": step.kept_mass,
        "drawn_entropy_bits": step.entropy_bits,
        "draw": step.draw,
    }


def _tempered(run: Run, candidates: list[int], temperature: float) -> Float[Tensor, " k"]:
    logits = run.logits[0, -1].float()
    if temperature == 0:
        # The limit: all probability on the best token.
        return torch.nn.functional.one_hot(logits.argmax(), len(logits))[candidates].float()
    return (logits / temperature).softmax(-1)[candidates]


def _stream(model: LanguageModel, run: Run, token: int) -> dict[str, object]:
    """Norms at every position, and what the last position looks at and would say, by layer."""
    resid = torch.cat([run["resid_pre", 0], *run.stack("resid_post")]).float()
    attn = _norms(model, run, "attn_out")
    lens = model.unembed(resid[:, -1]).float().softmax(-1)
    best = lens.max(-1)
    return {
        "vector": resid[0, -1],
        "embed_norms": resid[0].norm(dim=-1),
        "resid_norms": resid.norm(dim=-1),
        "attn_norms": attn,
        "mlp_norms": _norms(model, run, "mlp_out"),
        "attention": run.stack("pattern")[:, 0, :, -1].float().mean(1),
        "guesses": displayed(model.tokenizer, best.indices.tolist()),
        "guess_probabilities": best.values,
        "chosen_probabilities": lens[:, token],
    }


def _norms(model: LanguageModel, run: Run, short: str) -> Float[Tensor, "layer pos"]:
    """Lengths of what a kind of part adds; zeros for a layer that has none."""
    none = torch.zeros(run.tokens.shape[1], device=run.tokens.device)
    names = (f"blocks.{layer}.hook_{short}" for layer in range(model.cfg.n_layers))
    return torch.stack([run[n][0].norm(dim=-1) if n in run.cache else none for n in names]).float()
