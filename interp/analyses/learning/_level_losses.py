"""A checkpoint's loss on every level of a world, and its answers on the hardest one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.core.protocols import LanguageModel
from interp.methods.data.answers import encoded_stories, predict_stories, right_answers
from interp.methods.data.examples import sample_stories
from interp.methods.data.loss_floor import has_floor, story_floor
from interp.methods.data.questions import NEVER_SAID, QuestionInContext, questions_in, table_rows
from interp.worlds.world import Story, World

HELD_OUT = "held_out"


@dataclass(frozen=True, kw_only=True)
class LevelEvaluation:
    """Held-out stories of every level, the same for every model.

    Attributes:
        stories: the stories of each level, easiest first.
        questions: the questions of the last level.
        kinds: each kind of question of the last level with the numbers of its questions.
    """

    stories: Mapping[str, Sequence[Story]]
    questions: Sequence[QuestionInContext]
    kinds: Mapping[str, Sequence[int]]

    def measure(
        self, model: LanguageModel
    ) -> tuple[Float[Tensor, " level"], Float[Tensor, " kind"]]:
        """Mean nats a token on each level, and the share of right answers to each kind.

        The mean is over tokens, not stories: a long story counts for more, as in training.
        """
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
        if not has_floor(stories):
            return torch.tensor(float("nan"))
        pairs = zip(stories, encoded_stories(model, stories), strict=True)
        floors = torch.cat([story_floor(story, spans)[0] for story, (_, spans) in pairs])
        return floors.mean().float()


def level_evaluation(world: World, levels: Sequence[str], n: int, seed: int) -> LevelEvaluation:
    """Stories of each level and the questions of the last one.

    Args:
        world: the world that tells the stories.
        levels: the levels, easiest first.
        n: how many stories of each level.
        seed: the seed of the stories.
    """
    stories = {
        level: sample_stories(world, n, seed=seed, level=level, split=HELD_OUT) for level in levels
    }
    questions = questions_in(stories[levels[-1]])
    rows = table_rows(questions, HELD_OUT, tuple(world.variables))
    kinds = {name: own for name, own in rows.items() if name != NEVER_SAID}
    return LevelEvaluation(stories=stories, questions=questions, kinds=kinds)
