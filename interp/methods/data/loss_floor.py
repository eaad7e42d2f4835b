"""The entropy floor: what each token of a text must cost at least, and which choice it shows.

The world tells a text by random choices whose probabilities it knows. The surprisals of all choices
add up to the text's own, which is the least expected loss of any model.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.alignment import Span, choice_nats_per_token, first_shown, token_range
from interp.worlds.world import Choice, Story

DETERMINED = "determined"


def has_floor(stories: Sequence[Story]) -> bool:
    """Whether the world that told these stories says what its choices cost."""
    return any(story.choices for story in stories)


def story_floor(
    story: Story, spans: Sequence[Span]
) -> tuple[Float[Tensor, " pos"], tuple[str, ...]]:
    """`floor_by_token` of a story, perhaps cut at a model's context.

    Args:
        story: the story as the world told it.
        spans: the characters of the tokens that are read.
    """
    # A choice is charged where its first character that is no space is read, which may lie beyond
    # the cut though its space does not.
    end = spans[-1][1]
    inside = [c for c in story.choices if first_shown(story.text, *c.span) < end]
    return floor_by_token(story.text, spans, inside)


def floor_sums(
    stories: Sequence[Story], spans: Sequence[Sequence[Span]]
) -> Float[Tensor, " story"]:
    """Floor in nats of all predicted tokens of each story; `spans` as in `story_floor`."""
    pairs = zip(stories, spans, strict=True)
    return torch.stack([story_floor(story, own)[0].sum() for story, own in pairs])


def floor_by_token(
    text: str, spans: Sequence[Span], choices: Sequence[Choice] | None
) -> tuple[Float[Tensor, " pos"], tuple[str, ...]]:
    """Floor in nats of each predicted token, and the kind of the costliest choice it shows.

    The first token is predicted from nothing, so it has no loss and its floor is left out too.

    Args:
        text: the text that was tokenized.
        spans: the characters of each token.
        choices: the world's choices; None = not known, and the floor is nan.
    """
    if choices is None:
        return torch.full((len(spans) - 1,), math.nan), (DETERMINED,) * (len(spans) - 1)
    costs = [(*choice.span, choice.surprisal_nats) for choice in choices]
    kinds, highest = [DETERMINED] * len(spans), [-math.inf] * len(spans)
    for choice in choices:
        start, end = choice.span
        if start >= end:
            continue
        first, last = token_range(spans, (first_shown(text, start, end), end))
        for token in range(first, last + 1):
            if choice.surprisal_nats > highest[token]:
                kinds[token], highest[token] = choice.kind, choice.surprisal_nats
    nats = torch.tensor(choice_nats_per_token(text, spans, costs), dtype=torch.float64)
    return nats[1:], tuple(kinds[1:])
