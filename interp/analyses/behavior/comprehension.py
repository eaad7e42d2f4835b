"""Does a model answer questions about stories it never saw, better than any shortcut would?

An answer counts when every one of its tokens is the model's first choice, so greedy decoding would
write it. Beside the world's own kinds of question stand those about things that are carried,
`carried_and_moved` since they were taken, or `dropped`; and `never_said`, the balanced accuracy of
saying that nobody knows exactly when nobody does.

Control: the world's own shortcuts (the most recent value, the first, where a thing was taken), the
majority, a bag of words, an n-gram, and a network that sees the last eight words, on the same
questions. They are as strong as they could be made: fitted on training stories, given whether the
answer is known, and set to the best threshold in `never_said`. `row.safe` holds where all of them
stay ten points below the model. Facts that never change (`likes`) are learned by heart, and a
shortcut does as well there. Regret and written text have an untrained model beside them, and the
text also the world's own.

Units: accuracy in [0, 1], intervals over stories; margins are paired; regret = loss - floor in nats
per token; consistent sentences as a share of the well-formed ones.

    interp run comprehension --world stories --html comprehension.html
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from interp.analyses.behavior._continuations import BATCH, continuations, openings, rates
from interp.analyses.behavior._question_scores import (
    SAFE_BY,
    Answers,
    QuestionScore,
    recalls,
    score,
)
from interp.analyses.behavior._shortcut_baselines import shortcut_guesses
from interp.core.cost import Passes, announce
from interp.core.errors import ConfigError, NotEnoughDataError
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import UNKNOWN, Interval, bootstrap_ratio, plain
from interp.methods.batches import reading
from interp.methods.data.answers import (
    EncodedStory,
    StoryPrediction,
    encoded_stories,
    predict_encoded,
    predict_stories,
    regrets,
    right_answers,
    says_unknown,
)
from interp.methods.data.examples import sample_stories
from interp.methods.data.loss_floor import has_floor
from interp.methods.data.questions import (
    QuestionInContext,
    questions_in,
    unknown_answers,
)
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import Story, World

HELD_OUT, TRAIN = "held_out", "train"
OWN_TEXT, UNTRAINED, MODEL = "world's own text", "untrained model", "model"
Table = dict[str, dict[str, Interval]]


@dataclass(frozen=True, kw_only=True)
class Comprehension(Result):
    """Answers by kind of question beside what shortcuts answer, regret, and the text it writes.

    All dicts by split hold the splits in the order they were asked for.

    Attributes:
        accuracy: the model's accuracy by split and kind of question, with intervals over stories.
        shortcuts: each shortcut's accuracy on the same questions, by split, kind and name.
        margins: the model's accuracy less the best shortcut's, paired, by split and kind.
        questions: how many questions, by split and kind.
        recall: by split, the recall of `unknown` (says that nobody knows where nobody does) and of
            `known` (does not say it elsewhere); their mean is the accuracy of `never_said`.
        regret: mean loss less the exact floor on held-out stories, nats per token.
        untrained_regret: regret of an untrained model; nan without one.
        well_formed: share of whole sentences that are of the world's grammar, by who wrote them.
        consistent: share of well-formed sentences that are true of the story so far, by who wrote
            them.
        n_stories: how many stories were read in each split.
        n_fitted: how many training stories the shortcuts were fitted on.
        n_generated: how many continuations were written.
        beyond_context: how many questions were left out because the model's context ends before
            them.
    """

    accuracy: Table
    shortcuts: dict[str, Table]
    margins: Table
    questions: dict[str, dict[str, int]]
    recall: Table
    regret: Interval
    untrained_regret: float
    well_formed: dict[str, Interval]
    consistent: dict[str, Interval]
    n_stories: int
    n_fitted: int
    n_generated: int
    beyond_context: int
    columns: ClassVar = {
        "accuracy": "accuracy",
        "shortcut_accuracy": "shortcuts",
        "margin": "margins",
        "questions": "questions",
        "recall": "recall",
        "regret_nats_per_token": "regret",
        "regret_nats_per_token_untrained": "untrained_regret",
        "well_formed_sentences": "well_formed",
        "consistent_sentences": "consistent",
    }
    axes: ClassVar = {
        "accuracy": "split kind",
        "shortcuts": "split kind shortcut",
        "margins": "split kind",
        "questions": "split kind",
        "recall": "split answer",
        "well_formed": "writer",
        "consistent": "writer",
    }

    @property
    def rows(self) -> tuple[QuestionScore, ...]:
        """A row for each split and kind of question."""
        return tuple(
            self.row(kind, split) for split, kinds in self.accuracy.items() for kind in kinds
        )

    def row(self, kind: str, split: str = HELD_OUT) -> QuestionScore:
        """One kind of question in one split.

        Raises:
            KeyError: there is none.
        """
        shortcuts = self.shortcuts[split][kind]
        return QuestionScore(
            split=split,
            kind=kind,
            n=self.questions[split][kind],
            accuracy=self.accuracy[split][kind],
            shortcuts=shortcuts,
            best=max(shortcuts, key=lambda name: shortcuts[name].value),
            margin=self.margins[split][kind],
        )

    @property
    def unsafe(self) -> tuple[QuestionScore, ...]:
        """Rows where a shortcut comes within ten points of the model, or above it."""
        return tuple(row for row in self.rows if not row.safe)

    def finding(self) -> str:
        split = next(iter(self.accuracy))
        kinds = ", ".join(
            f"{row.kind} {row.accuracy.value:.2f} ({row.best} {row.shortcuts[row.best].value:.2f})"
            for row in self.rows
            if row.split == split
        )
        return (
            f"Comprehension, {split} stories, in brackets the best shortcut: {kinds}; "
            f"{self._regret()}; n = {self.n_stories} stories."
        )

    def _regret(self) -> str:
        if math.isnan(self.regret.value):
            return "no floor, so no regret"
        control = self.untrained_regret
        beside = "no untrained control" if math.isnan(control) else f"untrained {control:.2f}"
        return f"regret {plain(self.regret, 3)} nats per token ({beside})"

    def caption(self) -> str:
        left_out = (
            f" {self.beyond_context} questions lie beyond the model's context and are left out."
            if self.beyond_context
            else ""
        )
        return (
            f"{self.finding()} Share of questions whose whole answer is the model's first choice "
            "at every token, given the true text before; never_said: balanced accuracy of saying "
            "that nobody knows. Controls: shortcuts on the same questions, fitted on "
            f"{self.n_fitted} training stories, given whether the answer is known and, in "
            f"never_said, set to the best threshold. In a split with questions that are new there, "
            f"a row keeps only these. {self._written()}n = {self.n_stories} stories "
            f"a split, 95 % bootstrap intervals over stories.{left_out} {self._verdict()}"
        )

    def _written(self) -> str:
        if not self.n_generated:
            return ""
        writers = "; ".join(
            f"{who}: {plain(rate)} well formed"
            + (f", {plain(true)} of these consistent" if (true := self.consistent[who]).n else "")
            for who, rate in self.well_formed.items()
        )
        return f"Sentences of {self.n_generated} continuations of held-out openings: {writers}. "

    def _verdict(self) -> str:
        own = self.well_formed.get(OWN_TEXT)
        wrong = own is not None and min(own.value, self.consistent[OWN_TEXT].value) < 1
        doubt = " WARNING: the world's own text does not pass, so its rates mean little." * wrong
        points = round(100 * SAFE_BY)
        if not self.unsafe:
            return f"No shortcut comes within {points} points of the model.{doubt}"
        names = ", ".join(f"{row.kind} in {row.split} ({row.best})" for row in self.unsafe)
        return (
            f"WARNING: a shortcut comes within {points} points in: {names} (hollow circles). There "
            f"a right answer is no evidence that the story was followed.{doubt}"
        )


def comprehension(
    model: LanguageModel,
    world: World,
    *,
    n_stories: int = 300,
    n_fitted: int = 1500,
    n_generated: int = 64,
    level: str = "full",
    splits: Sequence[str] = ("held_out", "composition"),
    seed: int = 0,
) -> Comprehension:
    """Answers to a world's questions beside the answers of shortcuts, regret, and written text.

    Args:
        model: any language model that can encode the world's text.
        world: a world whose stories ask questions, and which can read text back.
        n_stories: stories to read in each split.
        n_fitted: training stories to fit the shortcuts on.
        n_generated: continuations to write at temperature 1 from the first two sentences of
            held-out stories; 0 leaves this out.
        level: the world's level of difficulty.
        splits: splits of the stories, reported apart. In a split whose questions bear its name as a
            tag (`composition`), only these count where there are any.
        seed: the seed of stories, shortcuts, continuations, the untrained model and the resampling.
    Returns:
        Comprehension: accuracies in [0, 1] by split and kind, regret in nats per token.
    Raises:
        NotEnoughDataError: the world asks nothing, or nothing within the model's context.
        ConfigError: an unknown level or split, or under two stories.
        TokenError: the tokenizer cannot encode the stories.
    Example:
        >>> comprehension(model, world).row("mood").safe  # doctest: +SKIP
        True
    Source:
        Weston et al. 2015, "Towards AI-Complete Question Answering" (questions about simulated
        stories); Kaushik & Lipton 2018 (baselines that skip the text). Ours are told more.
    """
    call = dict(locals())
    _check(n_stories, splits, n_fitted)
    training = sample_stories(world, n_fitted, seed=seed, level=level, split=TRAIN)
    fitted = _questions(world, training, TRAIN)
    sampled = {
        split: sample_stories(world, n_stories, seed=seed, level=level, split=split)
        for split in dict.fromkeys([*splits, HELD_OUT])  # for regret and openings in any case
    }
    encoded = {split: encoded_stories(model, stories) for split, stories in sampled.items()}
    _announce(model, encoded, n_generated)
    predictions = {}
    for number, (split, rows_of_split) in enumerate(encoded.items()):
        with progress_range(0.3 * number / len(encoded), 0.3 * (number + 1) / len(encoded)):
            predictions[split] = predict_encoded(model, rows_of_split)
    questions, beyond = _within(model, world, sampled, predictions, splits)
    every = [question for split in splits for question in questions[split]]
    report_progress("shortcuts", 0.3, 1)
    guesses = shortcut_guesses(fitted, every, seed)
    never = unknown_answers([*fitted, *every])
    rows, recall, first = [], {}, 0
    for split in splits:
        reading = (predictions[split], questions[split])
        answers = Answers(
            right=torch.tensor(right_answers(*reading), dtype=torch.bool),
            unknown=torch.tensor(says_unknown(model, sampled[split], *reading, never)),
        )
        last = first + len(questions[split])
        own = {name: guess.at(range(first, last)) for name, guess in guesses.items()}
        rows += score(questions[split], answers, own, split, tuple(world.variables), seed)
        recall[split], first = recalls(questions[split], answers, seed), last
    report_progress("the untrained model, and texts of both", 0.5, 1)
    return Comprehension(
        **_tables(rows),
        recall=recall,
        **_regrets(model, sampled[HELD_OUT], predictions[HELD_OUT], seed),
        **_writing(model, world, sampled[HELD_OUT], n_generated, seed),
        n_stories=n_stories,
        n_fitted=n_fitted,
        n_generated=n_generated,
        beyond_context=beyond,
        provenance=provenance(comprehension, call),
    )


def _announce(
    model: LanguageModel, encoded: Mapping[str, Sequence[EncodedStory]], n_generated: int
) -> None:
    rows = {split: [ids for ids, _ in stories] for split, stories in encoded.items()}
    longest = max(len(ids) for ids in rows[HELD_OUT])
    turns = math.ceil(n_generated / BATCH)
    batch = n_generated / max(1, turns)
    announce(
        model,
        reading(model, [row for each in rows.values() for row in each]),
        reading(model, rows[HELD_OUT]),  # by the untrained model, which writes too
        Passes(count=2 * turns * longest, tokens=batch, width=longest, logits=batch),
        draws=1,
        copies=1,
        smaller="Read fewer stories or write fewer texts (n_stories=, n_generated=).",
    )


def _check(n_stories: int, splits: Sequence[str], n_fitted: int) -> None:
    if n_stories < 2 or n_fitted < 2 or not splits or isinstance(splits, str):
        raise ConfigError(
            "Comprehension needs two stories or more to read and to fit on, and a list of splits; "
            f"got n_stories = {n_stories}, n_fitted = {n_fitted}, splits = {splits!r}."
        )


def _questions(world: World, stories: Sequence[Story], split: str) -> list[QuestionInContext]:
    questions = questions_in(stories)
    if not questions:
        raise NotEnoughDataError(
            f"Comprehension needs stories with questions; world {world.name!r} asks none in its "
            f"{split!r} stories. Take a world that asks (`stories`), or another level."
        )
    return questions


def _within(
    model: LanguageModel,
    world: World,
    sampled: dict[str, list[Story]],
    predictions: dict[str, list[StoryPrediction]],
    splits: Sequence[str],
) -> tuple[dict[str, list[QuestionInContext]], int]:
    """Each split's questions inside the model's context, and how many are not."""
    within, beyond = {}, 0
    for split in splits:
        questions = _questions(world, sampled[split], split)
        marks = right_answers(predictions[split], questions)
        within[split] = [q for q, mark in zip(questions, marks, strict=True) if mark is not None]
        beyond += len(questions) - len(within[split])
        if not within[split]:
            raise NotEnoughDataError(
                f"None of the {len(questions)} questions of the {split!r} stories lies within the "
                f"model's context of {model.cfg.n_ctx} tokens. Take a model with a longer one, or "
                "an easier level."
            )
    return within, beyond


def _tables(rows: Sequence[QuestionScore]) -> dict[str, dict]:
    """The result's dicts from its rows."""
    fields = {"accuracy": "accuracy", "shortcuts": "shortcuts", "margins": "margin"}
    tables: dict[str, dict] = {name: {} for name in (*fields, "questions")}
    for row in rows:
        for name, source in (fields | {"questions": "n"}).items():
            tables[name].setdefault(row.split, {})[row.kind] = getattr(row, source)
    return tables


