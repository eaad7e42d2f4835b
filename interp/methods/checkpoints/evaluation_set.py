"""What all checkpoints are measured on, prepared once; and one checkpoint's look at it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from random import Random

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.errors import InterpError
from interp.core.protocols import LanguageModel, Run
from interp.core.surprisal import surprisal
from interp.methods.batches import TextBatch
from interp.methods.data.answers import (
    EncodedStory,
    StoryPrediction,
    answer_tokens,
    encoded_stories,
    predict_encoded,
)
from interp.methods.data.examples import sample_stories
from interp.methods.data.loss_floor import story_floor
from interp.methods.data.questions import (
    EVENTS,
    NEVER_SAID,
    QuestionInContext,
    event_rows,
    questions_in,
    table_rows,
)
from interp.methods.head_scores import copy_length, head_scores, repeated_tokens
from interp.methods.probes.probing import ProbeData, probe_data
from interp.worlds.world import Story, World

HELD_OUT = "held_out"
PROBED_FROM = 500_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How checkpoints are measured: `checkpoint_metrics`' arguments of the same names."""

    measures: Sequence[str] = ()
    texts: Sequence[str] = ()
    steps: Sequence[int] = ()
    most: int = 0
    n_stories: int = 128
    n_probed: int = 200
    n_sequences: int = 16
    level: str = "full"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """Texts, questions and settings that every checkpoint of a run meets alike.

    Attributes:
        first: the run's first checkpoint.
        world: the world whose truth is known; None for texts alone.
        stories: the stories that are read.
        settings: the numbers of probed stories and random sequences, the level and the seed.
    """

    first: LanguageModel
    world: World | None
    stories: Sequence[Story]
    settings: Settings

    @cached_property
    def digest(self) -> str:
        """Hash of everything here that a measurement depends on."""
        own = self.settings
        parts = [
            self.first.hash, own.n_probed, own.n_sequences, own.level, own.seed,
            None if self.world is None else [self.world.name, self._story(PROBED_FROM).text],
            [story.text for story in self.stories],
        ]  # fmt: skip
        return sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @cached_property
    def encoded(self) -> list[EncodedStory]:
        """Tokens of each story with their characters, cut at the context."""
        return encoded_stories(self.first, self.stories)

    @cached_property
    def floors(self) -> list[tuple[Float[Tensor, " pos"], tuple[str, ...]]]:
        """Floor in nats and kind of choice, of each predicted token of each story."""
        pairs = zip(self.stories, self.encoded, strict=True)
        return [story_floor(story, spans) for story, (_, spans) in pairs]

    @cached_property
    def questions(self) -> list[QuestionInContext]:
        """The questions within the model's context."""
        return [q for q in questions_in(self.stories) if self._place(q) is not None]

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """First and last token of each question's answer."""
        return [self._place(question) for question in self.questions]

    @cached_property
    def kinds(self) -> dict[str, list[int]]:
        """Each kind of question with the numbers of its questions whose answer was said.

        What happened to a thing (`EVENTS`) is a kind of its own beside that of the whole.
        """
        rows = table_rows(
            self.questions, HELD_OUT, tuple(self.world.variables if self.world else ())
        )
        happened = event_rows(self.questions)
        rows |= {event: happened[event] for event in EVENTS if event in happened}
        return {
            kind: known
            for kind, numbers in rows.items()
            if kind != NEVER_SAID
            and (known := [i for i in numbers if not self.questions[i].unknown])
        }

    @cached_property
    def wrong(self) -> list[int]:
        """For each question the first token of an answer to another story's; -1 without one."""
        random, pairs = Random(self.settings.seed), zip(self.questions, self.places, strict=True)
        first = [self.encoded[question.story][0][place[0]] for question, place in pairs]
        tokens = [-1] * len(self.questions)
        for i, question in enumerate(self.questions):
            others = [
                first[j]
                for j, other in enumerate(self.questions)
                if other.kind == question.kind and not other.unknown and first[j] != first[i]
            ]
            tokens[i] = random.choice(others) if others else -1
        return tokens

    @cached_property
    def probes(self) -> dict[str, ProbeData]:
        """Each variable's examples, from stories of their own; none without a world."""
        if self.world is None:
            return {}
        stories = [self._story(PROBED_FROM + number) for number in range(self.settings.n_probed)]
        options = {"longest": self.first.cfg.n_ctx, "seed": self.settings.seed}
        return probe_data(self.first.tokenizer, stories, self.world.variables, **options)

    @cached_property
    def repeated(self) -> tuple[Int[Tensor, "batch pos"], int] | None:
        """Random tokens said twice, and the tokens of a copy; None where they do not fit."""
        try:
            length = copy_length(self.first)
        except InterpError:
            return None
        count, seed = self.settings.n_sequences, self.settings.seed
        return repeated_tokens(self.first, count, length, seed), length

    def _place(self, question: QuestionInContext) -> tuple[int, int] | None:
        place = answer_tokens(self.encoded[question.story][1], question)
        return place if place and place[0] > 0 else None

    def _story(self, number: int) -> Story:
        options = {"seed": self.settings.seed, "level": self.settings.level, "split": HELD_OUT}
        return sample_stories(self.world, 1, first=number, **options)[0]


class Evaluator:
    """One checkpoint; what several measures need of it is computed once.

    Args:
        model: the checkpoint.
        data: what it is measured on.
    """

    def __init__(self, model: LanguageModel, data: EvaluationSet) -> None:
        self.model, self.data = model, data

    @cached_property
    def predictions(self) -> list[StoryPrediction]:
        """Each story as this checkpoint reads it."""
        return self._read[0]

    @cached_property
    def wrong_nats(self) -> list[float]:
        """What `EvaluationSet.wrong` would have cost in place of each answer; nan without one."""
        return self._read[1]

    @cached_property
    def heads(self) -> Float[Tensor, "batch score layer head"]:
        """`SCORES` on each sequence of random tokens said twice."""
        tokens, length = self.data.repeated
        return head_scores(self.model, tokens, length)

    @cached_property
    def _read(self) -> tuple[list[StoryPrediction], list[float]]:
        by_story: dict[int, list[int]] = {}
        for number, question in enumerate(self.data.questions):
            by_story.setdefault(question.story, []).append(number)
        wrong = [float("nan")] * len(self.data.questions)

        def read_wrong(batch: TextBatch, run: Run) -> None:
            for logits, story in zip(run.logits, batch.numbers, strict=True):
                numbers = [n for n in by_story.get(story, ()) if self.data.wrong[n] >= 0]
                for number, cost in zip(numbers, self._nats_of_wrong(logits, numbers), strict=True):
                    wrong[number] = cost

        return predict_encoded(self.model, self.data.encoded, read_wrong), wrong

    def _nats_of_wrong(
        self, logits: Float[Tensor, "pos d_vocab"], numbers: Sequence[int]
    ) -> list[float]:
        """What the wrong answers of some questions about one story would have cost."""
        positions = [self.data.places[number][0] - 1 for number in numbers]
        targets = torch.tensor([self.data.wrong[number] for number in numbers], dtype=torch.long)
        return surprisal(logits[positions].cpu(), targets).tolist()
