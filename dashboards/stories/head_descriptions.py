"""What is said of a head in a few words: its habits beside untrained heads', its effect."""

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


def badges(habits: Heads | None, n_layers: int, n_heads: int) -> list[list[str]]:
    """The strongest habit of each head that no untrained head has; empty where there is none."""
    return [
        ["" if habits is None else badge(habits, layer, head) for head in range(n_heads)]
        for layer in range(n_layers)
    ]


def badge(habits: Heads, layer: int, head: int) -> str:
    """One head's strongest habit, `previous .98`."""
    best = habits.untrained_best
    known = [
        (float(habits.scores[i, layer, head, 0]), name)
        for i, name in enumerate(SCORES)
        if habits.scores[i, layer, head, 1] > max(LEAST, float(best[i].nan_to_num(nan=1.0)))
    ]
    value, name = max(known, default=(0.0, ""))
    return f"{SHORT[name]} {value:.2f}".replace("0.", ".") if name else ""


def sentences(
    result: Attention, habits: Heads | None, effect: HeadAblation | None
) -> list[list[str]]:
    """What is known of each head: on this text, on random tokens said twice, without it."""
    layers, heads = result.summary.shape[1:]
    return [
        [sentence(result, habits, effect, layer, head) for head in range(heads)]
        for layer in range(layers)
    ]


def sentence(
    result: Attention, habits: Heads | None, effect: HeadAblation | None, layer: int, head: int
) -> str:
    """All that is known of one head."""
    parts = [_on_this_text(result, layer, head)]
    if habits is not None:
        told = [
            f"{name.replace('_', ' ')} {habits.scores[i, layer, head, 0]:.2f}{_control(habits, i)}"
            for i, name in enumerate(SCORES)
        ]
        parts.append(f"On random tokens said twice: {', '.join(told)}.")
    if effect is not None:
        parts.append(_without(effect, layer, head))
    return " ".join(part for part in parts if part)


def caption(effect: HeadAblation | None) -> str:
    """What the cells of the grid are."""
    if effect is None:
        return "In each picture words that look run down, words looked at across."
    return (
        f"Loss of {effect.answer} in nats without the head, minus with it: blue heads help it, "
        "orange ones harm it."
    )


def _on_this_text(result: Attention, layer: int, head: int) -> str:
    place = SUMMARIES.index("entropy_bits")
    bits = float(result.summary[place, layer, head])
    if bits != bits:
        return ""
    twins = result.untrained[:, place, layer, head]
    beside = f" (untrained {twins.mean():.1f})" if len(twins) else ""
    return f"On this text: entropy {bits:.1f} bits{beside}."


def _control(habits: Heads, score: int) -> str:
    best = float(habits.untrained_best[score])
    return "" if best != best else f" (untrained at most {best:.2f})"


def _without(effect: HeadAblation, layer: int, head: int) -> str:
    shuffled = effect.shuffled[:, layer, head]
    beside = f" (words in random order {shuffled.mean():+.2f})" if len(shuffled) else ""
    return (
        f"Without it the loss of {effect.answer} changes by "
        f"{effect.change[layer, head]:+.2f} nats{beside}."
    )
