"""Direct logit attribution: what each part of the last residual stream adds to a token's score.

The final norm's scale is held as it was in the run, so its reading is linear and parts add up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.errors import HookNameError, ReadoutError
from interp.core.hooks import Name
from interp.core.protocols import LanguageModel, Run

SCALE, NORMALIZED, POSITION = "ln_final.hook_scale", "ln_final.hook_normalized", "hook_pos_embed"


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Scores of some tokens, taken apart.

    Attributes:
        parts: `embedding`, `position`, `attention 0`, `MLP 0`, …, `bias`.
        contributions: of each part to each token's score.
        scores: logits less their mean over the vocabulary, which softmax does not see.
        gap: the largest difference between a score and the sum of its parts.
    """

    parts: tuple[str, ...]
    contributions: Float[Tensor, "part k"]
    scores: Float[Tensor, " k"]
    gap: float


def points(model: LanguageModel) -> list[Name]:
    """The hook points that `attribute` reads."""
    outer = [name for name in (POSITION, SCALE, NORMALIZED) if name in model.hook_names]
    return [*outer, ("resid_pre", 0), *_outputs(model).values(), "resid_post"]


def attribute(
    model: LanguageModel, run: Run, targets: Sequence[int], *, edited: bool, tolerance: float
) -> Attribution:
    """Scores of the targets after a run's last position, taken apart.

    Args:
        model: that ran.
        run: one row, with `points(model)` cached.
        targets: ids.
        edited: the run had edits, which may add to the stream what no part wrote.
        tolerance: the largest gap that is let pass, in nats.
    Raises:
        ReadoutError: the parts do not add up to the scores.
    """
    logits = _exact(run.logits[0, -1])
    scores = logits[list(targets)] - logits.mean()
    parts = dict(_parts(model, run))
    stream = _exact(run["resid_post", -1][0, -1])
    if edited:
        parts["edits"] = stream - sum(parts.values())
    written = torch.stack(list(parts.values()))
    adding = _normalized(written, run, stream) @ _directions(model, targets)
    resting = _exact(model.unembed(torch.zeros_like(run["resid_post", -1][:1, -1]))[0])
    bias = resting[list(targets)] - resting.mean()
    adding = torch.cat([adding, bias[None]])
    gap = (adding.sum(0) - scores).abs().max().item()
    if not gap <= tolerance:
        raise ReadoutError(
            "What the parts add to a score must sum to it; the largest gap is "
            f"{gap:.3g} nats, the tolerance {tolerance:.3g}. Leave out edits of the final norm, or "
            "raise `tolerance` for a model of low precision."
        )
    return Attribution(parts=(*parts, "bias"), contributions=adding, scores=scores, gap=gap)


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
    seen = _exact(run[NORMALIZED][0, -1]) * scale
    takes_mean = (stream - stream.mean() - seen).norm() < (stream - seen).norm()
    return (written - written.mean(-1, keepdim=True) if takes_mean else written) / scale


def _directions(model: LanguageModel, targets: Sequence[int]) -> Float[Tensor, "d_model k"]:
    """What a score reads from the normalized stream, for each target."""
    unembedding = _exact(model.weight("W_U"))
    read = unembedding[:, list(targets)] - unembedding.mean(1, keepdim=True)
    return read * _gain(model).to(read)[:, None]


def _gain(model: LanguageModel) -> Float[Tensor, " d_model"]:
    """Of the final norm; ones where it has none."""
    try:
        return _exact(model.weight("ln_final.w"))
    except HookNameError:
        return torch.ones(model.cfg.d_model)


def _exact(values: Tensor) -> Tensor:
    return values.float() if values.device.type == "mps" else values.double()
