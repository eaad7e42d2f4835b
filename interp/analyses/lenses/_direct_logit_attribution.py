"""Direct logit attribution: what each part of the last residual stream adds to a token's score.

The stream is a sum of what the embedding and each layer's attention and MLP wrote. The final norm
divides it by a scale, which is its only step that is not linear: with the scale held as it was in
the run, norm and unembedding are a linear map, so what the parts add sums to the score exactly.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.errors import ReadoutError
from interp.core.hooks import Name
from interp.core.precision import rounding
from interp.core.protocols import LanguageModel, Run
from interp.methods.unembedding import final_gain

SCALE, NORMALIZED, POSITION = "ln_final.hook_scale", "ln_final.hook_normalized", "hook_pos_embed"


def attribution_points(model: LanguageModel) -> list[Name]:
    """The hook points that `attribute_logits` reads."""
    outer = [name for name in (POSITION, SCALE, NORMALIZED) if name in model.hook_names]
    return [*outer, ("resid_pre", 0), *_outputs(model).values(), "resid_post"]


def attribute_logits(
    model: LanguageModel, run: Run, targets: Sequence[int], *, edited: bool, tolerance: float
) -> dict[str, object]:
    """Scores of the targets after a run's last position, taken apart.

    Args:
        model: that ran.
        run: one row, with `attribution_points(model)` cached.
        targets: ids.
        edited: the run had edits, which may add to the stream what no part wrote.
        tolerance: the largest gap that is let pass, in nats.
    Returns:
        Fields of `Prediction`: `parts` (`embedding`, `position`, `attention 0`, `MLP 0`, …,
        `bias`), their `contributions`, the `scores` and the `gap`.
    Raises:
        ReadoutError: the parts do not add up to the scores.
    """
    # The same number added to every logit changes no probability, so a part that raises all tokens
    # alike says nothing for any of them: scores and directions are centred over the vocabulary.
    logits = _exact(run.logits[0, -1])
    scores = logits[list(targets)] - logits.mean()
    parts = dict(_parts(model, run))
    stream = _exact(run["resid_post", -1][0, -1])
    if edited:
        parts["edits"] = stream - sum(parts.values())
    written = torch.stack(list(parts.values()))
    added = _normalized(written, run, stream) @ _directions(model, targets)
    # What is said of a stream of zeros comes from the biases of the norm and the unembedding alone.
    from_zero = _exact(model.unembed(torch.zeros_like(run["resid_post", -1][:1, -1]))[0])
    bias = from_zero[list(targets)] - from_zero.mean()
    contributions = torch.cat([added, bias[None]])
    gap = (contributions.sum(0) - scores).abs().max().item()
    # Each part was rounded when it was written, and the logits when they were read.
    parts_off = torch.finfo(run.logits.dtype).eps * contributions.abs().sum(0).max().item()
    tolerance += rounding(run.logits) + parts_off
    if not gap <= tolerance:
        raise ReadoutError(
            "What the parts add to a score must sum to it, so the attribution needs a gap of at "
            f"most {tolerance:.3g} nats; got {gap:.3g}. Leave out edits of the final norm."
        )
    return dict(parts=(*parts, "bias"), contributions=contributions, scores=scores, gap=gap)


def _parts(model: LanguageModel, run: Run) -> Iterator[tuple[str, Tensor]]:
    """What each part wrote at the last position."""
    embedding = _exact(run["resid_pre", 0][0, -1])
    if POSITION in model.hook_names:
        position = _exact(run[POSITION][0, -1])
        yield "embedding", embedding - position
        yield "position", position
    else:
        yield "embedding", embedding
    for name, site in _outputs(model).items():
        yield name, _exact(run[site][0, -1])


def _outputs(model: LanguageModel) -> dict[str, Name]:
    """Attention and MLP outputs in the order of the layers; not every model has both."""
    known = set(model.hook_names)
    kinds = (("attention", "attn_out"), ("MLP", "mlp_out"))
    return {
        f"{name} {layer}": (short, layer)
        for layer in range(model.cfg.n_layers)
        for name, short in kinds
        if f"blocks.{layer}.hook_{short}" in known
    }


def _normalized(written: Tensor, run: Run, stream: Tensor) -> Tensor:
    """The parts as the final norm passes them on, its scale held; a model may have no norm."""
    if SCALE not in run.cache:
        return written
    scale = _exact(run[SCALE][0, -1])
    # LayerNorm takes the mean off before it divides, RMSNorm does not. The norm's own output tells
    # which of the two this is; taking a mean off is linear, so each part can lose its own.
    before_scale = _exact(run[NORMALIZED][0, -1]) * scale
    centred = stream - stream.mean()
    takes_mean = (centred - before_scale).norm() < (stream - before_scale).norm()
    return (written - written.mean(-1, keepdim=True) if takes_mean else written) / scale


def _directions(model: LanguageModel, targets: Sequence[int]) -> Float[Tensor, "d_model k"]:
    """What a score reads from the normalized stream, for each target."""
    unembedding = _exact(model.weight("W_U"))
    directions = unembedding[:, list(targets)] - unembedding.mean(1, keepdim=True)
    return directions * final_gain(model).to(directions)[:, None]


def _exact(values: Tensor) -> Tensor:
    return values.float() if values.device.type == "mps" else values.double()