def _regrets(
    model: LanguageModel,
    stories: Sequence[Story],
    predictions: Sequence[StoryPrediction],
    seed: int,
) -> dict[str, Interval | float]:
    if not has_floor(stories):
        return {"regret": UNKNOWN, "untrained_regret": UNKNOWN.value}
    nats, tokens = regrets(stories, predictions)
    untrained = UNKNOWN.value
    for twin in untrained_twins(model, 1, seed):
        with progress_range(0.5, 0.6, "untrained model: "):
            own, _ = regrets(stories, predict_stories(twin, stories))
        untrained = float(own.sum() / tokens.sum())
    return {"regret": bootstrap_ratio(nats, tokens, seed=seed), "untrained_regret": untrained}


def _writing(
    model: LanguageModel, world: World, stories: Sequence[Story], n: int, seed: int
) -> dict[str, dict[str, Interval]]:
    """How much of what is written is of the grammar and true: the model's and the controls'."""
    parts = openings(world, stories, n)
    if not parts:
        return {"well_formed": {}, "consistent": {}}
    with progress_range(0.6, 0.8, "writing: "):
        written = {MODEL: continuations(model, parts, seed), OWN_TEXT: parts}
    for twin in untrained_twins(model, 1, seed):
        with progress_range(0.8, 1.0, "writing, untrained model: "):
            written[UNTRAINED] = continuations(twin, parts, seed)
    shares = {who: rates(world, texts) for who, texts in written.items()}
    return {
        "well_formed": {who: well_formed for who, (well_formed, _) in shares.items()},
        "consistent": {who: consistent for who, (_, consistent) in shares.items()},
    }
