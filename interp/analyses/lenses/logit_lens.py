"""What the model would predict at each layer if it stopped there.

Every residual stream, from the embedding to the last, is read through the final norm and the
unembedding. A tuned lens (`lens=`) carries each stream there first.

Control: the KL of each row to the final distribution of another position (a reading that is not
about this position would be as near), and the same lens on an untrained model: a low KL there only
means that its layers change little. It refuses when the last row is not the model's own output.

Units: log-probabilities and KL(final || row) in nats, entropy in bits, rank 0 = most probable. n =
positions of one prompt.

    interp run logit_lens --prompt "It is a sunny morning. Anna is in the" --targets " garden"
        --html lens.html
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.cost import Passes, announce
from interp.core.display import percent
from interp.core.edits import Edit
from interp.core.errors import ConfigError
from interp.core.progress import report_progress
from interp.core.protocols import LanguageModel, Prompt
from interp.core.statistics.intervals import Interval, mean_interval, plain
from interp.methods.prompts import answer_token, displayed, one_row
from interp.methods.unembedding import read_lens
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result

if TYPE_CHECKING:
    from interp.analyses.lenses.tuned_lens import TunedLens


@dataclass(frozen=True, kw_only=True)
class LogitLens(Result):
    """A reading of each residual stream of a prompt; row 0 = embedding, last row = final.

    Attributes:
        tokens: the prompt's tokens, for display.
        targets: the tokens that are followed, for display.
        top_tokens: the best candidates of each layer and position, for display.
        top_log_probs: log-probabilities of these candidates, in nats.
        entropy_bits: entropy of the whole distribution that was read.
        kl_nats: KL(final || row): how far the row is from what the model says in the end.
        answer_ranks: rank of the final distribution's best token; 0 = it already leads.
        log_probs: log-probabilities of the targets, in nats.
        ranks: ranks of the targets; 0 = the most probable token.
        kl: mean of `kl_nats` of each row, with its interval over positions.
        kl_other: mean KL of each row to the final distribution of *another* position (a control).
        kl_untrained: as `kl`, in an untrained model of the same config; empty without one.
        agreement: share of positions where the row's best token is the final one.
        agreement_untrained: as `agreement`, in the untrained model; empty without one.
        lens: `raw` or `tuned`.
    """

    tokens: tuple[str, ...]
    targets: tuple[str, ...]
    top_tokens: tuple[tuple[tuple[str, ...], ...], ...]
    top_log_probs: Float[Tensor, "layer pos k"]
    entropy_bits: Float[Tensor, "layer pos"]
    kl_nats: Float[Tensor, "layer pos"]
    answer_ranks: Int[Tensor, "layer pos"]
    log_probs: Float[Tensor, "layer pos target"]
    ranks: Int[Tensor, "layer pos target"]
    kl: tuple[Interval, ...]
    kl_other: tuple[Interval, ...]
    kl_untrained: tuple[Interval, ...]
    agreement: tuple[Interval, ...]
    agreement_untrained: tuple[Interval, ...]
    lens: str
    columns: ClassVar = {
        "entropy_bits": "entropy_bits",
        "kl_nats": "kl_nats",
        "answer_rank": "answer_ranks",
        "log_prob_nats": "top_log_probs",
        "target_log_prob_nats": "log_probs",
        "target_rank": "ranks",
        "mean_kl_nats": "kl",
        "mean_kl_nats_other_position": "kl_other",
        "mean_kl_nats_untrained": "kl_untrained",
        "agreement": "agreement",
        "agreement_untrained": "agreement_untrained",
    }
    axes: ClassVar = dict.fromkeys(
        ("kl", "kl_other", "kl_untrained", "agreement", "agreement_untrained"), "layer"
    )
    labels: ClassVar = {
        "row": ("layer", "row_names"),
        "token": ("pos", "tokens"),
        "candidate": ("layer pos k", "top_tokens"),
        "target": ("target", "targets"),
    }

    @property
    def row_names(self) -> tuple[str, ...]:
        """`embedding`, `after layer 0`, …, `final`."""
        inner = (f"after layer {layer}" for layer in range(len(self.kl) - 2))
        return ("embedding", *inner, "final")

    def finding(self) -> str:
        below = [row for row, share in enumerate(self.agreement) if share.value < 0.5]
        half = max(below, default=-1) + 1
        control = (
            f"untrained model there: {percent(self.agreement_untrained[half].value)}"
            if self.agreement_untrained
            else "no untrained control"
        )
        return (
            f"{self.lens.capitalize()} lens: the final answer leads at "
            f"{percent(self.agreement[half].value)} of {len(self.tokens)} positions in row "
            f"'{self.row_names[half]}', the first of those above one half ({control})."
        )

    def caption(self) -> str:
        before = self.row_names[-2]
        untrained = (
            f"; untrained model of the same config {plain(self.kl_untrained[-2])}"
            if self.kl_untrained
            else "; this model has no untrained control"
        )
        method = "as it stands" if self.lens == "raw" else "through the tuned lens's affine map"
        return (
            f"{self.finding()} Each residual stream, {method}, read through the final norm and the "
            "unembedding; rows run from the embedding to the final logits, which are reproduced. "
            f"KL to the final distribution in row '{before}': {plain(self.kl[-2])} nats; "
            f"control, to the final distribution of another position: {plain(self.kl_other[-2])}"
            f"{untrained}. n = {len(self.tokens)} positions of one prompt, 95 % bootstrap "
            "intervals over them. A low KL in an untrained model means only that its layers change "
            "little."
        )


def logit_lens(
    model: LanguageModel,
    prompt: Prompt,
    *,
    targets: Sequence[str] = (),
    k: int = 5,
    lens: "TunedLens | None" = None,
    edits: Sequence[Edit] = (),
    untrained: bool = True,
    tolerance: float = 1e-3,
    seed: int = 0,
) -> LogitLens:
    """What the model would predict at each layer if it stopped there.

    Args:
        model: any language model.
        prompt: one text, or the ids of one row.
        targets: words to follow as they go on from the prompt; each must be one token, and the
            space before it may be left out.
        k: candidates a layer and position.
        lens: a tuned lens of this very model; without one, the raw logit lens.
        edits: interventions during the run.
        untrained: read an untrained model of the same config beside it, where one can be made.
        tolerance: largest gap in nats between the last row and the model's own log-probabilities.
        seed: of the untrained model and of the resampling.
    Returns:
        LogitLens: top-k and target log-probabilities in nats, entropy in bits, KL in nats.
    Raises:
        TokenError: a target is not one token (the pieces are shown), or the prompt cannot be read.
        ReadoutError: the last row is not the model's own output.
        ModelMismatchError: the lens was tuned on other weights.
    Example:
        >>> logit_lens(model, "It is a rainy", targets=[" night"]).ranks.shape  # doctest: +SKIP
        torch.Size([5, 5, 1])
    Source:
        nostalgebraist 2020, "interpreting GPT: the logit lens". We recompute the final norm for
        each row (a cached scale misreads early layers) and show two controls.
    """
    call = dict(locals())
    if k < 1:
        raise ConfigError(f"A lens needs k = 1 or more candidates; got k = {k}.")
    tokens = one_row(model, prompt)
    row = tokens[0].tolist()
    ids = [answer_token(model.tokenizer, row, word) for word in targets]
    translate = None if lens is None else lens.translator(model)
    width, n = tokens.shape[1], 1 + untrained
    rows = (model.cfg.n_layers + 1) * width
    announce(
        model,
        Passes(count=n, tokens=width, logits=width),
        copies=untrained,
        draws=untrained,
        # Each row's logits, and several readings of their distribution.
        operations=n * rows * model.cfg.d_vocab * (2 * model.cfg.d_model + 100),
        smaller="Give a shorter prompt, or leave the control out (untrained=False).",
    )
    report_progress("this model", 0, n)
    readout = read_lens(
        model, tokens, targets=ids, k=k, translate=translate, edits=edits, tolerance=tolerance
    )
    report_progress("an untrained model", 1, n)
    twins = untrained_twins(model, 1, seed) if untrained else iter(())
    twin = next((read_lens(each, tokens, k=1) for each in twins), None)
    kl, agreement = _trust(readout, seed)
    kl_untrained, agreement_untrained = ((), ()) if twin is None else _trust(twin, seed)
    top_ids, kl_other = readout.pop("top_ids"), readout.pop("kl_other_nats")
    return LogitLens(
        tokens=displayed(model.tokenizer, row),
        targets=displayed(model.tokenizer, ids),
        top_tokens=_display_top(model, top_ids),
        **readout,
        kl=kl,
        kl_other=tuple(mean_interval(row, seed=seed) for row in kl_other),
        kl_untrained=kl_untrained,
        agreement=agreement,
        agreement_untrained=agreement_untrained,
        lens="raw" if lens is None else "tuned",
        provenance=provenance(logit_lens, call, hooks=("resid_pre 0", "resid_post")),
    )


def _trust(readout: dict[str, Tensor], seed: int) -> Iterator[tuple[Interval, ...]]:
    """KL to the final distribution and agreement with its best token, a row."""
    best = readout["top_ids"][:, :, 0]
    for values in (readout["kl_nats"], (best == best[-1]).double()):
        yield tuple(mean_interval(row, seed=seed) for row in values)


def _display_top(
    model: LanguageModel, ids: Int[Tensor, "layer pos k"]
) -> tuple[tuple[tuple[str, ...], ...], ...]:
    known = torch.unique(ids).tolist()
    strings = dict(zip(known, displayed(model.tokenizer, known), strict=True))
    return tuple(tuple(tuple(strings[i] for i in best) for best in row) for row in ids.tolist())
