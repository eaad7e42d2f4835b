"""An edit of the state on one story: the answer before and after, and what is written on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from interp.analyses._state_items import find_items
from interp.errors import ConfigError
from interp.protocols import LanguageModel
from interp.worlds.world import World

if TYPE_CHECKING:
    from interp.analyses.state_edit import StateEdit


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The edit on one story.

    Attributes:
        text: up to the answer.
        about: whom the question is about.
        old: the true value.
        new: the one written in.
        token: at which the edit acts.
        site_name: where, in words.
        before: the best answers and their probabilities without the edit.
        after: the same with it.
        continuation: what is written on with it, greedily.
    """

    text: str
    about: str
    old: str
    new: str
    token: str
    site_name: str
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]
    continuation: str


def trial(
    model: LanguageModel,
    world: World,
    result: "StateEdit",
    *,
    story: int = 0,
    new: str = "",
    dose: float | None = None,
    length: int = 16,
) -> Trial:
    """Make the edit on the first suitable held-out story from `story` on.

    Args:
        model: that `result` is of.
        world: that tells the stories.
        result: of `state_edit`.
        story: number of the held-out story to begin the search at.
        new: value to write; the first other one when empty.
        dose: in differences of means; the chosen one when None.
        length: tokens that are written on.
    Raises:
        ConfigError: an unknown value, or no suitable story within a hundred.
    """
    candidates = (world.sample(story + i, split="held_out") for i in range(100))
    found = (find_items(model.tokenizer, [s], result.variable, model.cfg.n_ctx) for s in candidates)
    held = (items[0] for items in found if items)
    item = next((i for i in held if i.value in result.classes), None)
    if item is None:
        raise ConfigError(f"No story from {story} on asks for {result.variable!r}.")
    new = new or next(value for value in result.classes if value != item.value)
    at, end = item.positions[result.position], item.positions["asked"] + 1
    tokens = torch.tensor([item.tokens[:end]])
    edits = [result.edit(item.value, new, at, dose)]
    drawn = model.generate(
        list(item.tokens[:end]), edits=edits, max_new_tokens=length, temperature=0.0
    )
    return Trial(
        text=item.text,
        about=item.about,
        old=item.value,
        new=new,
        token=model.tokenizer.display([item.tokens[at]])[0].strip("·"),
        site_name=result.site_name,
        before=_best_answers(model, model.run(tokens).logits[0, -1]),
        after=_best_answers(model, model.run(tokens, edits=edits).logits[0, -1]),
        continuation=drawn.text,
    )


def _best_answers(
    model: LanguageModel, logits: Float[Tensor, " d_vocab"]
) -> tuple[tuple[str, float], ...]:
    chances, ids = logits.float().softmax(-1).topk(4)
    words = (model.tokenizer.display([i])[0].strip("·") for i in ids.tolist())
    return tuple(zip(words, chances.tolist(), strict=True))
