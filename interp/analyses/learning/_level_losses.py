"""A checkpoint's loss on every level of a world, and its answers on the hardest one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.protocols import LanguageModel
from interp.methods.data.answers import predict_stories, regrets, right_answers
from interp.methods.data.examples import sample_stories
from interp.methods.data.questions import NEVER_SAID, QuestionInContext, questions_in, table_rows
from interp.worlds.world import Story, World

HELD_OUT = "held_out"


@dataclass(frozen=True, kw_only=True)
class Lessons:
    """Held-out stories of every level, the same for every model.

    Attributes:
        stories: of each level, easiest first.
        questions: the questions of the last level.
        kinds: kinds of these questions, each with the numbers of its own.
    """

    stories: Mapping[str, Sequence[Story]]
    questions: Sequence[QuestionInContext]
    kinds: Mapping[str, Sequence[int]]

    def read(self, model: LanguageModel) -> tuple[Float[Tensor, " level"], Float[Tensor, " kind"]]:
        """Mean nats a token on each level, and the share of right answers to each kind."""
        losses, predictions = [], []
        for stories in self.stories.values():
            predictions = predict_stories(model, stories)
            losses.append(torch.cat([each.nats for each in predictions]).mean())
        if not self.kinds:
            return torch.stack(losses), torch.zeros(0)
        marks = right_answers(predictions, self.questions)
        known = torch.tensor([float("nan") if mark is None else float(mark) for mark in marks])
        right = [known[list(own)].nanmean() for own in self.kinds.values()]
        return torch.stack(losses), torch.stack(right)

    def floors(self, model: LanguageModel) -> Float[Tensor, " level"]:
        """The least that any model could pay on each level; nan where the world has no prices."""
        return torch.stack([self._floor(model, level) for level in self.stories])

    def _floor(self, model: LanguageModel, level: str) -> Tensor:
        stories = self.stories[level]
        if not any(story.choices for story in stories):
            return torch.tensor(float("nan"))
        predictions = predict_stories(model, stories)
        above, tokens = regrets(stories, predictions)
        paid = sum(float(each.nats.sum()) for each in predictions)
        return torch.tensor((paid - float(above.sum())) / int(tokens.sum()))


def lessons_of(world: World, levels: Sequence[str], n: int, seed: int) -> Lessons:
    """Stories of each level and the questions of the last one.

    Args:
        world: tells them.
        levels: easiest first.
        n: stories of each.
        seed: of the stories.
    """
    stories = {
        level: sample_stories(world, n, seed=seed, level=level, split=HELD_OUT) for level in levels
    }
    questions = questions_in(stories[levels[-1]])
    rows = table_rows(questions, HELD_OUT, tuple(world.variables))
    kinds = {name: own for name, own in rows.items() if name != NEVER_SAID}
    return Lessons(stories=stories, questions=questions, kinds=kinds)
