"""Does a model answer questions about stories it never saw, better than any shortcut would?

An answer counts when every one of its tokens is the model's first choice, so greedy decoding would
write it. Beside the world's own kinds of question stand those about things that are carried,
`carried_and_moved` since they were taken, or `dropped`; and `never_said`, the balanced accuracy of
saying that nobody knows exactly when nobody does.

Three rows part the story from a look-up: `handed_over` (another has the thing, and its taker is
elsewhere), `dropped_and_left` (it lies where its dropper is no longer), `retaken`; three more count
the moves of a thing with its taker: `moved_once`, `moved_twice`, `moved_more`. Such events are
rare, so these rows also take questions from stories in which the world makes them frequent
(`n_eventful`), and so do the rows of new combinations (`composition`), which hold nothing else.

Control: the world's own shortcuts (the most recent value, the first, where a thing was taken), the
majority, a bag of words, an n-gram, and a network that sees the last eight words, on the same
questions. Others are searched for on the training stories: of a small language of rules the best
`rule` ("where its first taker is now"), the best `two_rules` (one where it finds something, else
the other), and a decision `tree` over what all rules find; one of the three is chosen there for all
questions of a kind (`discoveries`) and counts in each row. All are told whether the answer is
known, and set to the best threshold in `never_said`. `row.safe` holds where the listed ones and the
chosen one stay ten points below the model, and the margin's interval lies above 0; elsewhere a
right answer is no evidence that the story was followed. `errors_explained` says which rule gives
the model's wrong answers. Facts that never change (`likes`) are learned by heart, and a shortcut
does as well there. Regret and written text have an untrained model beside them, and the text also
the world's own.

Units: accuracy in [0, 1], intervals over stories; margins are paired; regret = loss - floor in nats
per token; consistent sentences as a share of the well-formed ones, tellable texts of all.

    interp run comprehension --world stories --html comprehension.html
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from interp.analyses.behavior._continuations import (
    BATCH,
    MODEL,
    OWN_TEXT,
    writing,
)
from interp.analyses.behavior._question_sample import (
    asked_questions,
    eventful_stories,
    questions_within,
    rows_of,
)
from interp.analyses.behavior._question_scores import (
    SAFE_BY,
    Answers,
    QuestionScore,
    best_of,
    recalls,
    score,
)
from interp.analyses.behavior._rule_search import (
    RULE,
    discoveries,
    found_guesses,
    rules_of_errors,
    search,
)
from interp.analyses.behavior._shortcut_baselines import shortcut_guesses
from interp.core.cost import Passes, announce
from interp.core.display import percent
from interp.core.errors import ConfigError
from interp.core.progress import progress_range, report_progress
from interp.core.protocols import LanguageModel
from interp.core.statistics.intervals import UNKNOWN, Interval, bootstrap_ratio, plain
from interp.methods.batches import reading
from interp.methods.data.answers import (
    EncodedStory,
    StoryPrediction,
    encoded_stories,
    given_answers,
    predict_encoded,
    predict_stories,
    regrets,
    right_answers,
    says_unknown,
)
from interp.methods.data.examples import sample_stories
from interp.methods.data.loss_floor import has_floor
from interp.methods.data.questions import (
    NEVER_SAID,
    is_part,
    questions_in,
    unknown_answers,
)
from interp.methods.untrained import untrained_twins
from interp.results.provenance import provenance
from interp.results.result import Result
from interp.worlds.world import Story, World

HELD_OUT, TRAIN = "held_out", "train"
EVENT_WORDS = {
    "handed_over": "another has the thing than took it",
    "retaken": "the thing was taken again and carried from where it lay",
    "dropped_and_left": "the thing was dropped and its dropper left",
}
"""What happened in the rows of `EVENTS`; the finding tells the one with fewest right answers."""
EVENTFUL_FITTED, FRESH = 100, 1000
"""Eventful training stories that tell a shortcut from the story, and how far off their seed is."""
RULE_CALLS = 20
"""Small steps of the search a question."""
Table = dict[str, dict[str, Interval]]


@dataclass(frozen=True, kw_only=True)
class Comprehension(Result):
    """Answers by kind of question beside what shortcuts answer, regret, and the text it writes.

    All dicts by split hold the splits in the order they were asked for.

    Attributes:
        accuracy: the model's accuracy by split and kind of question, with intervals over stories.
        shortcuts: each shortcut's accuracy on the same questions, by split, kind and name.
        margins: the model's accuracy less that of the best of the listed shortcuts and the chosen
            one, paired, by split and kind.
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
        n_eventful: how many stories about rare events were read besides in each split, at most.
        rules: by row, the words of the found shortcuts `rule` and `two_rules`.
        discoveries: by row, which of the found shortcuts does best on all training questions of its
            kind; the others are shown and count for nothing.
        error_rules: by split and kind of question, the single rule that gives most of the model's
            wrong answers; chosen on every second story.
        errors_explained: share of the wrong answers in the other stories that are this rule's.
        tellable: share of whole texts that the world itself could tell, by who wrote them.
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
    n_eventful: int = 0
    rules: dict[str, dict[str, str]] = field(default_factory=dict)
    discoveries: dict[str, str] = field(default_factory=dict)
    error_rules: dict[str, dict[str, str]] = field(default_factory=dict)
    errors_explained: Table = field(default_factory=dict)
    tellable: dict[str, Interval] = field(default_factory=dict)
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
        "errors_explained": "errors_explained",
        "tellable_texts": "tellable",
    }
    axes: ClassVar = {
        "accuracy": "split kind",
        "shortcuts": "split kind shortcut",
        "margins": "split kind",
        "questions": "split kind",
        "recall": "split answer",
        "well_formed": "writer",
        "consistent": "writer",
        "errors_explained": "split kind",
        "tellable": "writer",
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
            discovery=(discovery := self.discoveries.get(kind, "")),
            best=best_of(shortcuts, discovery),
            margin=self.margins[split][kind],
        )

    @property
    def unsafe(self) -> tuple[QuestionScore, ...]:
        """Rows where a shortcut comes within ten points of the model, or is not shown below it."""
        return tuple(row for row in self.rows if not row.safe)

    def finding(self) -> str:
        split = next(iter(self.accuracy))
        kinds = ", ".join(
            f"{row.kind} {row.accuracy.value:.2f} ({row.best} {row.shortcuts[row.best].value:.2f})"
            for row in self.rows
            if row.split == split and not is_part(row.kind)
        )
        parts = (
            f"Comprehension, {split} stories, in brackets the best shortcut: {kinds}",
            *self._events(split),
            *self._errors(split),
            self._regret(),
            *self._agreeing(),
            f"n = {self.n_stories} stories.",
        )
        return "; ".join(parts)

    def _events(self, split: str) -> list[str]:
        """Of the rows that part the story from a rule the one with fewest right answers."""
        rows = [row for row in self.rows if row.split == split and row.kind in EVENT_WORDS]
        if not rows:
            return []
        row = min(rows, key=lambda row: row.accuracy.value)
        best = row.discovery or row.best
        words = repr(self.rules.get(row.kind, {}).get(best, best))
        return [
            f"about things it is least often right, in {percent(row.accuracy.value)} of n = "
            f"{row.n}, where {EVENT_WORDS[row.kind]} ({words} in "
            f"{percent(row.shortcuts[best].value)})"
        ]

    def _errors(self, split: str) -> list[str]:
        return [
            f"{rule!r} gives {percent(share.value)} of its wrong answers about {kind}"
            for kind, rule in self.error_rules.get(split, {}).items()
            if (share := self.errors_explained[split][kind]).value > 0.5
        ]

    def _agreeing(self) -> list[str]:
        parts = []
        if (true := self.consistent.get(MODEL)) and true.n:
            agree = "of its well-formed sentences agree with the story"
            parts.append(f"{percent(true.value, 1)} {agree}")
        if MODEL in self.tellable:
            share = percent(self.tellable[MODEL].value)
            parts.append(f"{share} of its whole texts keep all rules of the world")
        return parts

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
            f"never_said, set to the best threshold. {self._searched()}In a split of new "
            f"combinations a row holds only these. {self._written()}n = {self.n_stories} stories "
            f"a split{self._sampled()}; 95 % bootstrap intervals over stories, exact where each "
            f"has one question of the row, of each row alone: not corrected for {len(self.rows)} "
            f"rows.{left_out} {self._verdict()}"
        )

    def _searched(self) -> str:
        rows = {rule: row for row, words in reversed(self.rules.items()) for rule in [words[RULE]]}
        best = "; ".join(f"{row}: {rule!r}" for rule, row in reversed(rows.items()))
        return f"Best rules of those searched, a kind of question each: {best}. " if best else ""

    def _sampled(self) -> str:
        more = f" and {self.n_eventful} about rare events, for the rows of these and of new"
        return f"{more} combinations" if self.n_eventful else ""

    def _written(self) -> str:
        if not self.n_generated:
            return ""
        writers = "; ".join(
            f"{who}: {plain(rate)} well formed"
            + (f", {plain(true)} of these consistent" if (true := self.consistent[who]).n else "")
            + (f", {plain(self.tellable[who])} of whole texts can be told" if self.tellable else "")
            for who, rate in self.well_formed.items()
        )
        return f"Sentences of {self.n_generated} continuations of held-out openings: {writers}. "

    def _verdict(self) -> str:
        own = self.well_formed.get(OWN_TEXT)
        wrong = own is not None and min(own.value, self.consistent[OWN_TEXT].value) < 1
        doubt = " WARNING: the world's own text does not pass, so its rates mean little." * wrong
        points = round(100 * SAFE_BY)
        if not self.unsafe:
            return (
                f"No shortcut comes within {points} points of the model, and each is shown to do "
                f"worse.{doubt}"
            )
        names = ", ".join(f"{row.kind} in {row.split} ({row.best})" for row in self.unsafe)
        return (
            f"WARNING: a shortcut comes within {points} points, or is not shown to do worse, in: "
            f"{names} (hollow circles). There "
            f"a right answer is no evidence that the story was followed.{doubt}"
        )


