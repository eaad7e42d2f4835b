"""Learning rate and momentum as pure functions of the step, so that a resume needs no state."""

import math
from typing import Literal

Decay = Literal["linear", "cosine", "constant"]


def learning_rate_scale(
    step: int,
    *,
    steps: int,
    warmup_steps: int,
    decay: Decay,
    final_fraction: float,
    stable_fraction: float = 0.0,
) -> float:
    """What to multiply every base learning rate with at step `step`.

    Args:
        step: counted from 0.
        steps: length of the run.
        warmup_steps: linear rise from 1 / warmup_steps to 1.
        decay: shape of the way down, to the end of the run.
        final_fraction: what is left at the end of the run.
        stable_fraction: share of the run that passes at the full rate before the way down.
    Returns:
        A share in (0, 1].

    Example:
        >>> options = dict(steps=100, warmup_steps=5, decay="linear", final_fraction=0.02)
        >>> [round(learning_rate_scale(step, **options), 3) for step in (0, 4, 5, 100)]
        [0.2, 1.0, 1.0, 0.02]
    """
    # step + 1, so that the first update is not lost to a rate of 0.
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if decay == "constant":
        return 1.0
    # Warm-up, plateau, decay: with stable_fraction = 0 the decay follows the warm-up at once.
    start = max(warmup_steps, stable_fraction * steps)
    done = min(max(step - start, 0) / max(steps - start, 1), 1.0)
    left = 1 - done if decay == "linear" else (1 + math.cos(math.pi * done)) / 2
    return final_fraction + (1 - final_fraction) * left


def momentum_at(step: int, *, start: float, end: float, warmup_steps: int) -> float:
    """Muon's momentum at step `step`: a linear rise from `start` to `end`.

    Example:
        >>> rise = dict(start=0.85, end=0.95, warmup_steps=100)
        >>> [round(momentum_at(step, **rise), 3) for step in (0, 50, 500)]
        [0.85, 0.9, 0.95]
    """
    # Early gradients turn quickly. A momentum of 0.95 remembers about 1 / (1 - 0.95) = 20 of them,
    # which then point elsewhere already; 0.85 remembers 7.
    done = min(step / warmup_steps, 1.0) if warmup_steps else 1.0
    return (1 - done) * start + done * end


def is_checkpoint_step(step: int, *, steps: int, every: int) -> bool:
    """Whether weights are kept after `step` updates: 0, 1, 2, 4, 8 …, every n, and the last.

    Example:
        >>> [s for s in range(101) if is_checkpoint_step(s, steps=101, every=50)]
        [0, 1, 2, 4, 8, 16, 32, 50, 64, 100]
    """
    # A model changes about as much in every doubling of its steps. n & (n - 1) takes the lowest bit
    # of n away, so it is 0 for 0 and for powers of two only.
    power_of_two = step & (step - 1) == 0
    return power_of_two or step == steps or (every > 0 and step % every == 0)
