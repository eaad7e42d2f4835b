"""A model's own answers to a story's questions, and what its words cost, many stories a batch.

The true text stands before every answer. The answer counts when each of its tokens is the model's
first choice: then greedy decoding would write it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.core.alignment import Span, token_range
from interp.core.protocols import LanguageModel, Run
from interp.methods.batches import TextBatch, TokenValues, read_texts
from interp.methods.data.loss_floor import floor_sums
from interp.methods.data.questions import QuestionInContext
from interp.worlds.world import Story

EncodedStory = tuple[list[int], list[Span]]


@dataclass(frozen=True, kw_only=True)
class StoryPrediction:
    """A model's predictions along a story, up to its context.

    Attributes:
        ids: the story's tokens.
        spans: the characters of each token.
        best: the model's first choice for each token after the first.
        nats: the loss of each token after the first.
    """

    ids: list[int]
    spans: list[Span]
    best: list[int]
    nats: Float[Tensor, " pos"]


def encoded_stories(model: LanguageModel, stories: Sequence[Story]) -> list[EncodedStory]:
    """Tokens of each story with their characters, cut at the model's context."""
    encoded = (model.tokenizer.encode_with_spans(story.text) for story in stories)
    return [(ids[: model.cfg.n_ctx], spans[: model.cfg.n_ctx]) for ids, spans in encoded]


def predict_stories(model: LanguageModel, stories: Sequence[Story]) -> list[StoryPrediction]:
    """Each story in one forward pass."""
    return predict_encoded(model, encoded_stories(model, stories))


def predict_encoded(
    model: LanguageModel,
    encoded: Sequence[EncodedStory],
    also: Callable[[TextBatch, Run], None] | None = None,
) -> list[StoryPrediction]:
    """As `predict_stories`, of `encoded_stories`.

    Args:
        model: any language model.
        encoded: tokens of each story with their characters.
        also: takes from each pass what else is needed.
    """
    read = zip(encoded, _read(model, [ids for ids, _ in encoded], also), strict=True)
    return [
        StoryPrediction(ids=ids, spans=spans, best=best.tolist(), nats=nats)
        for (ids, spans), (best, nats) in read
    ]


def right_answers(
    predictions: Sequence[StoryPrediction], questions: Sequence[QuestionInContext]
) -> list[bool | None]:
    """Whether each whole answer is the model's first choice; None beyond the model's context."""
    return [_right(predictions[question.story], question) for question in questions]


def given_answers(
    model: LanguageModel,
    predictions: Sequence[StoryPrediction],
    questions: Sequence[QuestionInContext],
) -> list[str]:
    """The model's first choices at the tokens of each true answer, as text.

    That is its own answer, as far as it takes as many tokens as the true one (a word does).

    Args:
        model: any language model.
        predictions: its predictions along each story.
        questions: within its context.
    """
    answers = []
    for question in questions:
        prediction = predictions[question.story]
        first, last = answer_tokens(prediction.spans, question)
        answers.append(model.tokenizer.decode(prediction.best[first - 1 : last]).strip())
    return answers


def says_unknown(
    model: LanguageModel,
    stories: Sequence[Story],
    predictions: Sequence[StoryPrediction],
    questions: Sequence[QuestionInContext],
    never: frozenset[str],
) -> list[bool]:
    """Whether greedy decoding would give one of the answers `never` to each question.

    Where the true text goes on in another way, such an answer is put in its place.
    """
    answers = [
        question.unknown and bool(_right(predictions[question.story], question))
        for question in questions
    ]
    instead = [
        (i, *row)
        for i, question in enumerate(questions)
        if not question.unknown
        for row in _instead(
            model, stories[question.story].text, predictions[question.story], question, never
        )
    ]
    rows = [ids for _, ids, _ in instead]
    for (i, ids, first), (best, _) in zip(instead, _read(model, rows), strict=True):
        answers[i] |= best[first - 1 :].tolist() == ids[first:]
    return answers


def regrets(
    stories: Sequence[Story], predictions: Sequence[StoryPrediction]
) -> tuple[Float[Tensor, " story"], Int[Tensor, " story"]]:
    """Loss less floor of each story in nats, and how many tokens it has that are predicted."""
    floors = floor_sums(stories, [own.spans for own in predictions])
    losses = torch.tensor([own.nats.sum().item() for own in predictions], dtype=torch.float64)
    return losses - floors, torch.tensor([len(own.nats) for own in predictions])


def answer_tokens(spans: Sequence[Span], question: QuestionInContext) -> tuple[int, int] | None:
    """The first and the last token of the answer; None beyond the context."""
    end = question.start + len(question.answer)
    return token_range(spans, (question.start, end)) if end <= spans[-1][1] else None


def _right(prediction: StoryPrediction, question: QuestionInContext) -> bool | None:
    place = answer_tokens(prediction.spans, question)
    if place is None:
        return None
    first, last = place
    return prediction.best[first - 1 : last] == prediction.ids[first : last + 1]


def _instead(
    model: LanguageModel,
    text: str,
    prediction: StoryPrediction,
    question: QuestionInContext,
    never: frozenset[str],
) -> Iterator[tuple[list[int], int]]:
    """Rows that end in an answer of `never`, where the model's first choice begins it."""
    place = answer_tokens(prediction.spans, question)
    if place is None:
        return
    first = place[0]
    for answer in sorted(never):
        ids = model.tokenizer.encode(text[: question.start] + answer)
        fits = first < len(ids) <= model.cfg.n_ctx
        # Greedy decoding writes this answer only if it begins with the model's first choice: most
        # rows need no pass of their own.
        begins = fits and ids[first] == prediction.best[first - 1]
        if begins and ids[:first] == prediction.ids[:first]:
            yield ids, first


def _read(
    model: LanguageModel,
    rows: Sequence[Sequence[int]],
    also: Callable[[TextBatch, Run], None] | None = None,
) -> Iterator[tuple[Int[Tensor, " pos"], Float[Tensor, " pos"]]]:
    """First choice and nats of every token of each row after its first."""
    first_choices, nats = TokenValues(rows), TokenValues(rows)

    def read(batch: TextBatch, run: Run) -> None:
        first_choices.put(batch, run.logits.argmax(-1)[:, :-1])
        nats.put(batch, batch.nats(run.logits))
        if also:
            also(batch, run)

    read_texts(model, rows, read)
    return zip(first_choices.rows, nats.rows, strict=True)