def comprehension(
    model: LanguageModel,
    world: World,
    *,
    n_stories: int = 300,
    n_fitted: int = 1500,
    n_generated: int = 64,
    n_eventful: int = 200,
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
        n_eventful: stories to read besides in each split that ask about rare events, told by the
            world with such events made frequent (`sample_eventful`, where it has that). They serve
            only the rows of these events and of new combinations, and `errors_explained`; every
            other row is of the `n_stories`. Within a row they differ a little from those: the
            events come sooner, and more of the questions are about them.
        level: the world's level of difficulty.
        splits: splits of the stories, reported apart. Of one that is neither `train` nor `held_out`
            (`composition`) only questions that bear its name as a tag count: only they are new.
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
    fitted = asked_questions(world, training, TRAIN)
    sampled = {
        split: sample_stories(world, n_stories, seed=seed, level=level, split=split)
        + eventful_stories(world, n_eventful * (split in splits), seed, level, split)
        for split in dict.fromkeys([*splits, HELD_OUT])  # for regret and openings in any case
    }
    encoded = {split: encoded_stories(model, stories) for split, stories in sampled.items()}
    _announce(model, encoded, n_stories, n_generated, len(fitted))
    predictions = {}
    for number, (split, rows_of_split) in enumerate(encoded.items()):
        with progress_range(0.3 * number / len(encoded), 0.3 * (number + 1) / len(encoded)):
            predictions[split] = predict_encoded(model, rows_of_split)
    questions, beyond = questions_within(model, world, sampled, predictions, splits)
    every = [question for split in splits for question in questions[split]]
    report_progress("shortcuts", 0.3, 1)
    rare = eventful_stories(world, EVENTFUL_FITTED, seed + FRESH, level, TRAIN)
    rules_by_kind = search(fitted, questions_in(rare, world))
    discovery_by_kind = discoveries(fitted, rules_by_kind)
    guesses = shortcut_guesses(fitted, every, seed)
    guesses |= found_guesses(fitted, every, rules_by_kind, guesses["majority"])
    never = unknown_answers([*fitted, *every])
    rows, recall, rules, discovery_by_row, errors, first = [], {}, {}, {}, {}, 0
    for split in splits:
        reading = (predictions[split], questions[split])
        answers = Answers(
            right=torch.tensor(right_answers(*reading), dtype=torch.bool),
            unknown=torch.tensor(says_unknown(model, sampled[split], *reading, never)),
        )
        last = first + len(questions[split])
        own = {name: guess.at(range(first, last)) for name, guess in guesses.items()}
        numbers = rows_of(questions[split], n_stories, split, tuple(world.variables))
        for name, (number, *_) in numbers.items():
            kind = NEVER_SAID if name == NEVER_SAID else questions[split][number].kind
            if kind in discovery_by_kind:
                discovery_by_row[name] = discovery_by_kind[kind]
            if best := rules_by_kind.get(kind):
                rules[name] = {shortcut: " else ".join(rule) for shortcut, rule in best.items()}
        rows += score(numbers, questions[split], answers, own, discovery_by_row, split, seed)
        if NEVER_SAID in numbers:
            recall[split] = recalls(numbers[NEVER_SAID], questions[split], answers, seed)
        errors[split] = rules_of_errors(questions[split], given_answers(model, *reading), seed)
        first = last
    as_told = sampled[HELD_OUT][:n_stories]
    report_progress("the untrained model, and texts of both", 0.5, 1)
    return Comprehension(
        **_tables(rows),
        recall=recall,
        rules=rules,
        discoveries=discovery_by_row,
        error_rules={s: {kind: rule for kind, (rule, _) in o.items()} for s, o in errors.items()},
        errors_explained={s: {k: share for k, (_, share) in o.items()} for s, o in errors.items()},
        **_regrets(model, as_told, predictions[HELD_OUT][:n_stories], seed),
        **writing(model, world, as_told, n_generated, level, seed),
        n_stories=n_stories,
        n_fitted=n_fitted,
        n_generated=n_generated,
        n_eventful=n_eventful if hasattr(world, "sample_eventful") else 0,
        beyond_context=beyond,
        provenance=provenance(comprehension, call),
    )


def _announce(
    model: LanguageModel,
    encoded: Mapping[str, Sequence[EncodedStory]],
    n_stories: int,
    n_generated: int,
    n_fitted: int,
) -> None:
    rows = {split: [ids for ids, _ in stories] for split, stories in encoded.items()}
    longest = max(len(ids) for ids in rows[HELD_OUT])
    turns = math.ceil(n_generated / BATCH)
    batch = n_generated / max(1, turns)
    announce(
        model,
        reading(model, [row for each in rows.values() for row in each]),
        reading(model, rows[HELD_OUT][:n_stories]),  # by the untrained model, which writes too
        Passes(count=2 * turns * longest, tokens=batch, width=longest, logits=batch),
        draws=1,
        copies=1,
        calls=RULE_CALLS * (n_fitted + 4 * sum(map(len, rows.values()))),
        smaller="Read fewer stories or write fewer texts (n_stories=, n_generated=, n_eventful=).",
    )


def _check(n_stories: int, splits: Sequence[str], n_fitted: int) -> None:
    if n_stories < 2 or n_fitted < 2 or not splits or isinstance(splits, str):
        raise ConfigError(
            "Comprehension needs two stories or more to read and to fit on, and a list of splits; "
            f"got n_stories = {n_stories}, n_fitted = {n_fitted}, splits = {splits!r}."
        )


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
