"""A head in a few words: its scores beside those of untrained heads, and its effect."""

from interp.analyses.attention_heads.attention import SUMMARIES, Attention
from interp.analyses.attention_heads.head_ablation import HeadAblation
from interp.analyses.attention_heads.heads import SCORES, Heads

SHORT = {
    "previous_token": "previous",
    "duplicate_token": "duplicate",
    "induction": "induction",
    "first_token": "first",
}
LEAST = 0.2


def badges(head_scores: Heads | None, n_layers: int, n_heads: int) -> list[list[str]]:
    """The highest score of each head that no untrained head reaches; empty where there is none."""
    return [
        ["" if head_scores is None else badge(head_scores, layer, head) for head in range(n_heads)]
        for layer in range(n_layers)
    ]


def badge(head_scores: Heads, layer: int, head: int) -> str:
    """The highest such score of one head, as `previous .98`."""
    best = head_scores.untrained_best
    scores = [
        (float(head_scores.scores[i, layer, head, 0]), name)
        for i, name in enumerate(SCORES)
        if head_scores.scores[i, layer, head, 1] > max(LEAST, float(best[i].nan_to_num(nan=1.0)))
    ]
    value, name = max(scores, default=(0.0, ""))
    return f"{SHORT[name]} {value:.2f}".replace("0.", ".") if name else ""


def sentences(
    result: Attention, head_scores: Heads | None, effect: HeadAblation | None
) -> list[list[str]]:
    """What is known of each head: on this text, on repeated random tokens, when ablated."""
    layers, heads = result.summary.shape[1:]
    return [
        [sentence(result, head_scores, effect, layer, head) for head in range(heads)]
        for layer in range(layers)
    ]


def sentence(
    result: Attention, head_scores: Heads | None, effect: HeadAblation | None, layer: int, head: int
) -> str:
    """All that is known of one head."""
    parts = [_on_this_text(result, layer, head)]
    if head_scores is not None:
        scores = [
            f"{name.replace('_', ' ')} {score:.2f}{_control(head_scores, i)}"
            for i, (name, score) in enumerate(
                zip(SCORES, head_scores.scores[:, layer, head, 0], strict=True)
            )
        ]
        parts.append(f"On repeated random tokens: {', '.join(scores)}.")
    if effect is not None:
        parts.append(_without(effect, layer, head))
    return " ".join(part for part in parts if part)


def caption(effect: HeadAblation | None) -> str:
    """What the cells of the grid are."""
    if effect is None:
        return "Each picture is an attention pattern: query tokens run down, key tokens across."
    return (
        f"Change of the loss of {effect.answer} in nats when the head is ablated: blue heads help "
        "the answer, orange heads harm it."
    )


def _on_this_text(result: Attention, layer: int, head: int) -> str:
    row = SUMMARIES.index("entropy_bits")
    bits = float(result.summary[row, layer, head])
    if bits != bits:
        return ""
    untrained = result.untrained[:, row, layer, head]
    beside = f" (untrained {untrained.mean():.1f})" if len(untrained) else ""
    return f"On this text: entropy {bits:.1f} bits{beside}."


def _control(head_scores: Heads, score: int) -> str:
    best = float(head_scores.untrained_best[score])
    return "" if best != best else f" (untrained at most {best:.2f})"


def _without(effect: HeadAblation, layer: int, head: int) -> str:
    shuffled = effect.shuffled[:, layer, head]
    beside = f" (shuffled words {shuffled.mean():+.2f})" if len(shuffled) else ""
    return (
        f"Ablating it changes the loss of {effect.answer} by "
        f"{effect.change[layer, head]:+.2f} nats{beside}."
    )
