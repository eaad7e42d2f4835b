"""Residual streams read through the final norm and the unembedding, checked against the logits.

Knows nothing of plots, controls or results: numbers in, numbers out.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.edits import Edit
from interp.core.errors import HookNameError, ReadoutError
from interp.core.precision import rounding, widened
from interp.core.protocols import LanguageModel, Run
from interp.methods.distributions import entropy_bits, kl_divergence

CHUNK = 64
Translate = Callable[[int, Float[Tensor, "pos d_model"]], Float[Tensor, "pos d_model"]]
"""Takes a row of the lens and the stream there; gives what the final norm shall read."""


def final_gain(model: LanguageModel) -> Float[Tensor, " d_model"]:
    """The factors by which the final norm multiplies what it has scaled; ones where it has none."""
    try:
        return model.weight("ln_final.w").detach()
    except HookNameError:
        return torch.ones(model.cfg.d_model, device=model.device)


def residuals(
    model: LanguageModel, tokens: Int[Tensor, "batch pos"], edits: Sequence[Edit] = ()
) -> tuple[Run, Float[Tensor, "layer batch pos d_model"]]:
    """One run, and its residual stream before the first block and after each."""
    run = model.run(tokens, cache=[("resid_pre", 0), "resid_post"], edits=edits)
    return run, torch.cat([run["resid_pre", 0][None], run.stack("resid_post")])


def check_readout(
    model: LanguageModel,
    resid: Float[Tensor, "... d_model"],
    logits: Float[Tensor, "... d_vocab"],
    tolerance: float,
) -> None:
    """Refuse a readout that does not reproduce the model's own logits from its last stream.

    Raises:
        ReadoutError: with the largest gap, in log-probability, and the tolerance.
    """
    tolerance += rounding(logits)
    read = widened(model.unembed(resid)).log_softmax(-1)
    gap = (read - widened(logits).log_softmax(-1)).abs().max().item()
    if not gap <= tolerance:
        raise ReadoutError(
            "A lens needs the last residual stream, read through the final norm and the "
            "unembedding, to give the model's own log-probabilities; the largest gap is "
            f"{gap:.3g} nats, the tolerance {tolerance:.3g} with the rounding of "
            f"{str(logits.dtype).removeprefix('torch.')}. Leave out edits after the last block."
        )


def read_lens(
    model: LanguageModel,
    tokens: Int[Tensor, "1 pos"],
    *,
    targets: Sequence[int] = (),
    k: int = 5,
    translate: Translate | None = None,
    edits: Sequence[Edit] = (),
    tolerance: float = 1e-3,
) -> dict[str, Tensor]:
    """Read every residual stream of one prompt as if the model stopped there.

    Args:
        model: any language model.
        tokens: of the prompt.
        targets: ids whose log-probability and rank are followed.
        k: best candidates of each stream.
        translate: moves a row's stream before it is read (a tuned lens).
        edits: interventions during the run.
        tolerance: largest gap in nats between the last row and the model's own log-probabilities.
    Returns:
        By "layer pos" (row 0 = embedding, last = final): `top_ids` and `top_log_probs` of the best
        candidates; `entropy_bits` of the whole distribution; `kl_nats`, KL(final || row);
        `kl_other_nats`, the KL to this row from the final distribution of another position (a
        control); `answer_ranks` of the final distribution's best token; `log_probs` and `ranks` of
        the targets, 0 = the most probable token. Fields of `LogitLens`, but the first and fifth.
    Raises:
        ReadoutError: the last row is not the model's own output.
    Source:
        nostalgebraist 2020, "interpreting GPT: the logit lens". Differs: the final norm is applied
        anew to each stream, since the scale of the last one does not fit the shorter early ones.
    """
    run, streams = residuals(model, tokens, edits)
    check_readout(model, streams[-1], run.logits, tolerance)
    streams, logits = streams[:, 0], run.logits[0]
    # One position has no other: nan, not a control that equals the reading.
    others = logits.roll(1, 0) if len(logits) > 1 else torch.full_like(logits, torch.nan)
    parts = [
        _read_chunk(model, streams[:, part], logits[part], others[part], targets, k, translate)
        for part in torch.arange(len(logits)).split(CHUNK)
    ]
    return {name: torch.cat([part[name] for part in parts], 1).cpu() for name in parts[0]}


def _read_chunk(
    model: LanguageModel,
    streams: Float[Tensor, "layer pos d_model"],
    logits: Float[Tensor, "pos d_vocab"],
    others: Float[Tensor, "pos d_vocab"],
    targets: Sequence[int],
    k: int,
    translate: Translate | None,
) -> dict[str, Tensor]:
    final, other = _log_probs(logits), _log_probs(others)
    rows = []
    for layer, resid in enumerate(streams):
        moved = translate(layer, resid) if translate else resid
        rows.append(_row(_log_probs(model.unembed(moved)), final, other, targets, k))
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def _log_probs(logits: Float[Tensor, "pos d_vocab"]) -> Float[Tensor, "pos d_vocab"]:
    # KL is a small difference of large sums, so double where the device has it (mps has not).
    return (logits.double() if logits.device.type != "mps" else logits.float()).log_softmax(-1)


def _row(
    log_probs: Float[Tensor, "pos d_vocab"],
    final: Float[Tensor, "pos d_vocab"],
    other: Float[Tensor, "pos d_vocab"],
    targets: Sequence[int],
    k: int,
) -> dict[str, Tensor]:
    top = log_probs.topk(min(k, log_probs.shape[-1]), dim=-1)
    ids = torch.as_tensor(list(targets), dtype=torch.long, device=log_probs.device)
    followed = log_probs[:, ids]
    answer = log_probs.gather(-1, final.argmax(-1, keepdim=True))
    # One target at a time: all at once would hold "pos d_vocab target".
    above = [(log_probs > column[:, None]).sum(-1) for column in followed.unbind(1)]
    ranks = torch.stack(above, -1) if above else torch.zeros_like(followed, dtype=torch.long)
    return {
        "top_ids": top.indices,
        "top_log_probs": top.values.float(),
        "entropy_bits": entropy_bits(log_probs).float(),
        "kl_nats": kl_divergence(final, log_probs).float(),
        "kl_other_nats": kl_divergence(other, log_probs).float(),
        "answer_ranks": (log_probs > answer).sum(-1),
        "log_probs": followed.float(),
        "ranks": ranks,
    }
